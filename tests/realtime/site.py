"""The example site inside this process: its settings, and what its consumers send."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from djchan import Channel, Group
from djchan.message import Message
from djchan.routing import Router
from realtime import settings as of_the_site
from realtime.routing import channel_routing

SOCKET = "websocket.send.SERVER!1"

OF_THE_SITE = (
    "LOGIN_REDIRECT_URL",
    "LOGIN_URL",
    "LOGOUT_REDIRECT_URL",
    "MIDDLEWARE",
    "ROOT_URLCONF",
    "SECURE_CSP",
    "TEMPLATES",
)


@pytest.fixture
def site(settings: Any, tmp_path: Path) -> Path:
    """Django answers as the site does; uploads go to the folder that this returns."""
    for name in OF_THE_SITE:
        setattr(settings, name, getattr(of_the_site, name))
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


class Sent(NamedTuple):
    verb: str  # send (to a channel), group_send, add, discard
    to: str
    what: Any
    how: dict[str, Any]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Sent]:
    """What consumers and views send, in order; nothing of it goes to a layer."""
    calls: list[Sent] = []

    def note(verb: str) -> Any:
        def noted(self: Channel | Group, what: Any, **how: Any) -> None:
            calls.append(Sent(verb, self.name, getattr(what, "name", what), how))

        return noted

    monkeypatch.setattr(Channel, "send", note("send"))
    monkeypatch.setattr(Group, "send", note("group_send"))
    monkeypatch.setattr(Group, "add", note("add"))
    monkeypatch.setattr(Group, "discard", note("discard"))
    return calls


def run(channel: str, content: dict[str, Any], *, id: str = "m1", attempt: int = 1) -> None:
    """Route a message as a worker does, and run its consumer."""
    router = Router(channel_routing)
    router.check_default()
    message = Message(content, channel, None, id=id, attempt=attempt)
    match = router.match(message)
    assert match is not None, f"nobody takes {channel} {content}"
    consumer, kwargs = match
    consumer(message, **kwargs)


def socket(channel: str, path: str, *, reply_channel: str = SOCKET, **more: Any) -> None:
    """Run what a WebSocket at ``path`` puts on ``channel``."""
    run(f"websocket.{channel}", {"path": path, "reply_channel": reply_channel, **more})


def lines(sent: list[Sent]) -> list[dict[str, Any]]:
    return [json.loads(call.what["text"]) for call in sent if "text" in call.what]
