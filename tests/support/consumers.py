"""Consumers of each kind, and the messages of a socket that they are called with."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction

from djchan.message import Message

Consumer = Callable[..., Any]


@pytest.fixture(params=["sync", "async", "hidden"])
def kind(request: pytest.FixtureRequest) -> Callable[[Consumer], Consumer]:
    """Makes of a function a consumer of each kind; "hidden": async, and does not show it."""

    def make(func: Consumer) -> Consumer:
        async def consumer(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return func(*args, **kwargs)

        if request.param == "sync":
            return func
        return consumer if request.param == "async" else lambda *a, **k: consumer(*a, **k)

    return make


@pytest.fixture
def name() -> str:
    """The reply channel of a socket."""
    return f"websocket.send.PROCESS!{secrets.token_hex(8)}"


def run(consumer: Consumer, *args: Any, **kwargs: Any) -> Any:
    """What a consumer of any kind returns."""
    if iscoroutinefunction(consumer):
        return async_to_sync(consumer)(*args, **kwargs)
    value = consumer(*args, **kwargs)
    if asyncio.iscoroutine(value):

        async def finish() -> Any:
            return await value

        return async_to_sync(finish)()
    return value


def say(name: str | None, channel: str = "websocket.receive", **content: Any) -> Message:
    """A message of the socket ``name``; None: of nobody."""
    content = {"path": "/", "order": 1, **content}
    if name:
        content["reply_channel"] = name
    return Message(content, channel, None)


def connecting(name: str | None, cookie: str | None = None, query: bytes = b"") -> Message:
    """Its connect, from a browser with this session cookie."""
    headers = [] if cookie is None else [[b"cookie", f"sessionid={cookie}".encode()]]
    return say(name, "websocket.connect", headers=headers, query_string=query)
