"""Joining, talking and leaving: the consumers of the rooms' sockets.

From ``realtime.rooms.routing``; on to the group of the room, which reaches all who are in it.
What a consumer sends leaves, all at once, when it has returned.
"""

from datetime import timedelta

from django.utils import timezone

from djchan import Group
from djchan.message import Message
from realtime.rooms import lines
from realtime.rooms.models import Seat


def room_connect(message: Message, room: str) -> None:
    name = lines.display_name(message.get("query_string", b""))
    Seat.objects.filter(left__lt=timezone.now() - timedelta(hours=1)).delete()
    # Not create(): should the worker die before it has finished, this is run again.
    Seat.objects.update_or_create(
        reply_channel=message.reply_channel.name, defaults={"room": room, "name": name}
    )
    message.reply_channel.send({"accept": True})
    Group(lines.group_name(room)).add(message.reply_channel)
    Group(lines.group_name(room)).send(lines.line("joined", name=name))


def room_receive(message: Message, room: str) -> None:
    try:
        text = lines.said(message.get("text"))
    except ValueError as refusal:
        message.reply_channel.send(lines.line("refused", text=str(refusal)))
        return
    seat = Seat.objects.filter(reply_channel=message.reply_channel.name).first()
    name = seat.name if seat else "anon"
    Group(lines.group_name(room)).send(lines.line("said", name=name, text=text))


def room_disconnect(message: Message, room: str) -> None:
    Group(lines.group_name(room)).discard(message.reply_channel)
    seats = Seat.objects.filter(reply_channel=message.reply_channel.name)
    seat = seats.first()
    if seat:  # None: refused while connecting, so nobody saw it join.
        # Marked, not deleted: should this be run again, the name is still there.
        seats.update(left=timezone.now())
        Group(lines.group_name(room)).send(lines.line("left", name=seat.name))
