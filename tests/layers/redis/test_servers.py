"""Where a layer may live: Redis and Valkey, over TCP, TLS and unix sockets, behind Sentinel."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from djchan.exceptions import BrokerRefused, BrokerUnavailable, BrokerUnsupported
from djchan.layers.operations import (
    Address,
    Beat,
    Body,
    Claim,
    Closing,
    Commit,
    Connected,
    Counters,
    DeadChannels,
    DeadLetters,
    Delay,
    Discard,
    Drop,
    Flush,
    GiveUp,
    Grant,
    GroupAdd,
    GroupAddChannel,
    GroupSend,
    Held,
    History,
    Keep,
    Leave,
    Length,
    Members,
    Oldest,
    Outcome,
    Part,
    Pop,
    Push,
    Reap,
    Recall,
    Record,
    Redrive,
    Register,
    Release,
    Resume,
    Ring,
    Room,
    Send,
    Sent,
    Usage,
    Wait,
    Waiting,
)
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.greeting import check_server
from djchan.layers.redis.links import RedisLink
from tests.support.servers import Server
from tests.support.waiting import free_port, listening, missing, wait_for


def push(channel: str = "a", payload: bytes = b"x") -> Send:
    return Send("", 0, (Push(channel, payload),))


class TestCheckServer:
    @pytest.mark.parametrize(
        "info",
        [
            b"redis_version:7.0.0\r\nmaxmemory_policy:noeviction",
            b"redis_version:7.0.15\r\nmaxmemory_policy:volatile-lru",
            b"redis_version:8.2.1",
            b"redis_version:10.0.0",
            b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.2.5",
            b"redis_version:7.2.4\r\nvalkey_version:9.0.0",
        ],
    )
    def test_new_enough(self, info: bytes):
        check_server(b"# Server\r\n" + info, "redis://cache")

    @pytest.mark.parametrize(
        ("info", "name"),
        [
            (b"redis_version:4.0.14", "Redis 4.0.14"),
            (b"redis_version:6.2.14", "Redis 6.2.14"),
            (b"redis_version:7.2.4\r\nvalkey_version:7.1.0", "Valkey 7.1.0"),
            (b"nothing:known", "Redis 0"),
        ],
    )
    def test_too_old_is_named_with_what_is_needed(self, info: bytes, name: str):
        with pytest.raises(BrokerUnsupported) as caught:
            check_server(info, "redis://cache")

        assert str(caught.value) == (
            f"{name} at redis://cache is too old: djchan needs Redis 7.0 or Valkey 7.2, or newer."
        )

    @pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
    def test_eviction_of_any_key_is_refused(self, policy: str):
        info = b"redis_version:7.4.0\r\nmaxmemory_policy:" + policy.encode()

        with pytest.raises(BrokerUnsupported, match=f"maxmemory-policy {policy}"):
            check_server(info, "redis://cache")


class TestWhereRedisIs:
    def test_a_unix_socket(self, broker: Server):
        link = RedisEngine([broker.unix_url]).link("test")

        assert link.perform(push(), Length("a")) == [Sent(("ok",)), 1]
        link.close()

    @pytest.mark.asyncio
    async def test_a_unix_socket_on_an_event_loop(self, broker: Server):
        link = RedisEngine([broker.unix_url]).alink("test")

        assert await link.perform(push(), Length("a")) == [Sent(("ok",)), 1]
        await link.aclose()

    def test_a_pair_and_a_database(self, broker: Server):
        pair = RedisEngine([("127.0.0.1", broker.port)]).link("pair")
        other = RedisEngine([f"redis://127.0.0.1:{broker.port}/3"]).link("other")

        pair.perform(push())

        assert pair.perform(Length("a")) == [1]
        assert other.perform(Length("a")) == [0]
        pair.close()
        other.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    words = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem"
        " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    try:
        subprocess.run(words.split(), cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        missing("openssl", "apt-get install openssl")
    return folder / "cert.pem", folder / "key.pem"


class TestTLS:
    @pytest.fixture
    def url(
        self, start_server: Callable[..., Server], certificate: tuple[Path, Path]
    ) -> Iterator[str]:
        cert, key = map(str, certificate)
        port = free_port()
        start_server(
            "redis",
            *("--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key),
            *("--tls-ca-cert-file", cert, "--tls-auth-clients", "no"),
        )
        yield f"rediss://127.0.0.1:{port}/0"

    def test_with_the_authority_that_signed_it(self, url: str, certificate: tuple[Path, Path]):
        link = RedisEngine([f"{url}?ssl_ca_certs={certificate[0]}"]).link("test")

        assert link.perform(push(), Length("a")) == [Sent(("ok",)), 1]
        link.close()

    @pytest.mark.asyncio
    async def test_on_an_event_loop(self, url: str, certificate: tuple[Path, Path]):
        engine = RedisEngine([url], connection_kwargs={"ssl_ca_certs": str(certificate[0])})
        link = engine.alink("test")

        assert await link.perform(push(), Length("a")) == [Sent(("ok",)), 1]
        await link.aclose()

    def test_a_certificate_that_nobody_vouches_for_is_refused(self, url: str):
        with pytest.raises(BrokerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            RedisEngine([url]).link("test").perform(Length("a"))


class Sentinel:
    """One sentinel that watches one master, and makes its replica the master when it goes."""

    def __init__(self, master: Server, folder: Path, *, epoch: int = 0, port: int = 0) -> None:
        self.port = port or free_port()
        config = folder / f"sentinel-{self.port}.conf"
        config.write_text(
            f"port {self.port}\nlogfile {config}.log\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds main 500\n"
            "sentinel failover-timeout main 2000\n"
            f"sentinel config-epoch main {epoch}\n"
        )
        self.process = subprocess.Popen(
            [master.binary, str(config), "--sentinel"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: listening(self.port), timeout=10, what="the sentinel listens")

    def knows_a_replica(self) -> bool:
        return b"127.0.0.1" in self.ask("SENTINEL", "REPLICAS", "main")

    def ask(self, *words: str) -> bytes:
        asked = Server.command(self, *words)  # type: ignore[arg-type]
        return asked

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class TestSentinel:
    @pytest.fixture
    def servers(
        self, start_server: Callable[..., Server], tmp_path: Path
    ) -> Iterator[tuple[Server, Server, Sentinel]]:
        master = start_server("redis")
        replica = start_server(
            "redis", "--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0"
        )
        sentinel = Sentinel(master, tmp_path)
        yield master, replica, sentinel
        sentinel.end()

    @pytest.mark.timeout(40)
    def test_follows_the_master(self, servers: tuple[Server, Server, Sentinel]):
        master, replica, sentinel = servers
        hosts = [("127.0.0.1", free_port()), ("127.0.0.1", sentinel.port)]
        engine = RedisEngine(hosts, services=["main"])
        link = engine.link("test")

        async def send() -> list[Any]:
            alink = engine.alink("test")
            try:
                return await alink.perform(push(), Length("a"))
            finally:
                await alink.aclose()

        assert link.perform(push(), Length("a")) == [Sent(("ok",)), 1]
        assert asyncio.run(send()) == [Sent(("ok",)), 2]
        wait_for(
            lambda: (
                sentinel.knows_a_replica()
                and b"master_link_status:up" in replica.command("INFO", "replication")
            ),
            timeout=15,
            what="the replica is there",
        )

        master.kill()

        def sent() -> bool:
            try:
                return bool(link.perform(push()) == [Sent(("ok",))])
            except (BrokerUnavailable, BrokerRefused):
                return False

        wait_for(sent, timeout=20, what="a send reaches the new master")
        assert b"role:master" in replica.command("INFO", "replication")
        assert link.perform(Length("a")) == [3]
        link.close()

    def test_a_sentinel_that_has_not_heard_of_a_failover_is_not_believed(
        self, start_server: Callable[..., Server], tmp_path: Path
    ):
        """The old master is up again, and the sentinel that is asked first still names it."""
        before, now = start_server("redis"), start_server("redis")
        sentinels = [
            Sentinel(server, tmp_path, epoch=epoch) for server, epoch in ((before, 4), (now, 5))
        ]
        engine = RedisEngine([("127.0.0.1", each.port) for each in sentinels], services=["main"])

        async def send() -> None:
            alink = engine.alink("test")
            await alink.perform(push())
            await alink.aclose()

        try:
            link = engine.link("test")
            link.perform(push())
            asyncio.run(send())
            link.close()
        finally:
            for sentinel in sentinels:
                sentinel.end()
        for server, length in ((before, 0), (now, 2)):
            link = RedisEngine([server.url]).link("test")
            assert link.perform(Length("a")) == [length]
            link.close()

    def test_a_master_without_replicas_is_left(
        self, start_server: Callable[..., Server], tmp_path: Path
    ):
        """They may follow another one by now, of which the sentinels know."""
        before, now = start_server("redis"), start_server("redis")
        ports = [free_port(), free_port()]
        hosts = [("127.0.0.1", port) for port in ports]
        link = RedisEngine(hosts, services=["main"]).link("test")
        sentinels = [Sentinel(before, tmp_path, epoch=4, port=ports[0])]
        try:
            assert link.perform(push()) == [Sent(("ok",))]
            before.command("CONFIG", "SET", "min-replicas-to-write", "1")
            with pytest.raises(BrokerUnavailable, match=r"it has no replicas \(NOREPLICAS"):
                link.perform(push())
            with pytest.raises(BrokerUnavailable, match="NOREPLICAS"):
                link.perform(push())
            sentinels.append(Sentinel(now, tmp_path, epoch=5, port=ports[1]))
            assert link.perform(push(), Length("a")) == [Sent(("ok",)), 1]
        finally:
            link.close()
            for sentinel in sentinels:
                sentinel.end()

    @pytest.mark.asyncio
    async def test_it_is_left_on_an_event_loop_too(self, own_broker: Server, tmp_path: Path):
        sentinel = Sentinel(own_broker, tmp_path)
        engine = RedisEngine([("127.0.0.1", sentinel.port)], services=["main"])
        alink = engine.alink("test")
        try:
            await alink.perform(push())
            own_broker.command("CONFIG", "SET", "min-replicas-to-write", "1")
            with pytest.raises(BrokerUnavailable, match="NOREPLICAS"):
                await alink.perform(push())
            assert alink.client_id() == ""
            own_broker.command("CONFIG", "SET", "min-replicas-to-write", "0")
            assert await alink.perform(push()) == [Sent(("ok",))]
        finally:
            await alink.aclose()
            sentinel.end()


def use_everything(link: RedisLink) -> None:
    """Run every script and command that djchan has for a layer."""
    link.perform(
        Register("W", "worker", b"", ("a",)),
        Register("P", "interface", b""),
        Beat("P", "1"),
    )
    effects = (
        Record("P", "c9", "a", b"left"),
        Push("a", b"x", 10, owner=("P", "c")),
        Delay("a", b"later", 1),
        GroupAdd("g", "P", b"add"),
        GroupAddChannel("g", "a"),
        GroupSend("g", b"entry", b"payload"),
        Body("b?1", b"body", 5, 60000),
    )
    assert link.perform(Send("P", 1, effects, link="out", begin=("c",))) == [
        Sent(("ok",) * len(effects))
    ]
    (claimed,) = link.perform(Claim("W", "W.1", ("a",), 2))
    first, second = claimed.deliveries
    address = Address("P", "c", 1)
    assert link.perform(
        Part("W", first.token, "P", "c", b"part"),
        Commit("W", "1", 1, (Outcome(first.token, effects, address, b"answer"),)),
        Release("W", (second.token,)),
        Room("bell", (("P", "c"),)),
        Send("P", 2, (Grant("P", "c", 7),), link="out"),
    ) == ["ok", ("done",), 1, (0,), Sent(("ok",))]
    assert link.perform(Held("W", (), ())) == [0]
    (claimed,) = link.perform(Claim("W", "W.1", ("a",), 1, "1", 1))
    giveup = GiveUp("W", claimed.deliveries[0].token, "poison", True, Address("P", "c", 2), b"a")
    assert link.perform(giveup) == ["done"]
    assert link.perform(DeadChannels()) == [{"a": 1}]
    (letters,) = link.perform(DeadLetters("a"))
    assert link.perform(Redrive("a", letters[0].id, b"again"), Discard("a", "1-1")) == [True, False]
    (claimed,) = link.perform(Claim("W", "W.1", ("a",), 1))
    pushes = (Push("a", b"1", limit=1), Push("a", b"2", limit=1), Push("a", b"3", if_served=True))
    outcome = Outcome(claimed.deliveries[0].token, pushes, progress=1)
    assert link.perform(Commit("W", "1", 2, (outcome,))) == [("parked",)]
    assert link.perform(Reap("W", 0), Register("V", "worker", b"", ("a",)))[0] is True
    assert len(link.perform(Claim("V", "V.1", ("a",), 9))[0].deliveries) > 1
    assert link.perform(Pop(("b?1",))) == [("b?1", b"body")]
    assert link.perform(History("another")) == [True]
    link.perform(
        Resume("P", b"", (("c", 2, 0),), ("g",), "0-0", (Record("P", "c8", "a", b"left"),)),
        Leave("P", ("g",), "9999999999999-0"),
        Closing("V", ("V.1",)),
        Ring(("V.1",)),
    )
    assert link.perform(Reap("V", None), Reap("P", 1)) == [True, True]
    link.perform(Oldest("a"), Waiting(), Members("g"), Counters(), Usage(), Wait("bell", 0.01))
    assert all(link.perform(Keep("k", b"v", 9000), Recall("k", 9000), Drop("k")))
    assert link.perform(Connected("P", link.client_id())) == [True]
    link.perform(Flush())


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_every_script_stays_in_one_slot_of_a_cluster(
    start_server: Callable[..., Server], kind: str
):
    """A node of a cluster refuses a script, or a command, that leaves the slot of its key."""
    # Its own choice, 10,000 above the other, is often taken.
    bus = str(free_port())
    server = start_server(kind, "--cluster-enabled", "yes", "--cluster-port", bus)
    assert server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == b"+OK\r\n"
    wait_for(
        lambda: b"cluster_state:ok" in server.command("CLUSTER", "INFO"),
        timeout=10,
        what="the cluster of one is up",
    )
    link = RedisEngine([server.url]).link("x")
    use_everything(link)
    assert server.command("DBSIZE") == b":0\r\n"
    link.close()
