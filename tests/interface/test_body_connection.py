"""The body of one request, between a server, a layer and a reader that exist in the test only."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from djchan.interface.application import Interface
from djchan.interface.http import CHUNK
from djchan.interface.spool import Spool, Storage
from djchan.interface.uploads import KEY
from djchan.layers.operations import Body, EndBody
from tests.interface.fakes import FakeLayer, Server, http_scope, settle, until

CHANNEL = "http.request.body.process?c1"
CONTENT = bytes(range(256)) * (5 * 1024)  # Two chunks and a half.
CLOSED = {"content": b"", "closed": True}


@pytest.fixture
def layer():
    return FakeLayer()


@pytest.fixture
def local(layer):
    return layer.process


@asynccontextmanager
async def uploading(layer, *, body=CONTENT, interface=None, more=False, **options):
    """(server, interface) of a request with a body."""
    interface = interface or Interface(layer, options)
    server = Server(interface, http_scope("POST"))
    for start in range(0, len(body), 100_000):
        part = body[start : start + 100_000]
        server.event("http.request", body=part, more_body=more or start + 100_000 < len(body))
    await until(lambda: not server.events.qsize())
    await settle()
    try:
        yield server, interface
    finally:
        await server.end()


def ended(local):
    """The body channels that were emptied."""
    return [effect.channel for effect, _ in local.submitted if isinstance(effect, EndBody)]


def chunks(local):
    return [(each["order"], each["more_content"]) for each in local.bodies() if "order" in each]


def put_to(local):
    """The connections that chunks were put for, in their order."""
    return [effect.channel.partition("?")[2] for effect, _ in local.submitted if is_chunk(effect)]


def is_chunk(effect):
    return isinstance(effect, Body) and b"order" in effect.payload


@pytest.mark.asyncio
async def test_nothing_of_a_body_is_in_the_layer_before_its_reader_asks(layer, local):
    async with uploading(layer) as (_, interface):
        ((_, _, (message,)),) = local.deliveries()
        assert (message["body"], message["body_channel"]) == (b"", CHANNEL)
        assert len(local.submitted) == 1
        assert interface.counts["bytes of bodies on disk"] == len(CONTENT)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [100_000, 100_001, 199_000, 200_000, 200_001])
async def test_a_body_that_no_message_can_hold_with_its_headers_follows_it(layer, local, size):
    layer.max_message_size = 200_000
    async with uploading(layer, body=b"x" * size) as (server, _):
        ((_, _, (message,)),) = local.deliveries()
        is_inside = size <= 100_000
        assert len(message["body"]) == (size if is_inside else 0)
        assert ("body_channel" in message) is not is_inside
        assert not server.sent


@pytest.mark.asyncio
async def test_a_reader_gets_the_body_as_fast_as_it_takes_it(layer, local):
    async with uploading(layer) as (_, interface):
        connection = local.handlers["c1"]
        connection.on_asked(0)
        assert chunks(local) == [(0, True), (1, True)]
        connection.on_asked(1)
        connection.on_asked(2)
        assert chunks(local) == [(0, True), (1, True), (2, False)]
        assert b"".join(each["content"] for each in local.bodies()) == CONTENT
        assert len(local.bodies()[0]["content"]) == CHUNK
        connection.on_asked(3)
        connection.on_answer(1, [{"status": 200}], "")
        assert ended(local) == [], "all of it was taken"
        assert interface.counts["bytes of bodies on disk"] == 0
        assert interface.chunks.taken == 0


@pytest.mark.asyncio
async def test_a_request_that_runs_again_reads_its_body_from_the_start(layer, local):
    async with uploading(layer):
        connection = local.handlers["c1"]
        for order in (0, 1, 0, 1):
            connection.on_asked(order)
        assert [order for order, _ in chunks(local)] == [0, 1, 2, 0, 1, 2]


@pytest.mark.asyncio
async def test_requests_take_turns_where_the_window_of_all_is_full(layer, local):
    async with uploading(layer, http_body_window=2 * CHUNK) as (_, interface):
        local.handlers["c1"].on_asked(0)
        async with uploading(layer, interface=interface):
            local.handlers["c2"].on_asked(0)
            assert len(local.bodies()) == 2
            assert interface.counts["bodies waiting"] == 1
            local.handlers["c1"].on_asked(1)
            await settle()
            assert put_to(local) == ["c1", "c1", "c2"], "who waited goes first"
            local.handlers["c1"].on_answer(1, [{"status": 200}], "")
            await settle()
            assert put_to(local) == ["c1", "c1", "c2", "c2"]
            assert interface.counts["bodies waiting"] == 0


@pytest.mark.asyncio
async def test_what_was_refused_leaves_nothing(layer, local):
    local.results["http.request"] = "full"
    async with uploading(layer) as (server, interface):
        assert (await server.wait("http.response.start"))["status"] == 503
        assert local.bodies() == [] and ended(local) == []
        assert interface.counts["bytes of bodies on disk"] == 0


@pytest.mark.asyncio
async def test_a_client_that_leaves_before_its_body_is_whole_was_never_there(layer, local):
    async with uploading(layer, more=True) as (server, interface):
        assert local.submitted == []
        server.event("http.disconnect")
        await asyncio.wait_for(server.task, 5)
        assert local.submitted == []
        assert interface.counts["bytes of bodies on disk"] == 0


@pytest.mark.asyncio
async def test_what_is_still_read_at_shutdown_is_refused_and_was_never_there(layer, local):
    async with uploading(layer, more=True) as (server, interface):
        interface.draining = True
        await server.end()
        assert (await server.wait("http.response.start"))["status"] == 503
        assert local.submitted == []
        assert interface.counts["bytes of bodies on disk"] == 0


@pytest.mark.asyncio
async def test_a_client_that_leaves_while_its_body_is_read_ends_the_reading(layer, local):
    async with uploading(layer) as (server, interface):
        local.handlers["c1"].on_asked(0)
        server.event("http.disconnect")
        await asyncio.wait_for(server.task, 5)
        assert ended(local) == [CHANNEL]
        assert local.bodies()[-1] == CLOSED, "behind that"
        assert interface.chunks.taken == 0


@pytest.mark.asyncio
async def test_a_consumer_that_answers_without_its_body_leaves_nothing(layer, local):
    async with uploading(layer) as (_, interface):
        local.handlers["c1"].on_asked(0)
        local.handlers["c1"].on_answer(1, [{"status": 403}], "")
        assert ended(local) == [CHANNEL]
        assert CLOSED not in local.bodies(), "nobody reads on"
        assert interface.chunks.taken == 0


@pytest.mark.asyncio
async def test_without_redis_a_body_is_not_even_read(layer, local):
    interface = Interface(layer)
    await interface.startup()
    local.available = False
    server = Server(interface, http_scope("POST"))
    assert (await server.wait("http.response.start"))["status"] == 503
    await server.end()


@pytest.mark.asyncio
async def test_bodies_beyond_the_disk_of_all_get_a_503_with_retry_after(layer, local, caplog):
    async with uploading(layer, http_body_disk=len(CONTENT)) as (_, interface):
        second = Server(interface, http_scope("POST"))
        second.event("http.request", body=CONTENT, more_body=True)
        start = await second.wait("http.response.start")
        assert start["status"] == 503
        assert (b"retry-after", b"5") in start["headers"]
        assert "http_body_disk" in caplog.text
        assert interface.counts["http.no_room"] == 1
        await second.end()
        assert interface.counts["bytes of bodies on disk"] == len(CONTENT)


@pytest.mark.asyncio
async def test_a_body_that_the_server_has_whole_is_taken_as_it_is(layer, local):
    spool = Spool(Storage(memory=0, disk=len(CONTENT)), inline=0)
    spool.write(CONTENT)
    server = Server(Interface(layer), http_scope("POST", extensions={KEY: spool}))
    server.event("http.request", body=b"", more_body=False)
    await until(lambda: local.deliveries())
    local.handlers["c1"].on_asked(0)
    assert spool.claimed
    assert b"".join(each["content"] for each in local.bodies()) == CONTENT[: 2 * CHUNK]
    await server.end()
    assert spool.closed


@pytest.mark.asyncio
@pytest.mark.parametrize("pieces", [[], [b"x"] * 8], ids=["silent", "dribbling"])
async def test_a_body_that_comes_too_slowly_gets_a_408(layer, local, caplog, pieces):
    interface = Interface(layer, http_body_timeout=0.2, http_body_rate=100)
    headers = [(b"content-length", b"1000")]
    server = Server(interface, http_scope("POST", headers=headers))
    for piece in pieces:
        server.event("http.request", body=piece, more_body=True)
        await asyncio.sleep(0.05)
    start = await server.wait("http.response.start")
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    server.event("http.request", body=b"x", more_body=False)
    server.event("http.disconnect")
    await server.task
    assert "http_body_timeout" in caplog.text
    assert interface.counts["http.body_timeout"] == 1
    assert interface.counts["bytes of bodies in memory"] == 0
    assert local.deliveries() == []


@pytest.mark.asyncio
async def test_a_request_that_has_its_body_has_no_time_for_it(layer, local):
    async with uploading(layer, http_body_timeout=0.05) as (server, interface):
        await asyncio.sleep(0.2)
        assert server.sent == []
        assert len(local.deliveries()) == 1
        assert "http.body_timeout" not in interface.counts
