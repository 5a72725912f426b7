"""A socket that lives as long as its login, and the look that is taken at it later.

From ``realtime.logins.routing``; on to the page, and to ``realtime.logins.looks``.
"""

import json

from djchan.message import Message
from realtime.logins import looks
from realtime.logins.binding import bound_to_login


@bound_to_login
def ws_connect(message: Message) -> None:
    welcome = {"name": message.user.get_username()}
    message.reply_channel.send({"accept": True, "text": json.dumps(welcome)})


def look_again(message: Message) -> None:
    """Of the custom channel ``logins.look``: a socket has joined, or a session may be over."""
    looks.look(message["login"], due=message.get("due", ""), rerun=message.redelivered)
