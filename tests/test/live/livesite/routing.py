from typing import Any

from django.contrib.auth.models import User

from djchan import Group, route


def connect(message: Any) -> None:
    Group("all").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive(message: Any) -> None:
    User.objects.create(username=message["text"])
    message.reply_channel.send({"text": f"made {message['text']}"})


routing = [route("websocket.connect", connect), route("websocket.receive", receive)]
