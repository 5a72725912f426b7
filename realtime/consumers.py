"""The consumers of the site's sockets: plain functions of one message.

From ``realtime.routing``; replies go back by ``message.reply_channel`` to one socket, or
by a ``Group`` to many. What a consumer sends leaves, all at once, when it has returned.
"""

import json
from datetime import timedelta

from django.utils import timezone

from djchan import Group
from djchan.message import Message
from realtime import rooms
from realtime.models import Seat
from workers.models import Job

# Echo: /chat/


def ws_echo(message: Message) -> None:
    if "text" in message:
        message.reply_channel.send({"text": f"You said: {message['text']}"})


# Chat rooms: /ws/rooms/<room>/


def room_connect(message: Message, room: str) -> None:
    name = rooms.display_name(message.get("query_string", b""))
    Seat.objects.filter(left__lt=timezone.now() - timedelta(hours=1)).delete()
    # Not create(): should the worker die before it has finished, this is run again.
    Seat.objects.update_or_create(
        reply_channel=message.reply_channel.name, defaults={"room": room, "name": name}
    )
    message.reply_channel.send({"accept": True})
    Group(rooms.group_name(room)).add(message.reply_channel)
    Group(rooms.group_name(room)).send(rooms.line("joined", name=name))


def room_receive(message: Message, room: str) -> None:
    try:
        text = rooms.said(message.get("text"))
    except ValueError as refusal:
        message.reply_channel.send(rooms.line("refused", text=str(refusal)))
        return
    seat = Seat.objects.filter(reply_channel=message.reply_channel.name).first()
    name = seat.name if seat else "anon"
    Group(rooms.group_name(room)).send(rooms.line("said", name=name, text=text))


def room_disconnect(message: Message, room: str) -> None:
    Group(rooms.group_name(room)).discard(message.reply_channel)
    seats = Seat.objects.filter(reply_channel=message.reply_channel.name)
    seat = seats.first()
    if seat:  # None: refused while connecting, so nobody saw it join.
        # Marked, not deleted: should this be run again, the name is still there.
        seats.update(left=timezone.now())
        Group(rooms.group_name(room)).send(rooms.line("left", name=seat.name))


# The progress of a job: /ws/jobs/<job_id>/


def job_connect(message: Message, job_id: str) -> None:
    message.reply_channel.send({"accept": True})
    Group(f"job-{job_id}").add(message.reply_channel)


def job_receive(message: Message, job_id: str) -> None:
    """Tell the present state to a page that asks for it (by any frame).

    The page asks once its socket is open. By then it is in the group, so that of what
    happens to the job nothing falls between this answer and the group's next message;
    an answer given in job_connect could be out of date before the page had joined.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        message.reply_channel.send({"close": 4404})
    else:
        message.reply_channel.send({"text": json.dumps(job.as_state())})


def job_disconnect(message: Message, job_id: str) -> None:
    Group(f"job-{job_id}").discard(message.reply_channel)
