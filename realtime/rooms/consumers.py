"""Joining, talking and leaving: the consumers of the rooms' sockets.

From ``realtime.rooms.routing``; on to the group of the room, which reaches all who are in it.
What a consumer sends leaves, all at once, when it has returned. So should the worker die in
the middle of one, nobody was told anything, and it is run again: what is written to the
database is written so that a second time changes nothing.
"""

from django.utils import timezone

from djchan import Group
from djchan.auth import http_session_user
from djchan.message import Message
from realtime.rooms import history, lines
from realtime.rooms.models import Seat


@http_session_user
def room_connect(message: Message, room: str) -> None:
    """Take a seat, and be shown who is here and what was said.

    The name is that of the user of the browser's session, or else what the visitor asks for.
    """
    history.forget()
    user = message.user
    name = user.get_username() if user.is_authenticated else ""
    # Not create(): it may be there from a run that died.
    seat, _ = Seat.objects.update_or_create(
        reply_channel=message.reply_channel.name,
        defaults={
            "room": room,
            "name": name[: lines.NAME_LENGTH]
            or lines.display_name(message.get("query_string", b"")),
            "signed_in": user.is_authenticated,
        },
    )
    message.reply_channel.send({"accept": True})
    show_room(message, seat)
    Group(lines.group_name(room)).add(message.reply_channel)
    Group(lines.group_name(room)).send(lines.line("joined", **history.person(seat)))


def room_receive(message: Message, room: str) -> None:
    try:
        frame = lines.read(message.get("text"))
    except ValueError as refusal:
        message.reply_channel.send(lines.line("refused", text=str(refusal)))
        return
    group = Group(lines.group_name(room))
    seat = Seat.objects.filter(reply_channel=message.reply_channel.name).first()
    if frame.kind == "text":
        said = history.say(seat, room, frame.text, message_id=message.id)
        who = {"seat": seat.pk if seat else None}
        group.send(lines.line("said", **who, **history.shown(said)))
    elif seat is None or seat.left:
        # Silent for long (a computer that slept), and told to be gone: come in again.
        message.reply_channel.send({"close": 3000})
    elif frame.kind == "typing":
        group.send(lines.line("typing", **history.person(seat)))
    elif frame.kind == "since":
        # The page asks once it is open. What was said while it came in, after we had looked
        # and before it was in the group, it would miss; now it is in the group.
        show_room(message, seat, since=frame.since)
    elif frame.kind == "here":
        Seat.objects.filter(pk=seat.pk).update(seen=timezone.now())
        for gone in history.silent(room):
            group.send(lines.line("left", **history.person(gone)))


def room_disconnect(message: Message, room: str) -> None:
    Group(lines.group_name(room)).discard(message.reply_channel)
    seats = Seat.objects.filter(reply_channel=message.reply_channel.name)
    seat = seats.first()
    if seat:  # None: refused while connecting, so nobody saw it join.
        # Marked, not deleted: should this be run again, the name is still there.
        seats.update(left=timezone.now())
        Group(lines.group_name(room)).send(lines.line("left", **history.person(seat)))


def show_room(message: Message, seat: Seat, *, since: int = 0) -> None:
    """Tell one socket who is in its room, and what was said there, the oldest first."""
    people, said = history.here(seat.room), history.said_since(seat.room, since)
    message.reply_channel.send(lines.line("room", you=seat.pk, here=people, lines=said))
