from channels import Channel
from channels.exceptions import ConsumeLater
from channels.generic.websockets import WebsocketDemultiplexer

from .bindings import TeamBinding
from .models import Team


class Scores(WebsocketDemultiplexer):
    http_user = False
    consumers = {"teams": TeamBinding.consumer}

    def connection_groups(self, **kwargs):
        return ["teams"]


def add_points(message):
    if not Team.objects.filter(name=message.content["team"]).exists():
        raise ConsumeLater
    team = Team.objects.get(name=message.content["team"])
    team.points += message.content["points"]
    team.save()


def later(team, points, milliseconds):
    Channel("asgi.delay").send({
        "channel": "scores.add",
        "content": {"team": team, "points": points},
        "delay": milliseconds,
    })
