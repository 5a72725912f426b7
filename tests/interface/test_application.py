import asyncio
import itertools
import time

import pytest

from djchan.exceptions import InvalidChannelLayer
from djchan.interface.application import Interface
from djchan.interface.options import InterfaceOptions
from tests.interface.fakes import (
    FakeLayer,
    Server,
    http_scope,
    settle,
    until,
    websocket_scope,
)


def echoing(**options):
    layer = FakeLayer()
    layer.process.echo = True
    return Interface(layer, options), layer.process


async def opened(interface):
    server = Server(interface, websocket_scope())
    server.event("websocket.connect")
    await server.wait("websocket.accept")
    return server


def test_options_come_as_a_dict_one_by_one_or_as_they_are():
    layer = FakeLayer()
    assert Interface(layer, {"full_wait": 2}).options.full_wait == 2
    assert Interface(layer, full_wait=3).options.full_wait == 3
    options = InterfaceOptions(full_wait=4)
    assert Interface(layer, options).options is options
    with pytest.raises(InvalidChannelLayer, match="wait_full"):
        Interface(layer, wait_full=3)
    with pytest.raises(InvalidChannelLayer, match="not both"):
        Interface(layer, options, full_wait=3)


@pytest.mark.asyncio
async def test_echo_and_hello():
    interface, local = echoing()
    server = await opened(interface)
    server.event("websocket.receive", text="a")
    server.event("websocket.receive", bytes=b"b")
    await server.wait("websocket.send", 2)
    assert [event.get("text") or event.get("bytes") for event in server.sent[1:]] == ["a", b"b"]
    other = Server(interface, http_scope())
    other.event("http.request", body=b"")
    assert (await other.wait("http.response.body"))["body"] == b"hello"
    assert local.started == 1
    assert interface.counts["connections"] == 1
    await server.end()
    await other.end()


@pytest.mark.asyncio
async def test_another_type_of_scope_is_an_error_in_words():
    with pytest.raises(ValueError, match="'telnet'"):
        await Interface(FakeLayer())({"type": "telnet"}, None, None)


@pytest.mark.asyncio
async def test_lifespan_starts_and_stops():
    interface, local = echoing()
    lifespan = Server(interface, {"type": "lifespan"})
    lifespan.event("lifespan.startup")
    await lifespan.wait("lifespan.startup.complete")
    assert local.started == 1
    lifespan.event("lifespan.shutdown")
    await lifespan.wait("lifespan.shutdown.complete")
    assert local.stopped == 1
    await asyncio.wait_for(lifespan.task, 5)


@pytest.mark.asyncio
async def test_a_server_may_start_before_redis(caplog):
    interface, local = echoing()
    local.broken = True
    lifespan = Server(interface, {"type": "lifespan"})
    lifespan.event("lifespan.startup")
    await lifespan.wait("lifespan.startup.complete")
    assert "cannot be used yet" in caplog.text

    request = Server(interface, http_scope())
    request.event("http.request", body=b"")
    assert (await request.wait("http.response.start"))["status"] == 503
    socket = Server(interface, websocket_scope())
    socket.event("websocket.connect")
    assert (await socket.wait("websocket.close"))["code"] == 1013
    socket.event("websocket.disconnect", code=1013)
    await asyncio.wait_for(socket.task, 5)

    local.broken = False
    interface._failed_at -= 2  # Some time later.
    request2 = Server(interface, http_scope())
    request2.event("http.request", body=b"")
    assert (await request2.wait("http.response.start"))["status"] == 200
    for server in (lifespan, request, request2):
        await server.end()


@pytest.mark.asyncio
async def test_many_first_connections_are_one_start():
    interface, local = echoing()
    servers = [Server(interface, websocket_scope()) for _ in range(5)]
    for server in servers:
        server.event("websocket.connect")
    for server in servers:
        await server.wait("websocket.accept")
        await server.end()
    assert local.started == 1


@pytest.mark.asyncio
async def test_shutdown_waits_for_answers_then_closes_and_says_goodbye():
    interface, local = echoing(shutdown_grace=5)
    server = await opened(interface)
    local.echo = False
    server.event("websocket.receive", text="working")
    await settle()
    ending = asyncio.ensure_future(interface.shutdown())
    await settle()
    assert "websocket.close" not in server.types(), "an answer is still to come"
    assert interface.draining

    late = Server(interface, websocket_scope())
    late.event("websocket.connect")
    assert (await late.wait("websocket.close"))["code"] == 1013

    local.handlers["c1"].on_answer(2, [{"text": "worked"}], "")
    assert (await server.wait("websocket.send"))["text"] == "worked"
    assert (await server.wait("websocket.close"))["code"] == 1012
    await asyncio.wait_for(ending, 5)
    channel, _, (message,) = local.deliveries()[-1]
    assert (channel, message["code"]) == ("websocket.disconnect", 1012)
    assert local.stopped == 1
    for it in (server, late):
        await it.end()


@pytest.mark.asyncio
async def test_shutdown_does_not_wait_for_ever(caplog):
    interface, local = echoing(shutdown_grace=0.05)
    server = await opened(interface)
    local.echo = False
    server.event("websocket.receive", text="stuck")
    request = Server(interface, http_scope())
    request.event("http.request", body=b"")
    await settle()
    await asyncio.wait_for(interface.shutdown(), 5)
    assert (await server.wait("websocket.close"))["code"] == 1012
    assert (await request.wait("http.response.start"))["status"] == 503
    assert local.stopped == 1
    for it in (server, request):
        await it.end()


@pytest.mark.asyncio
async def test_many_sockets_leave_a_few_at_a_time():
    interface, local = echoing(drain=0.6, shutdown_grace=5)
    servers = [await opened(interface) for _ in range(60)]
    began = time.monotonic()
    ending = asyncio.ensure_future(interface.shutdown())
    closed_at = []
    while not ending.done():
        await asyncio.sleep(0.01)
        closed_at.append(sum("websocket.close" in server.types() for server in servers))
    took = time.monotonic() - began
    assert took < 3
    assert closed_at[-1] == 60
    steps = [after - before for before, after in itertools.pairwise(closed_at) if after > before]
    assert len(steps) >= 4 and max(steps) <= 20, closed_at
    assert {server.sent[-1]["code"] for server in servers} == {1012}
    assert local.channels().count("websocket.disconnect") == 60
    assert local.stopped == 1
    for server in servers:
        await server.end()


@pytest.mark.asyncio
async def test_until_its_turn_a_socket_is_served():
    interface, _ = echoing(drain=1.0, shutdown_grace=5)
    servers = [await opened(interface) for _ in range(50)]
    ending = asyncio.ensure_future(interface.shutdown())
    await asyncio.sleep(0.1)
    left = [server for server in servers if "websocket.close" not in server.types()]
    assert left
    for server in left:
        server.event("websocket.receive", text="still there?")
    for server in left:
        assert (await server.wait("websocket.send"))["text"] == "still there?"
    await asyncio.wait_for(ending, 5)
    for server in servers:
        await server.end()


@pytest.mark.asyncio
async def test_all_disconnects_are_enqueued_before_goodbye_whether_workers_answer_or_not():
    interface, local = echoing(drain=0.1, shutdown_grace=0.8, disconnects=2)
    servers = [await opened(interface) for _ in range(6)]
    local.echo = False
    known = []

    async def stop(grace):
        known.extend(local.channels())

    local.stop = stop
    began = time.monotonic()
    await interface.shutdown()
    assert time.monotonic() - began < 1.2
    assert known.count("websocket.disconnect") == 6
    assert local.records == {}
    for server in servers:
        await server.end()


@pytest.mark.asyncio
async def test_what_could_not_be_enqueued_is_left_to_the_records():
    interface, local = echoing(drain=0.1, shutdown_grace=0.4)
    server = await opened(interface)
    local.held = True  # Redis is away.
    await asyncio.wait_for(interface.shutdown(), 2)
    assert (await server.wait("websocket.close"))["code"] == 1012
    assert list(local.records) == ["c1"] and local.forgotten == []
    assert local.stopped == 1
    await server.end()


@pytest.mark.asyncio
async def test_a_server_that_cancels_at_shutdown_does_not_lose_the_answer():
    interface, local = echoing(shutdown_grace=5)
    server = await opened(interface)
    local.echo = False
    server.event("websocket.receive", text="working")
    await settle()
    interface.draining = True  # As Daphne's adapter does before anything runs.
    await server.end()
    ending = asyncio.ensure_future(interface.shutdown())
    await settle()
    local.handlers["c1"].on_answer(2, [{"text": "worked"}], "")
    assert (await server.wait("websocket.send"))["text"] == "worked"
    await asyncio.wait_for(ending, 5)
    assert local.channels()[-1] == "websocket.disconnect"


@pytest.mark.asyncio
async def test_without_redis_sockets_stay_for_the_grace_and_go_a_few_at_a_time(caplog):
    interface, local = echoing(broker_grace=2.0)
    servers = [await opened(interface) for _ in range(8)]
    now = interface_clock()

    def closed():
        return sum("websocket.close" in server.types() for server in servers)

    local.available, local.down_since = False, now - 1.0
    interface._look()
    await settle()
    assert closed() == 0
    local.down_since = now - 2.5
    interface._look()
    await settle()
    assert 0 < closed() < 8
    assert "broker_grace" in caplog.text
    local.down_since = now - 10
    interface._look()
    await until(lambda: closed() == 8)
    assert {s.sent[-1]["code"] for s in servers} == {1013}
    for server in servers:
        await server.end()


def interface_clock():
    return time.monotonic()
