from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["ROUTING"] = "app.forks.routing"
CHANNEL_LAYERS["default"]["WORKER"] = {"grace": 2.0}
