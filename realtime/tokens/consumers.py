"""Sockets for who has a token: offered in the handshake, or said in the first message.

From ``realtime.tokens.routing``; on to the client, and to the group of its token, which is
closed when the token is revoked or expires.

In the handshake it is a subprotocol, beside the real one: ``["djchan", "token.<text>"]``. That
is the one header that a page's JavaScript can fill, and unlike a URL it stays out of logs,
histories and Referer headers. The answer names "djchan" alone: the token is not echoed.

A client that is no browser sends no Origin header, and passes djchan's check of it; a page
of another site does not. With tokens that could be allowed (``any_origin``): a token, unlike a
cookie, is not sent along by itself.
"""

import json
from typing import Any

from djchan import Channel
from djchan.message import Message
from djchan.sessions import channel_session, session_for_reply_channel
from realtime.logins.binding import user_group
from realtime.tokens import reasons
from realtime.tokens.models import LOOK, Token

PROTOCOL = "djchan"
PREFIX = "token."
PATIENCE = 5  # seconds for the first message


@channel_session
def ws_connect(message: Message) -> None:
    protocols = offered(message)
    token = next((name for name in protocols if name.startswith(PREFIX)), None)
    accept = {"accept": True}
    message.reply_channel.send(
        {**accept, "subprotocol": PROTOCOL} if PROTOCOL in protocols else accept
    )
    if token is not None:
        enter(message, token.removeprefix(PREFIX))
    else:
        silent = {"reply_channel": message.reply_channel.name}
        Channel("tokens.silent").send(silent, delay=PATIENCE)


@channel_session
def ws_receive(message: Message) -> None:
    """``{"token": "…"}`` lets in; anything else asks who one is."""
    said = words(message.get("text"))
    if isinstance(said.get("token"), str):
        # Also where the session has one: a run that died had saved it, and joined no group.
        enter(message, said["token"])
        return
    token = known(message.channel_session)
    code = token.refusal() if token else reasons.NO_TOKEN
    if token is None or code is not None:
        message.reply_channel.send({"close": code})
    else:
        message.reply_channel.send(frame(you=token.user.get_username(), by=token.name))


@channel_session
def ws_disconnect(message: Message) -> None:
    """Nothing to do; decorated, so that the channel session is kept no longer than it has to."""


def enter(message: Message, text: str) -> None:
    """Let the socket in by the token with this text, or close it."""
    token = Token.of(text)
    code = token.refusal() if token else reasons.UNKNOWN
    if token is None or code is not None:
        message.reply_channel.send({"close": code})
        return
    message.channel_session["token"] = token.pk
    token.note_use()
    token.group.add(message.reply_channel)
    user_group(token.user.pk).add(message.reply_channel)  # Closed when it is deactivated.
    # Revoked while this ran? The look comes after the add, with which it leaves.
    Channel(LOOK).send({"token": token.pk})
    message.reply_channel.send(frame(welcome=token.user.get_username()))


def close_silent(message: Message) -> None:
    """Of ``tokens.silent``: whoever has said no token by now has had the time."""
    session = session_for_reply_channel(
        message.reply_channel.name, channel_layer=message.channel_layer
    )
    if "token" not in session:
        message.reply_channel.send({"close": reasons.SILENT})


def look_again(message: Message) -> None:
    """Of ``tokens.look``: a socket has joined, or the token's time should be up."""
    token = Token.objects.select_related("user").filter(pk=message["token"]).first()
    if token is None:
        return
    code = token.refusal()
    if code is not None:
        token.group.send({"close": code})
    elif message.get("at") == "end":
        token.look_at_its_end()  # The layer's clock was ahead of ours.


def known(session: Any) -> Token | None:
    return Token.objects.select_related("user").filter(pk=session.get("token")).first()


def offered(message: Message) -> list[str]:
    """The subprotocols that the client offers."""
    headers = message.get("headers", ())
    values = [value for name, value in headers if name == b"sec-websocket-protocol"]
    return [name.strip() for name in b",".join(values).decode("latin-1").split(",")]


def words(frame: str | None) -> dict[str, Any]:
    """The object in a frame; an empty one for anything else that a client may send."""
    try:
        found = json.loads(frame or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def frame(**words: Any) -> dict[str, str]:
    return {"text": json.dumps(words)}
