"""Who a client is to the limits and turns of an interface, and what one of them may do."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from djchan.exceptions import InvalidChannelLayer
from djchan.interface.application import Interface
from djchan.interface.journal import Journal
from djchan.interface.options import InterfaceOptions
from djchan.interface.sources import KEPT, Sources, client, digest, function, user
from djchan.layers.operations import Push
from tests.interface.fakes import FakeLayer, Server, http_scope, settle, websocket_scope

log = logging.getLogger(__name__)


def sources(fair: Any = "client", **limits: Any) -> Sources:
    options = {"connections": None, "rate": None, "burst": None, **limits}
    return Sources(fair, log=Journal(log), **options)


def by_tenant(scope: Any) -> str:
    return str(scope["tenant"])


class TestNames:
    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("not an address", "not an address"),
            ("", None),
            (None, None),
        ],
    )
    def test_a_client_is_an_ipv4_address_or_64_bits_of_ipv6(self, address: Any, name: Any):
        assert client({"client": (address, 4000)}) == name

    def test_without_an_address_there_is_no_source(self):
        assert client({}) is client({"client": None}) is None
        assert sources().of({"client": None}) == ""

    def test_a_user_is_whom_a_middleware_has_found_else_the_client(self):
        known = SimpleNamespace(is_authenticated=True, pk=7)
        unknown = SimpleNamespace(is_authenticated=False, pk=None)
        at = ("192.0.2.7", 1)
        assert user({"client": at, "user": known}) == "user 7"
        assert user({"client": at, "user": unknown}) == user({"client": at}) == "192.0.2.7"

    def test_a_function_is_named_by_its_path(self):
        assert function("tests.interface.test_sources.by_tenant")({"tenant": 5}) == "5"

    @pytest.mark.parametrize("fair", ["clients", "no.such.module", "tests.interface.none", 5])
    def test_what_is_no_function_is_refused_at_the_start(self, fair: Any):
        with pytest.raises(InvalidChannelLayer, match="fair"):
            Interface(FakeLayer(), fair=fair)

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("source_connections", 0),
            ("source_connections", 1.5),
            ("source_rate", 0),
            ("source_rate", True),
            ("source_burst", "9"),
        ],
    )
    def test_a_limit_is_a_number(self, option: str, value: Any):
        with pytest.raises(InvalidChannelLayer, match=option):
            InterfaceOptions(**{option: value})

    def test_in_the_layer_a_source_is_short_and_hexadecimal(self):
        for key in ("192.0.2.7", "x" * 10_000, "\0", "é\ud800", 7):
            assert len(digest(key)) == 12
            int(digest(key), 16)

    def test_a_function_that_fails_does_not_refuse_anybody(self, caplog: Any):
        ours = sources(by_tenant)
        scope = {"client": ("192.0.2.7", 1)}
        assert ours.of(scope) == sources().of(scope) != ""
        assert "KeyError('tenant')" in caplog.text

    def test_off_there_are_no_sources(self):
        ours = sources(None)
        assert ours.of({"client": ("192.0.2.7", 1)}) == ""
        assert ours.enter("c1", "", 0.0) == "" and ours.spend("", 0.0)

    def test_limits_alone_do_not_make_deliveries_fair(self):
        ours = sources(None, connections=1)
        source = ours.of({"client": ("192.0.2.7", 1)})
        assert source and ours.tag(source) == ""


class TestLimits:
    def test_connections_at_a_time(self):
        ours = sources(connections=2)
        assert [ours.enter(name, "a", 0.0) for name in ("c1", "c2", "c3")] == [
            *("", "", "source_connections")
        ]
        assert ours.enter("c4", "b", 0.0) == ""
        ours.leave("c3")  # It was not admitted.
        assert ours.enter("c5", "a", 0.0) == "source_connections"
        ours.leave("c1")
        ours.leave("c1")
        assert [ours.enter(name, "a", 0.0) for name in ("c6", "c7")] == ["", "source_connections"]

    def test_messages_in_a_second_after_a_burst(self):
        ours = sources(rate=2, burst=3)
        assert [ours.spend("a", 10.0) for _ in range(4)] == [True, True, True, False]
        assert ours.spend("b", 10.0)
        assert [ours.spend("a", 11.0) for _ in range(3)] == [True, True, False]
        assert [ours.spend("a", 99.0) for _ in range(4)] == [True, True, True, False]

    def test_to_come_again_gives_no_new_burst(self):
        ours = sources(rate=1, burst=2)
        for expected in ("", "", "source_rate"):
            assert ours.enter("c", "a", 5.0) == expected
            ours.leave("c")

    def test_what_is_remembered_is_bounded(self):
        ours = sources(rate=1, connections=1)
        for number in range(KEPT + 50):
            assert ours.enter(f"c{number}", f"s{number}", 1.0) == ""
            ours.leave(f"c{number}")
        assert len(ours._buckets) == KEPT
        assert not ours._open and not ours._counts


def scope_of(address: str, make: Any = websocket_scope, **more: Any) -> dict[str, Any]:
    return {**make(**more), "client": [address, 4000]}


class TestConnections:
    @pytest.mark.asyncio
    @pytest.mark.parametrize(("fair", "tagged"), [("client", True), (None, False)])
    async def test_deliveries_carry_their_source_when_fair(self, fair: Any, tagged: bool):
        layer = FakeLayer()
        interface = Interface(layer, fair=fair, source_connections=9)
        layer.process.echo = True
        server = Server(interface, scope_of("192.0.2.7"))
        server.event("websocket.connect")
        await server.wait("websocket.accept")
        server.event("websocket.receive", text="hi")
        await server.wait("websocket.send")
        server.event("websocket.disconnect", code=1000)
        await asyncio.wait_for(server.task, 5)
        await settle()
        pushes = [effect for effect, _ in layer.process.submitted if isinstance(effect, Push)]
        assert [push.channel for push in pushes] == [
            *("websocket.connect", "websocket.receive", "websocket.disconnect")
        ]
        assert {push.source for push in pushes} == {digest("192.0.2.7") if tagged else ""}

    @pytest.mark.asyncio
    @pytest.mark.parametrize("can_answer", [True, False])
    async def test_a_handshake_too_many_is_429_or_4008(self, can_answer: bool, caplog: Any):
        layer = FakeLayer()
        layer.process.echo = True
        interface = Interface(layer, source_connections=1)
        first = Server(interface, scope_of("2001:db8::1"))
        first.event("websocket.connect")
        await first.wait("websocket.accept")

        extensions = {"websocket.http.response": {}} if can_answer else {}
        second = Server(interface, scope_of("2001:db8::2", extensions=extensions))
        second.event("websocket.connect")
        if can_answer:
            assert (await second.wait("websocket.http.response.start"))["status"] == 429
        else:
            assert (await second.wait("websocket.close"))["code"] == 4008
        assert "source_connections (1)" in caplog.text

        first.event("websocket.disconnect", code=1000)
        await asyncio.wait_for(first.task, 5)
        third = Server(interface, scope_of("2001:db8::3"))
        third.event("websocket.connect")
        await third.wait("websocket.accept")
        for server in (second, third):
            server.event("websocket.disconnect", code=1000)
            await asyncio.wait_for(server.task, 5)

    @pytest.mark.asyncio
    async def test_a_client_that_sends_too_much_is_closed_4008_and_others_are_not(
        self, caplog: Any
    ):
        layer = FakeLayer()
        layer.process.echo = True
        interface = Interface(layer, source_rate=0.001, source_burst=3)
        loud, quiet = Server(interface, scope_of("192.0.2.1")), Server(interface, scope_of("::1"))
        for server in (loud, quiet):
            server.event("websocket.connect")
            await server.wait("websocket.accept")
        for _ in range(5):
            loud.event("websocket.receive", text="x")
        assert (await loud.wait("websocket.close"))["code"] == 4008
        quiet.event("websocket.receive", text="x")
        await quiet.wait("websocket.send")
        assert "(192.0.2.1:4000) is over source_rate (0.001)" in caplog.text
        for server in (loud, quiet):
            server.event("websocket.disconnect", code=1000)
            await asyncio.wait_for(server.task, 5)

    @pytest.mark.asyncio
    async def test_a_request_too_many_is_429(self, caplog: Any):
        layer = FakeLayer()
        layer.process.echo = True
        interface = Interface(layer, source_rate=0.001, source_burst=1)
        statuses = []
        for _ in range(2):
            server = Server(interface, scope_of("192.0.2.1", http_scope))
            server.event("http.request", body=b"")
            statuses.append((await server.wait("http.response.start"))["status"])
            page = (await server.wait("http.response.body"))["body"]
            server.event("http.disconnect")
            await asyncio.wait_for(server.task, 5)
        assert statuses == [200, 429]
        assert b"made too many requests" in page
        assert interface.counts["source.refused"] == 1
