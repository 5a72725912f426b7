"""Connections to a real Redis and a real Valkey: what goes wrong on them, and what then.

Those of event loops are in test_async_links.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djchan.exceptions import BrokerRefused, BrokerUnavailable, BrokerUnsupported
from djchan.layers.operations import (
    Address,
    Beat,
    Body,
    Claim,
    Commit,
    Connected,
    Counters,
    Flush,
    Length,
    Outcome,
    Part,
    Pop,
    Push,
    Reap,
    Register,
    Resume,
    Send,
    Sent,
    Wait,
)
from djchan.layers.redis import commands
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.links import RedisLink
from tests.support.servers import Server
from tests.support.waiting import free_port, wait_for


def push(channel: str = "a", payload: bytes = b"x") -> Send:
    return Send("", 0, (Push(channel, payload),))


@pytest.fixture
def engine(broker: Server) -> RedisEngine:
    return RedisEngine([broker.url], prefix="links")


@pytest.fixture
def link(engine: RedisEngine) -> Iterator[RedisLink]:
    link = engine.link("test")
    yield link
    link.close()


class TestOneConnection:
    def test_answers_come_in_the_order_of_the_operations(self, link: RedisLink):
        registered, sent, length, claimed = link.perform(
            Register("W", "worker", b"i", ("a",)), push(), Length("a"), Claim("W", "W.1", ("a",), 5)
        )

        assert registered > 1_600_000_000_000
        assert sent == Sent(("ok",))
        assert length == 1
        assert [leased.payload for leased in claimed.deliveries] == [b"x"]

    def test_it_has_an_id_while_it_is_open(self, link: RedisLink):
        assert link.client_id() == ""

        link.perform(Length("a"))
        assert link.client_id().isdigit()

        link.close()
        assert link.client_id() == ""

    def test_whether_a_connection_is_open_can_be_asked(self, engine: RedisEngine, link: RedisLink):
        other = engine.link("other")
        other.perform(Length("a"))
        client = other.client_id()

        assert link.perform(Connected("P", f"999999999,{client}")) == [True]
        other.close()
        wait_for(
            lambda: link.perform(Connected("P", client)) == [False],
            timeout=5,
            what="Redis sees the connection go",
        )

    def test_who_named_no_connection_is_not_taken_for_gone(self, link: RedisLink):
        assert link.perform(Connected("P", "")) == [None]

    def test_flush_removes_this_layer_and_nothing_else(self, broker: Server):
        layers = [RedisEngine([broker.url], prefix=name).link("x") for name in ("a*", "ab", "a")]
        for layer in layers:
            layer.perform(push(), push("b"))

        layers[0].perform(Flush())

        assert [layer.perform(Length("a"))[0] for layer in layers] == [0, 1, 1]
        for layer in layers:
            layer.close()


class TestScriptsThatAreGone:
    def test_after_script_flush(self, broker: Server, link: RedisLink):
        link.perform(push())

        broker.command("SCRIPT", "FLUSH", "SYNC")
        answers = link.perform(push(), Length("a"), push(), Counters())

        assert answers[0] == answers[2] == Sent(("ok",))
        assert link.perform(Length("a")) == [3]


class TestServerThatGoes:
    def test_the_next_call_connects_again(self, own_broker: Server):
        link = RedisEngine([own_broker.url]).link("test")
        link.perform(push())
        own_broker.kill()

        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{own_broker.port}"):
                link.perform(Length("a"))
            assert link.client_id() == ""

        own_broker.start()
        assert link.perform(push(), Length("a"))[1] == 1
        link.close()

    def test_many_connections_may_break(self, own_broker: Server):
        """redis-py's pool would refuse the hundred-and-first connection."""
        link = RedisEngine([own_broker.url]).link("test")

        for _ in range(120):
            link.perform(Length("a"))
            link.close()

    def test_nobody_there(self):
        link = RedisEngine([("127.0.0.1", free_port())]).link("test")

        with pytest.raises(BrokerUnavailable, match="hosts in CHANNEL_LAYERS names it"):
            link.perform(Length("a"))


class TestInterruptedReading:
    """What is left in a connection belongs to somebody else's question (CVE-2023-28858)."""

    def test_an_exception_out_of_a_signal_handler(self, engine: RedisEngine, link: RedisLink):
        class Stop(Exception):
            pass

        def stop(number: int, frame: object) -> None:
            raise Stop

        link.perform(Length("a"))
        before = signal.signal(signal.SIGUSR1, stop)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
        try:
            timer.start()
            with pytest.raises(Stop):
                link.perform(Wait("bell", 5))
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)

        assert link.client_id() == ""
        assert link.perform(Length("nothing")) == [0]


class TestRefusals:
    def test_short_of_memory_a_send_is_refused_and_work_goes_on(self, own_broker: Server):
        link = RedisEngine([own_broker.url]).link("test")
        link.perform(
            Register("W", "worker", b"", ("a",)),
            Register("P", "interface", b""),
            Send("", 0, (Push("a", b"1"), Push("a", b"2"))),
        )
        own_broker.command("CONFIG", "SET", "maxmemory", "1")

        with pytest.raises(BrokerRefused, match=r"refused to write: OOM .*maxmemory"):
            link.perform(push())

        (claimed,) = link.perform(Claim("W", "W.1", ("a",), 5))
        assert [leased.payload for leased in claimed.deliveries] == [b"1", b"2"]
        outcomes = tuple(
            Outcome(leased.token, (Push("b", b"out"),)) for leased in claimed.deliveries
        )
        assert link.perform(Commit("W", "1", 1, outcomes)) == [("done", "done")]
        assert link.perform(Length("b")) == [2]
        # Nothing of the refused send is there, and the connection is the same one.
        assert link.perform(Length("a")) == [0]
        own_broker.command("CONFIG", "SET", "maxmemory", "0")
        assert link.perform(push()) == [Sent(("ok",))]
        link.close()

    @pytest.mark.parametrize("url", ["redis://{}", "redis://:wrong@{}"])
    def test_a_wrong_password_is_named(self, start_server: Callable[..., Server], url: str):
        server = start_server("redis", "--requirepass", "right")

        with pytest.raises(BrokerUnavailable, match=r"Authentication|NOAUTH|WRONGPASS") as caught:
            RedisEngine([url.format(f"127.0.0.1:{server.port}")]).link("test").perform(Length("a"))

        assert "wrong" not in str(caught.value)

    def test_a_server_that_throws_keys_away_is_refused(self, start_server: Callable[..., Server]):
        server = start_server("redis", "--maxmemory-policy", "allkeys-lru")

        with pytest.raises(BrokerUnsupported, match=r"maxmemory-policy allkeys-lru.*noeviction"):
            RedisEngine([server.url]).link("test").perform(Length("a"))

    def test_too_few_replicas_to_write(self, own_broker: Server):
        link = RedisEngine([own_broker.url]).link("test")
        link.perform(push())
        client = link.client_id()
        own_broker.command("CONFIG", "SET", "min-replicas-to-write", "1")

        with pytest.raises(BrokerRefused, match=r"NOREPLICAS|enough good replicas"):
            link.perform(push())
        # A new connection has to note the run, and cannot.
        with pytest.raises(BrokerRefused, match=r"NOREPLICAS|enough good replicas"):
            RedisEngine([own_broker.url]).link("new").perform(Length("a"))

        own_broker.command("CONFIG", "SET", "min-replicas-to-write", "0")
        assert link.perform(push()) == [Sent(("ok",))]
        assert link.client_id() == client
        link.close()


class Answering(threading.Thread):
    """A server that answers every command, and whatever it is, with one line."""

    def __init__(self, line: bytes) -> None:
        super().__init__()
        self._line = line
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            # Whoever hangs up may have left some of it unread.
            with connection, contextlib.suppress(ConnectionError):
                while data := connection.recv(65536):
                    connection.sendall(self._line * max(1, data.count(b"*")))

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.join(5)


class TestNotTheMaster:
    """Its connection is closed, so that the next call asks where the master is."""

    def test_it_became_a_replica(self, own_broker: Server):
        link = RedisEngine([own_broker.url]).link("test")
        link.perform(push())
        own_broker.command("REPLICAOF", "127.0.0.1", str(free_port()))

        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match=r"not the master.*read only replica"):
                link.perform(Length("a"), push())
            assert link.client_id() == ""

        own_broker.command("REPLICAOF", "NO", "ONE")
        assert link.perform(push()) == [Sent(("ok",))]
        link.close()

    def test_a_replica_without_its_master(self, own_broker: Server):
        link = RedisEngine([own_broker.url]).link("test")
        link.perform(push())
        own_broker.command("CONFIG", "SET", "replica-serve-stale-data", "no")
        own_broker.command("REPLICAOF", "127.0.0.1", str(free_port()))

        with pytest.raises(BrokerUnavailable, match="not the master, or has none"):
            link.perform(Length("a"))
        assert link.client_id() == ""
        with pytest.raises(BrokerUnavailable):
            link.perform(Length("a"))

    @pytest.mark.parametrize(
        "line",
        [
            b"-LOADING Redis is loading the dataset in memory\r\n",
            b"-MASTERDOWN Link with MASTER is down\r\n",
            b"-READONLY You can't write against a read only replica.\r\n",
            b"-CLUSTERDOWN The cluster is down\r\n",
        ],
        ids=["loading", "masterdown", "readonly", "clusterdown"],
    )
    def test_already_at_the_connect(self, line: bytes):
        server = Answering(line)
        server.start()
        try:
            link = RedisEngine([server.url]).link("test")
            with pytest.raises(BrokerUnavailable):
                link.perform(Length("a"))
            assert link.client_id() == ""
        finally:
            server.end()


class TestHistory:
    def test_a_connection_notes_the_run(self, broker: Server, link: RedisLink):
        link.perform(Length("a"))

        (noted,) = link._exchange([("GET", "{links}1:hist")])
        assert noted and b"run_id:" + noted in broker.command("INFO", "server")

    def test_an_interface_is_stale_after_a_restart(self, start_server: Callable[..., Server]):
        server = start_server("redis", durable=True)
        link = RedisEngine([server.url]).link("test")
        link.perform(
            Register("P", "interface", b""),
            Send("P", 1, (), link="out", begin=("c",)),
            Register("W", "worker", b"", ("a",)),
            push("a"),
        )
        (claimed,) = link.perform(Claim("W", "W.1", ("a",), 1))
        outcome = Outcome(claimed.deliveries[0].token, (), Address("P", "c", 1), b"answer")
        link.close()
        assert link.perform(Beat("P"))[0] is not None  # Another connection, the same run.

        server.kill()
        server.start()

        assert link.perform(Beat("P"), Send("P", 2, (), link="out")) == [None, None]
        assert link.perform(Beat("W"))[0] is not None
        assert link.perform(Commit("W", "1", 1, (outcome,))) == [("stale",)]
        assert link.perform(Resume("P", b"", (("c", 0, 0),), (), "0-0"))[0] is not None
        assert link.perform(Beat("P"))[0] is not None
        assert link.perform(Commit("W", "1", 2, (outcome,))) == [("done",)]
        link.close()


class TestPop:
    def test_takes_for_good(self, link: RedisLink):
        link.perform(push("a", b"1"), push("b", b"2"))

        assert link.perform(Pop(("b", "a"))) == [("b", b"2")]
        assert link.perform(Pop(("b", "a"))) == [("a", b"1")]
        assert link.perform(Pop(("b", "a"))) == [None]
        assert link.perform(Length("a"), Length("b")) == [0, 0]

    def test_blocks_until_there_is_one(self, engine: RedisEngine, link: RedisLink):
        got: list[Any] = []
        other = engine.link("other")
        other.perform(Length("a"))
        popping = threading.Thread(target=lambda: got.extend(other.perform(Pop(("b", "a"), 5))))
        popping.start()
        wait_for(
            lambda: link._exchange([("EXISTS", "{links}1:idle:a")]) == [1],
            timeout=5,
            what="the other waits",
        )

        link.perform(push("a", b"1"))
        popping.join(2)

        assert got == [("a", b"1")]
        # Nobody rings for one that has gone.
        assert link._exchange([("EXISTS", "{links}1:idle:a", "{links}1:idle:b")]) == [0]
        other.close()

    def test_who_dies_while_it_waits_leaves_nothing_for_ever(self, link: RedisLink):
        link.perform(Register("W", "worker", b"", ("served",)))
        for timeout in (5, 1):
            op = Pop(("a", "served"), timeout, f"caller-{timeout}", 1)
            assert link._exchange(next(commands.pop("{links}1:", op, float))) == [None]
        left, bells = link._exchange([("PTTL", "{links}1:idle:a"), ("SCARD", "{links}1:idle:a")])
        assert bells == 2 and 60_000 < left <= 65_000
        # Where a worker may be noted, too, nothing expires with it.
        assert link._exchange([("PTTL", "{links}1:idle:served")]) == [-1]

    def test_a_body_keeps_its_bytes_and_vanishes(self, link: RedisLink):
        chunk = Body("http.request.body?x", bytes(range(256)), 1, 60_000)

        last = chunk._replace(payload=b"last", capacity=0)

        assert link.perform(Send("", 0, (chunk, chunk, last))) == [Sent(("ok", "full", "ok"))]
        (ttl,) = link._exchange([("PTTL", "{links}1:q:http.request.body?x")])
        assert 0 < ttl <= 60_000
        assert link.perform(Pop(("http.request.body?x",))) == [
            ("http.request.body?x", bytes(range(256)))
        ]


def test_a_part_marks_its_delivery_as_started(link: RedisLink):
    link.perform(
        Register("W", "worker", b"", ("a",)), Register("P", "interface", b""), push("a", b"x")
    )
    (claimed,) = link.perform(Claim("W", "W.1", ("a",), 1))
    (leased,) = claimed.deliveries

    assert link.perform(Part("W", leased.token, "P", "c", b"entry")) == ["ok"]
    assert link.perform(Reap("W", 0), Register("V", "worker", b"", ("a",)))[0] is True
    (claimed,) = link.perform(Claim("V", "V.1", ("a",), 1))
    assert [(again.attempt, again.done) for again in claimed.deliveries] == [(2, 999)]
    assert link.perform(Part("W", leased.token, "P", "c", b"late")) == ["fenced"]


def test_a_part_for_a_client_that_left_is_for_nobody(link: RedisLink):
    link.perform(
        Register("W", "worker", b"", ("a",)), Register("P", "interface", b""), push("a", b"x")
    )
    (claimed,) = link.perform(Claim("W", "W.1", ("a",), 1))
    part = Part("W", claimed.deliveries[0].token, "P", "c", b"entry")

    assert link.perform(Send("P", 1, (), (), ("c",), link="out"), part)[1] == "gone"
    assert link.perform(Send("P", 2, (), ("c",), link="out"), part)[1] == "ok"
    # Cut off and forgotten in the same tick: nothing of it stays.
    link.perform(Send("P", 3, (), ("c",), ("c",), link="out"))
    assert link._exchange([("EXISTS", "{links}1:cut:P")]) == [0]
