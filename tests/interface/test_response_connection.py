"""A response on its way to its client, between a server and a layer of the test only."""

import asyncio

import pytest

from djchan.layers.operations import WINDOW, Grant
from tests.interface.fakes import Server, http_scope, settle
from tests.interface.test_http_connection import request


def parts(handler, *sizes, start=0):
    """Begin a response, or go on with it, in parts that take so many bytes of the layer."""
    for index, size in enumerate(sizes, start):
        part = {"content": b"x" * min(size, 1000), "more_content": True}
        handler.on_part(1, 5, index, {"status": 200, **part} if not index else part, size)


def grants(local):
    return [effect for effect, _ in local.submitted if isinstance(effect, Grant)]


@pytest.mark.asyncio
async def test_more_is_granted_when_half_a_window_was_taken():
    async with request(http_window=WINDOW) as (_, local, _):
        handler = local.handlers["c1"]
        parts(handler, WINDOW // 4)
        await settle()
        assert grants(local) == []
        parts(handler, WINDOW // 4, WINDOW // 4, start=1)
        await settle()
        assert grants(local) == [Grant("process", "c1", WINDOW + WINDOW // 2)]
        handler.on_part(1, 5, 2, {"content": b"", "more_content": True}, 4 * WINDOW)
        await settle()
        assert len(grants(local)) == 1, "a part that came twice was counted once"


@pytest.mark.asyncio
async def test_nothing_is_granted_for_a_client_that_takes_nothing():
    async with request() as (server, local, _):
        server.stuck = True
        parts(local.handlers["c1"], WINDOW // 2, WINDOW // 2)
        await settle()
        assert grants(local) == []


@pytest.mark.asyncio
async def test_a_client_that_takes_nothing_for_too_long_is_cut(caplog):
    async with request(http_send_timeout=0.1) as (server, local, interface):
        server.stuck = True
        parts(local.handlers["c1"], 10)
        await asyncio.wait_for(server.task, 5)
        assert interface.counts["http.stalled"] == 1
        assert interface.counts["response bytes waiting"] == 0
        assert local.cuts == ["c1"], "its run is told"
    assert "http_send_timeout" in caplog.text


@pytest.mark.asyncio
async def test_the_timeout_does_not_end_a_response_that_its_client_still_takes():
    async with request(http_timeout=0.05) as (server, local, interface):
        server.stuck = True
        parts(local.handlers["c1"], 10)
        await asyncio.sleep(0.2)  # The timeout itself is what is tried.
        assert not server.task.done()
        assert "http.timeout" not in interface.counts


@pytest.mark.asyncio
async def test_a_response_is_over_when_its_client_has_taken_it_not_before():
    async with request() as (server, local, interface):
        server.stuck = True
        (connection,) = interface.connections
        local.handlers["c1"].on_answer(1, [{"status": 200, "content": b"whole"}], "")
        await settle()
        assert connection.is_sending and not connection.idle
        assert interface.counts["response bytes waiting"] == 5
        server.event("http.disconnect")
        await asyncio.wait_for(server.task, 5)
        assert interface.counts["http.left"] == 1
        assert interface.counts["response bytes waiting"] == 0


@pytest.mark.asyncio
async def test_over_the_total_the_slowest_client_is_cut(caplog):
    async with request(http_outgoing_total=1000) as (slow, local, interface):
        slow.stuck = True
        parts(local.handlers["c1"], 900)
        await asyncio.sleep(0.01)
        quick = Server(interface, http_scope())
        quick.event("http.request", body=b"")
        await settle()
        local.handlers["c2"].on_answer(1, [{"status": 200, "content": bytes(200)}], "")
        assert (await quick.wait("http.response.body"))["body"] == bytes(200)
        await asyncio.wait_for(slow.task, 5)
        assert interface.counts["http.outgoing_total"] == 1
        assert interface.counts["response bytes waiting"] == 0
        await quick.end()
    assert "http_outgoing_total" in caplog.text


@pytest.mark.asyncio
async def test_responses_that_are_cut_at_shutdown_are_counted(caplog):
    async with request(shutdown_grace=0.1) as (server, local, interface):
        server.stuck = True
        parts(local.handlers["c1"], 10)
        await asyncio.wait_for(interface.shutdown(), 5)
        await asyncio.wait_for(server.task, 5)
    assert "1 responses are cut" in caplog.text
