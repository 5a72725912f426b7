"""The examples of docs/howto/socket-views.md are run as they stand there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack

from djchan.urls import websocket, websockets
from tests.sockets.talk import Talk, kinds, no_http, scope_of

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "socket-views.md"


def example(beginning: str) -> dict[str, Any]:
    """The names that the page's example with the line ``beginning`` makes."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (code,) = [block for block in blocks if beginning in block]
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


@pytest.mark.asyncio
async def test_the_clock():
    clock = example("async def clock(")["clock"]
    application = websockets(no_http, [websocket("ws/<int:seconds>/", clock)])
    async with Talk(application, scope_of("/ws/0/")) as talk:
        assert set(json.loads(await talk.heard())) == {"now"}
        assert set(json.loads(await talk.heard())) == {"now"}
        talk.leave()
        await talk.end()


@pytest.mark.asyncio
async def test_the_chat(caplog):
    chat = example("async def chat(")["chat"]
    application = websockets(no_http, [websocket("ws/", chat)])
    async with Talk(application) as talk:
        assert await talk.heard() == "Still about nothing?"
        talk.say("tea")
        assert await talk.heard() == "Still about tea?"
        talk.leave()
        await talk.end()
    assert not caplog.records


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
async def test_the_feed_is_for_users():
    feed = example("async def feed(")["feed"]
    application = websockets(no_http, [websocket("ws/", feed)], middleware=AuthMiddlewareStack)
    async with Talk(application) as talk:
        assert kinds([await talk.end()]) == ["close"]


def test_the_test(settings):
    clock = example("async def clock(")["clock"]
    settings.ROOT_URLCONF = (websocket("ws/clock/<int:seconds>/", clock),)
    case = example("class ClockTests(")["ClockTests"]("test_tells_the_time")
    result = case.defaultTestResult()
    case(result)
    assert result.testsRun == 1 and result.wasSuccessful(), result.errors + result.failures


@pytest.mark.asyncio
async def test_ping_and_pong_without_any_library():
    async with Talk(example("async def application(")["application"]) as talk:
        talk.say("ping")
        assert await talk.heard() == "pong"
        talk.leave()
        await talk.end()
