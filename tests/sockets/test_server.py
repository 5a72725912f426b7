"""The server's side of a socket on Daphne, with Twisted's own transport and no network."""

import asyncio
from types import SimpleNamespace

import pytest

from djchan.interface import daphne
from djchan.sockets import server as module
from djchan.sockets.server import Server
from tests.interface.test_daphne import Wire

pytestmark = pytest.mark.asyncio


@pytest.fixture
def protocol():
    return SimpleNamespace(server=None, transport=Wire(room=0), STATE_OPEN=3, state=3)


def serving(protocol, **limits):
    async def send(event):
        protocol.transport.write(event["bytes"])

    return Server({}, send, protocol, **{"outgoing": 100, "stall": 10.0, **limits})


async def test_an_empty_frame_waits_its_turn_as_others_do(protocol):
    server = serving(protocol)
    large = asyncio.ensure_future(server.frame(b"x" * 1000))
    await asyncio.sleep(0)
    empty = asyncio.ensure_future(server.frame(b""))
    await asyncio.sleep(0)
    assert not large.done() and not empty.done()
    assert daphne.buffered(protocol.transport) == 1002, "nothing was dropped"
    protocol.transport.room = 10_000
    protocol.transport.doWrite()
    await asyncio.wait_for(asyncio.gather(large, empty), 10)
    assert protocol.transport.wrote == b"x" * 1000 + b"\x82\x00"


async def test_a_client_that_reads_slowly_is_not_one_that_does_not_read(protocol, monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 0.1)
    left = iter(range(3000, 0, -100))
    monkeypatch.setattr(module.daphne, "buffered", lambda transport: next(left))
    await serving(protocol, stall=1.5).frame(b"x")
    assert next(left, 0) == 0


async def test_one_that_does_not_is_told_apart(protocol):
    with pytest.raises(TimeoutError):
        await serving(protocol, stall=0.1).frame(b"x" * 1000)


async def test_a_frame_for_which_there_is_room_costs_no_timeout(protocol, monkeypatch):
    protocol.transport.room = 10_000
    server = serving(protocol)
    monkeypatch.setattr(module, "asyncio", None)
    for frame in (b"x", b""):
        await server.frame(frame)
    assert daphne.buffered(protocol.transport) <= 3
