"""Connections that were idle: looked at before they are used, on every kind of socket."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from djchan.exceptions import BrokerUnavailable
from djchan.layers.operations import Length, Push, Register, Send, Sent, Tell
from djchan.layers.redis import idle
from djchan.layers.redis.async_links import RedisAsyncLink
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.idle import BRIEF, LONGEST, Probe, Use, judge
from djchan.layers.redis.links import RedisLink
from tests.support.servers import Server, any_kind
from tests.support.waiting import free_port, wait_for


def push() -> Send:
    return Send("", 0, (Push("a", b"x"),))


@pytest.mark.parametrize(
    ("seconds", "spoiled", "interval", "use"),
    [
        (BRIEF, False, 0, Use.READY),
        (BRIEF, True, 0, Use.REPLACE),
        # Only asked whether it is closed.
        (BRIEF / 2, True, 0, Use.READY),
        (LONGEST - 1, False, 0, Use.READY),
        (LONGEST, False, 0, Use.REPLACE),
        (29.9, False, 30, Use.READY),
        (30.0, False, 30, Use.PING),
        (30.0, True, 30, Use.REPLACE),
        (LONGEST, False, 30, Use.REPLACE),
    ],
)
def test_what_becomes_of_an_idle_connection(
    seconds: float, spoiled: bool, interval: float, use: Use
):
    probe = Probe(is_closed=lambda: False, is_spoiled=lambda: spoiled)
    assert judge(seconds, probe=probe, health_check_interval=interval) is use


@pytest.fixture(params=["tcp", "unix", "tls"])
def engine(
    request: pytest.FixtureRequest, start_server: Callable[..., Server], tmp_path: Path
) -> tuple[Server, RedisEngine]:
    """A server of the test's own, and the engine that reaches it so."""
    if request.param == "tls":
        key, certificate, port = tmp_path / "key", tmp_path / "certificate", free_port()
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *names],
            check=True,
            capture_output=True,
        )
        options = ["--tls-port", str(port), "--tls-cert-file", str(certificate)]
        options += ["--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)]
        server = start_server("redis", *options, "--tls-auth-clients", "no")
        kwargs = {"ssl_ca_certs": str(certificate)}
        return server, RedisEngine([f"rediss://127.0.0.1:{port}/0"], connection_kwargs=kwargs)
    server = start_server(any_kind())
    return server, RedisEngine([server.url if request.param == "tcp" else server.unix_url])


def close_all(server: Server) -> None:
    """Redis closes every connection, as ``timeout`` in its configuration would."""
    server.command("CLIENT", "KILL", "TYPE", "normal")


def restart(server: Server) -> None:
    server.kill()
    server.start()


def let_idle(link: RedisLink | RedisAsyncLink) -> None:
    """The link was last used so long ago that it is looked at."""
    link._used_at -= BRIEF


@pytest.mark.parametrize("closed_by", [close_all, restart])
def test_one_that_was_closed_is_replaced_before_anything_is_sent(
    engine: tuple[Server, RedisEngine], closed_by: Callable[[Server], None]
):
    server, reached = engine
    link = reached.link("test")
    try:
        for was_idle in (True, False, True):
            link.perform(Length("a"))
            closed_by(server)
            if was_idle:
                let_idle(link)
            assert link.perform(push()) == [Sent(("ok",))]
    finally:
        link.close()


@pytest.mark.parametrize("blocked", [True, False], ids=["loop was blocked", "loop had turns"])
@pytest.mark.parametrize("closed_by", [close_all, restart])
@pytest.mark.asyncio
async def test_one_of_an_event_loop_that_was_closed_is_replaced_before_anything_is_sent(
    engine: tuple[Server, RedisEngine], closed_by: Callable[[Server], None], blocked: bool
):
    server, reached = engine
    link = reached.alink("test")
    try:
        for was_idle in (True, False):
            await link.perform(Length("a"))
            if blocked:
                closed_by(server)
            else:
                await asyncio.to_thread(closed_by, server)
                await asyncio.sleep(0)
            if was_idle:
                let_idle(link)
            assert await link.perform(push()) == [Sent(("ok",))]
    finally:
        await link.aclose()


@pytest.mark.asyncio
async def test_one_whose_end_the_event_loop_has_seen_is_replaced(
    engine: tuple[Server, RedisEngine],
):
    server, reached = engine
    link = reached.alink("test")
    try:
        for was_idle in (True, False):
            await link.perform(Length("a"))
            assert link._connection is not None
            reader, writer = link._connection._reader, link._connection._writer
            sock, tls = map(writer.get_extra_info, ("socket", "ssl_object"))
            await asyncio.to_thread(close_all, server)
            async with asyncio.timeout(10):
                # Without TLS it stays half open.
                while sock.fileno() >= 0 if tls else not reader.at_eof():
                    await asyncio.sleep(0.01)
            if was_idle:
                let_idle(link)
            else:
                link._used_at = time.monotonic()
            assert await link.perform(push()) == [Sent(("ok",))]
    finally:
        await link.aclose()


def test_one_that_is_open_is_used_again(engine: tuple[Server, RedisEngine]):
    _, reached = engine
    link = reached.link("test")
    link.perform(Length("a"))
    client = link.client_id()

    for _ in range(20):
        link.perform(push())

    assert link.client_id() == client
    link.close()


@pytest.mark.asyncio
async def test_one_of_an_event_loop_that_is_open_is_used_again(
    engine: tuple[Server, RedisEngine],
):
    _, reached = engine
    link = reached.alink("test")
    await link.perform(Length("a"))
    client = link.client_id()

    for _ in range(20):
        await link.perform(push())

    assert link.client_id() == client
    await link.aclose()


def test_an_answer_that_nobody_asked_for_is_nobody_elses(own_broker: Server):
    link = RedisEngine([own_broker.url]).link("test")
    link.perform(Length("a"))
    client = link.client_id()
    link._connection._sock.sendall(b"*1\r\n$4\r\nPING\r\n")
    wait_for(link._probe.is_spoiled, timeout=5, what="the answer is there")
    let_idle(link)

    assert link.perform(Length("a")) == [0]
    assert link.client_id() != client
    link.close()


def test_one_that_was_idle_for_long_is_not_used_again(
    own_broker: Server, monkeypatch: pytest.MonkeyPatch
):
    """A firewall may have forgotten it, and says nothing."""
    link = RedisEngine([own_broker.url]).link("test")
    link.perform(Length("a"))
    client = link.client_id()
    monkeypatch.setattr(link, "_used_at", time.monotonic() - LONGEST)

    link.perform(Length("a"))

    assert link.client_id() != client
    link.close()


class TestHealthCheckInterval:
    def test_one_that_is_silent_is_replaced_and_nothing_is_lost(
        self, own_broker: Server, monkeypatch: pytest.MonkeyPatch
    ):
        kwargs = {"health_check_interval": 1, "socket_timeout": 5.1}
        link = RedisEngine([own_broker.url], connection_kwargs=kwargs).link("test")
        link.perform(Length("a"))
        asked: list[Any] = []
        plain = link._raw

        def raw(batch: Any) -> Any:
            asked.append(batch[0][0])
            if asked == ["PING"]:
                link.close()
                raise BrokerUnavailable("silence")
            return plain(batch)

        monkeypatch.setattr(link, "_raw", raw)
        link.perform(Length("a"))
        assert "PING" not in asked
        asked.clear()
        monkeypatch.setattr(link, "_used_at", time.monotonic() - 1)

        assert link.perform(push()) == [Sent(("ok",))]
        assert asked[0] == "PING" and asked[-1] == "EVALSHA"
        link.close()

    @pytest.mark.asyncio
    async def test_one_of_an_event_loop_is_asked_too(
        self, own_broker: Server, monkeypatch: pytest.MonkeyPatch
    ):
        url = f"{own_broker.url}?health_check_interval=1"
        link = RedisEngine([url]).alink("test")
        await link.perform(Length("a"))
        before = own_broker.command("INFO", "commandstats").count(b"cmdstat_ping")
        monkeypatch.setattr(link, "_used_at", time.monotonic() - 1)

        await link.perform(Length("a"))

        assert before == 0 or b"cmdstat_ping" in own_broker.command("INFO", "commandstats")
        await link.aclose()


def test_without_poll_select_is_used(own_broker: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(idle.select, "poll")
    link = RedisEngine([own_broker.url]).link("test")
    link.perform(Length("a"))
    assert not link._probe.is_spoiled()

    close_all(own_broker)

    wait_for(link._probe.is_spoiled, timeout=5, what="the close is seen")
    let_idle(link)
    assert link.perform(push()) == [Sent(("ok",))]
    link.close()


@pytest.mark.asyncio
async def test_an_inbox_whose_connection_is_closed_while_it_waits_is_read_on(
    engine: tuple[Server, RedisEngine],
):
    server, reached = engine
    link, reader = reached.alink("test"), reached.inbox("P")
    await link.perform(Register("P", "interface", b""))
    reading = asyncio.ensure_future(reader.read("0-0", trim=False))
    while not reader.client_id():
        await asyncio.sleep(0.01)
    await asyncio.to_thread(
        wait_for,
        lambda: b"cmd=xread" in server.command("CLIENT", "LIST"),
        timeout=5,
        what="it waits",
    )
    server.command("CLIENT", "KILL", "ID", reader.client_id())

    await link.perform(Send("", 0, (Tell("P", b"hi"),)))
    assert [entry for _, entry in await reading] == [b"hi"]
    await reader.aclose()
    await link.aclose()
