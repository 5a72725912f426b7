"""The clock's socket, and the one without a library, spoken to in this process."""

import asyncio
import json
from datetime import datetime

import pytest
from channels.testing import WebsocketCommunicator

from djchan.urls import websockets
from realtime.clock import raw, views


async def nobody(scope, receive, send):
    raise AssertionError(f"{scope['path']} is not the clock's")


@pytest.fixture
def clock(site):
    return WebsocketCommunicator(websockets(nobody), "/ws/clock/")


@pytest.mark.asyncio
async def test_it_ticks_as_often_as_it_is_asked_to(clock):
    assert (await clock.connect())[0]
    times = [await told(clock)]
    await clock.send_json_to({"every": views.FASTEST})
    times += [await told(clock), await told(clock)]
    assert times == sorted(set(times))
    await clock.disconnect()


@pytest.mark.parametrize(
    "frame",
    [
        {"text": "no JSON"},
        {"text": "[]"},
        {"text": '{"every": 0}'},
        {"text": '{"every": 1e9}'},
        {"text": '{"every": NaN}'},
        {"text": '{"every": true}'},
        {"text": '{"every": "1"}'},
        {"bytes": b"\x00"},
    ],
)
@pytest.mark.asyncio
async def test_what_it_does_not_understand_it_says_and_goes_on(clock, frame):
    await clock.connect()
    await told(clock)
    await clock.send_input({"type": "websocket.receive", **frame})
    assert "Send {" in (await clock.receive_json_from())["refused"]
    await clock.send_json_to({"every": views.FASTEST})
    await told(clock)
    await clock.disconnect()


@pytest.mark.asyncio
async def test_nothing_of_it_is_left_when_its_client_leaves(clock):
    before = asyncio.all_tasks()
    await clock.connect()
    await told(clock)
    await clock.disconnect()
    assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_ping_and_pong_without_a_library():
    client = WebsocketCommunicator(raw.application, "/ws/raw/")
    assert (await client.connect())[0]
    await client.send_to("hello")
    await client.send_to("ping")
    assert await client.receive_from() == "pong"
    await client.disconnect()


async def told(clock: WebsocketCommunicator) -> datetime:
    message = json.loads(await clock.receive_from(timeout=10))
    return datetime.fromisoformat(message["now"])
