from .base import TeamBindingBase
from .models import Team


class TeamBinding(TeamBindingBase):
    model = Team
    fields = ["name", "points"]
