import json

from channels import Channel, Group
from channels.security.websockets import allowed_hosts_only
from channels.sessions import channel_session

from .models import Position


def _connect(message):
    message.channel_session["vehicle"] = message.content["query_string"] or "unknown"
    message.reply_channel.send({"accept": True})
    Group("map").add(message.reply_channel)


connect = allowed_hosts_only(channel_session(_connect))


@channel_session
def receive(message):
    Channel("positions").send({
        "vehicle": message.channel_session["vehicle"],
        "place": message.content["text"],
    })


def position(message):
    found = Position.objects.create(
        vehicle=message.content["vehicle"], place=message.content["place"])
    Group("map").send({"text": json.dumps({found.vehicle: found.place})})
