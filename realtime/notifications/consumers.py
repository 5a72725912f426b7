"""The sockets of one person: in the group ``user_<id>``, and in no other person's.

From ``realtime.notifications.routing``. What is pushed comes from ``push.notify``; here a
page asks for what it has missed, and says what was read.
"""

import json
from typing import Any

from django.utils import timezone

from djchan.auth import channel_session_user, channel_session_user_from_http
from djchan.message import Message
from realtime.logins import reasons
from realtime.logins.binding import bound_to_login
from realtime.notifications import push
from realtime.notifications.models import Notification


@bound_to_login  # Closes with 4401 who is not signed in, and later whose login has ended.
@channel_session_user_from_http
def ws_connect(message: Message) -> None:
    push.group_of(message.user.pk).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


@channel_session_user
def ws_receive(message: Message) -> None:
    """``{"ask": "list"}``, or ``{"read": id}``: all up to this one.

    The page asks for the list once it is connected. By then it is in the group, so that
    nothing falls between the list and what is pushed next.
    """
    if not message.user.is_authenticated:
        message.reply_channel.send({"close": reasons.ANONYMOUS})
        return
    mine = Notification.objects.filter(user=message.user)
    asked = words(message.get("text"))
    if asked.get("ask") == "list":
        items = [item.as_item() for item in mine.order_by("-pk")[: push.KEPT]]
        message.reply_channel.send(push.frame("list", items=items[::-1]))
    elif is_id(asked.get("read")):
        mine.filter(pk__lte=asked["read"], read=None).update(read=timezone.now())
        # To all tabs of this person, and so to the one that said it.
        push.group_of(message.user.pk).send(push.frame("read", upto=asked["read"]))
    else:
        message.reply_channel.send(push.frame("refused", text="That was not understood."))


def words(frame: str | None) -> dict[str, Any]:
    """The object in a frame; an empty one for anything else that a client may send."""
    try:
        found = json.loads(frame or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_id(value: object) -> bool:
    return type(value) is int and 0 < value < 2**63
