"""Appendix B of the contract, line 4: ChannelFull at each call site of its section 1.5.

See test_appendix_b.py for the other lines.
"""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from websockets.exceptions import ConnectionClosed

from djchan import Channel, Group, route
from djchan.asgi import ChannelLayerWrapper
from djchan.delay.models import DelayedMessage
from djchan.exceptions import ChannelFull, ConsumeLater
from djchan.sessions import enforce_ordering
from djchan.test import work_off
from tests.compat.conftest import Site
from tests.processes.conftest import socket
from tests.support.raw import Raw, handshake
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


# ---------------------------------------------- 4. ChannelFull at each call site of §1.5


def test_b04_channel_full_for_requests_and_handshakes(site: Site) -> None:
    full = {"http.request": 1, "websocket.connect": 1}
    apart = site.apart("b04a", channel_capacity=full)
    apart.env["LAYER_INTERFACE"] = json.dumps({"shutdown_grace": 0.5})
    server = apart.daphne("asgi:channel_layer")
    get = b"GET /who/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with Raw(server.port, get) as first, Raw(server.port, handshake("/who/")) as waiting:
        assert first.silent(0.2) and waiting.silent(0.05)
        with Raw(server.port, get) as second:
            status, body = second.body()
            assert status == 503 and b"Request queue full." in body
        with Raw(server.port, handshake("/who/")) as refused:
            # Daphne can say "later" only once it is open.
            assert (refused.status(), refused.code()) == (101, 1013)
    assert server.stop() == 0


def test_b04_channel_full_for_frames(site: Site) -> None:
    apart = site.apart("b04b", channel_capacity={"websocket.receive": 1})
    apart.env["LAYER_INTERFACE"] = json.dumps({"full_wait": 0.3})
    server = apart.daphne("asgi:channel_layer")
    apart.worker()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket(server, "/dawdle/")) for _ in range(3)]
        # One runs, one waits, and for one there is no room.
        codes = []
        for client in clients:
            client.send("hello")
            wait_for(lambda: site.marked("dawdles"), timeout=10, what="the first one runs")
        for client in clients:
            try:
                assert client.recv(timeout=10) == "at last"
            except ConnectionClosed as closed:
                codes.append(closed.rcvd.code if closed.rcvd else 1006)
        assert codes == [1013]
        # In 1.x nobody was told of that socket's end, and its groups leaked.
        wait_for(lambda: "1013" in site.marked("gone "), timeout=10, what="its disconnect")
    assert server.stop() == 0


def test_b04_channel_full_for_direct_sends(narrow: Callable[..., ChannelLayerWrapper]) -> None:
    layer = narrow()
    for _ in range(2):
        Channel("x", channel_layer=layer).send({})
    with pytest.raises(ChannelFull, match="'x' holds 2 messages"):
        Channel("x", channel_layer=layer).send({})
    # Never for a group: a full member is skipped.
    Group("g", channel_layer=layer).add("x")
    Group("g", channel_layer=layer).add("y")
    Group("g", channel_layer=layer).send({})
    assert pending(layer, "x") == 2 and pending(layer, "y") == 1


def pending(layer: ChannelLayerWrapper, channel: str) -> int:
    return int(layer.channel_statistics(channel)["messages_pending"])


def test_b04_channel_full_for_sends_of_a_consumer(
    narrow: Callable[..., ChannelLayerWrapper],
) -> None:
    met: list[type] = []

    def consumer(message: Any) -> None:
        for _ in range(5):
            Channel("x", channel_layer=message.channel_layer).send({})
        try:
            for _ in range(5):
                Channel("y", channel_layer=message.channel_layer).send({}, immediately=True)
        except ChannelFull as full:
            met.append(type(full))

    layer = narrow(route("go", consumer))
    layer.send("go", {})
    begun = time.monotonic()
    assert work_off(layer) == {"done": 1}
    # In 1.x: two seconds of trying, then the end of the worker.
    assert time.monotonic() - begun < 1.5
    assert (pending(layer, "x"), pending(layer, "y"), met) == (5, 2, [ChannelFull])


def test_b04_channel_full_for_consume_later(narrow: Callable[..., ChannelLayerWrapper]) -> None:
    runs: list[str] = []

    def consumer(message: Any) -> None:
        runs.append(message["name"])
        if message["name"] == "first" and runs.count("first") == 1:
            # Full, while this one wants to go back to it.
            for name in ("second", "third"):
                message.channel_layer.send("go", {"name": name})
            raise ConsumeLater

    layer = narrow(route("go", consumer))
    layer.send("go", {"name": "first"})
    work_off(layer)
    # In 1.x it was dropped after ten tries.
    assert sorted(runs) == ["first", "first", "second", "third"]


def test_b04_channel_full_for_enforce_ordering(narrow: Callable[..., ChannelLayerWrapper]) -> None:
    ran: list[int] = []

    @enforce_ordering
    def consumer(message: Any) -> None:
        ran.append(message["order"])

    layer = narrow(route("go", consumer))
    for order in (7, 3):  # Out of order, but from nobody's socket: nothing is parked.
        layer.send("go", {"order": order, "reply_channel": "websocket.send.nobody!1"})
    work_off(layer)
    assert ran == [7, 3]


@pytest.mark.django_db
def test_b04_channel_full_for_delayed_messages(
    narrow: Callable[..., ChannelLayerWrapper],
) -> None:
    layer = narrow()
    for n in range(3):
        row = DelayedMessage(channel_name="x", content=json.dumps({"n": n}), delay=-1)
        row.save()
        row.send(channel_layer=layer)
    (left,) = DelayedMessage.objects.all()
    assert left.content == '{"n": 2}' and 500 < left.delay <= 1000
    assert pending(layer, "x") == 2 and connection.in_atomic_block
