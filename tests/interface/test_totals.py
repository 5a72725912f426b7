"""The limits of all clients of one interface together."""

import asyncio

import pytest
from twisted.internet.testing import StringTransport

from djchan.interface.application import Interface
from djchan.interface.wires import ConnectionRefusal
from tests.interface.fakes import FakeLayer, Server, http_scope, settle, websocket_scope

DENIABLE = {"websocket.http.response": {}}


@pytest.fixture
def layer():
    return FakeLayer()


@pytest.fixture
def local(layer):
    return layer.process


async def socket(interface, **scope):
    server = Server(interface, websocket_scope(**scope))
    server.event("websocket.connect")
    await settle()
    return server


async def opened(interface, local):
    server = await socket(interface)
    list(local.handlers.values())[-1].on_answer(1, [{"accept": True}], "")
    await server.wait("websocket.accept")
    return server


async def end(*servers):
    for server in servers:
        await server.end()


@pytest.mark.asyncio
async def test_a_connection_too_many_gets_a_503_with_retry_after(layer, local, caplog):
    interface = Interface(layer, connections=2)
    first, second = await socket(interface), await socket(interface)

    page = Server(interface, http_scope())
    start = await page.wait("http.response.start")
    denied = await socket(interface, extensions=DENIABLE)
    refused = await denied.wait("websocket.http.response.start")

    for answer in (start, refused):
        assert answer["status"] == 503
        assert (b"retry-after", b"5") in answer["headers"]
    assert "connections under INTERFACE" in caplog.text
    assert interface.counts["connection.refused"] == 2
    await end(first, second, page, denied)


@pytest.mark.asyncio
async def test_a_handshake_too_many_is_told_to_come_back(layer, local, caplog):
    interface = Interface(layer, handshakes=1)
    first = await socket(interface)

    second = await socket(interface)
    assert (await second.wait("websocket.close"))["code"] == 1013
    assert interface.counts["handshakes"] == 1
    assert "handshakes under INTERFACE" in caplog.text

    local.handlers["c1"].on_answer(1, [{"accept": True}], "")
    assert interface.counts["handshakes"] == 0
    third = await socket(interface)
    assert local.channels().count("websocket.connect") == 2
    await end(third)
    assert interface.counts["handshakes"] == 0, "it left"
    await end(first, second)


@pytest.mark.asyncio
async def test_frames_that_nobody_answers_are_bounded_in_total(layer, local, caplog):
    interface = Interface(layer, mailboxes_bytes=4000)
    servers = [await opened(interface, local) for _ in range(3)]
    assert interface.counts["bytes in mailboxes"] == 0

    for server in servers:
        server.event("websocket.receive", text="x" * 1800)
        await settle()

    assert (await servers[2].wait("websocket.close"))["code"] == 1013
    assert "mailboxes_bytes under INTERFACE" in caplog.text
    assert interface.counts["bytes in mailboxes"] <= 4000
    assert [server.types().count("websocket.close") for server in servers] == [0, 0, 1]
    await end(*servers)


@pytest.mark.asyncio
async def test_frames_for_clients_that_do_not_read_are_bounded_in_total(layer, local, caplog):
    interface = Interface(layer, outgoing_total=10_000)
    servers = [await opened(interface, local) for _ in range(3)]
    for server in servers:
        server.stuck = True

    handlers = list(local.handlers.values())
    for handler, size in zip(handlers, (6000, 2000, 4000), strict=True):
        handler.on_replies([{"text": "x" * size}])
        await settle()

    assert (await servers[0].wait("websocket.close"))["code"] == 1013
    assert [server.types().count("websocket.close") for server in servers] == [1, 0, 0]
    assert "outgoing_total under INTERFACE" in caplog.text
    await end(*servers)


@pytest.mark.asyncio
async def test_what_clients_have_taken_does_not_count(layer, local):
    interface = Interface(layer, outgoing_total=10_000)
    server = await opened(interface, local)

    for _ in range(10):
        local.handlers["c1"].on_replies([{"text": "x" * 6000}])
        await settle()
        await asyncio.sleep(0)

    assert server.types().count("websocket.send") == 10
    assert interface.counts.get("outgoing.total", 0) == 0
    await end(server)


def test_daphne_refuses_a_connection_with_a_503():
    transport = StringTransport()
    ConnectionRefusal().makeConnection(transport)

    assert transport.value().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 5\r\n" in transport.value()
    assert transport.disconnecting
