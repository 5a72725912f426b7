"""The Redis under faults, and the collector of what consumers left in it.

From ``faults``, which kills, fills, empties and ages it; all servers are private, on
loopback ports. The effects of consumers lie on two channels that no worker serves; the
``Collector`` takes them off, over a connection of its own that never goes through the
proxy, and it is told to pause before the store fails, so that it loses nothing itself::

    consumers ──commit──► ledger, tally (lists) ──Collector──► effects, in order

An entry that comes back after the store went back in time is recognized by its id.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from djchan.layers import codec
from djchan.layers.redis import commands
from tests.support.servers import Server
from tests.support.waiting import free_port, wait_for

PREFIX = "chaos"
BASE = commands.base_of(PREFIX)
EFFECTS = ("ledger", "tally")
SERVICE = "chaosmaster"

_TAKE = """#!lua flags=allow-oom
local entries = redis.call('LPOP', KEYS[1], 1000)
if not entries then return entries end
local bytes = 0
for _, entry in ipairs(entries) do bytes = bytes + #entry end
-- As the layer counts them: see _stored.lua there.
local weight = string.format('%.0f', -(#entries * 68719476736 + bytes))
if redis.call('HINCRBY', KEYS[2], ARGV[1], weight) <= 0 then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('HINCRBY', KEYS[3], 'all', -bytes)
return entries
"""


class NoMaster(redis.ConnectionError):
    """Nobody was asked for anything: a failover is under way."""


class Store:
    """One durable Redis, restarted from its AOF or from an older copy of it."""

    # What it has answered was written, which is enough for a SIGKILL; a rewrite of the AOF
    # must not begin while it is copied.
    OPTIONS = ("--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")

    def __init__(self, logs: Path) -> None:
        self.logs = logs  # Where its own logs are left at the end.
        self.server = Server("redis", *self.OPTIONS, durable=True)

    @property
    def port(self) -> int:
        return self.server.port

    def start(self) -> None:
        """Start it, and shorten its AOF: one of many minutes takes many seconds to load."""
        self.server.start()
        answer = self.server.command("BGREWRITEAOF")
        assert answer.startswith(b"+Background"), answer
        wait_for(self._is_short, timeout=20, what="the AOF is rewritten")

    def _is_short(self) -> bool:
        facts = self.server.command("INFO", "persistence")
        return b"aof_rewrite_in_progress:0" in facts and b"aof_rewrite_scheduled:0" in facts

    def kill(self) -> None:
        self.server.kill()

    def flush(self) -> None:
        self.server.flush()

    def refuse_writes(self, on: bool) -> None:
        answer = self.server.command("CONFIG", "SET", "maxmemory", "1" if on else "0")
        assert answer == b"+OK\r\n", answer

    def copy(self) -> Path:
        """A copy of the AOF, made while it runs."""
        target = self.server.folder / f"copy-{time.monotonic_ns()}"
        shutil.copytree(self._aof, target)
        return target

    def restore(self, copy: Path) -> None:
        """Put ``copy`` in the place of the AOF; it must not run."""
        assert not self.server.running()
        shutil.rmtree(self._aof)
        copy.rename(self._aof)

    def remove(self) -> None:
        shutil.copy(self.server.log, self.logs / f"redis-{self.server.port}.log")
        self.server.remove()

    @property
    def _aof(self) -> Path:
        return self.server.folder / "appendonlydir"


class SentinelStore(Store):
    """A master, two replicas, and sentinels that promote one of them when the master is gone.

    As Redis's documentation advises: a master that no replica follows takes no writes, so
    that an old one that is up again, and has not heard of it, cannot be mistaken for the new.
    """

    OPTIONS = (
        *("--appendfsync", "everysec", "--repl-diskless-sync-delay", "0"),
        *("--min-replicas-to-write", "1", "--min-replicas-max-lag", "3"),
    )

    def __init__(self, sentinels: int, logs: Path) -> None:
        super().__init__(logs)
        replicas = (Server("redis", *self.OPTIONS, durable=True) for _ in range(2))
        self.nodes = (self.server, *replicas)
        self.sentinels = [free_port() for _ in range(sentinels)]
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def port(self) -> int:
        """Of the master, which is the one that is followed."""
        for node in self.nodes:
            facts = _replication(node.port)
            if facts.get("role") == "master" and int(facts["connected_slaves"]) > 0:
                return node.port
        raise NoMaster("there is no master that takes writes now")

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node in self.nodes[1:]:
            assert node.command("REPLICAOF", "127.0.0.1", str(self.server.port)) == b"+OK\r\n"
        quorum = len(self.sentinels) // 2 + 1
        for port in self.sentinels:
            config = self.server.folder / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {self.server.folder}\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {self.server.port} {quorum}\n"
                f"sentinel down-after-milliseconds {SERVICE} 800\n"
                f"sentinel failover-timeout {SERVICE} 4000\n"
            )
            argv = [self.server.binary, str(config), "--sentinel"]
            with (self.server.folder / f"sentinel-{port}.log").open("wb") as log:
                self._processes.append(
                    subprocess.Popen(
                        argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        start_new_session=True,
                    )
                )  # fmt: skip
        wait_for(self._is_whole, timeout=20, what="the sentinels know each other and the replicas")

    def fail_over(self) -> None:
        """SIGKILL the master; return when another one takes writes."""
        before = self.port
        next(node for node in self.nodes if node.port == before).kill()
        wait_for(self._has_master, timeout=20, what="a new master that is followed")

    def revive(self) -> None:
        """Start the old master again; it becomes a replica."""
        for node in self.nodes:
            node.start()
        wait_for(self._is_whole, timeout=40, what="the others follow the master")

    def promotions(self) -> list[float]:
        """When sentinels made a replica the master, on the clock of ``time.monotonic``."""
        offset = time.monotonic() - time.time()
        return sorted(
            datetime.strptime(" ".join(line.split()[1:5]), "%d %b %Y %H:%M:%S.%f").timestamp()
            + offset
            for log in self._sentinel_logs()
            for line in log.read_text().splitlines()
            if "+promoted-slave" in line  # Only the sentinel that did it says so.
        )

    def remove(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)
        for log in self._sentinel_logs():
            shutil.copy(log, self.logs)
        for node in self.nodes[1:]:
            shutil.copy(node.log, self.logs / f"redis-{node.port}.log")
            node.remove()
        super().remove()

    def _sentinel_logs(self) -> list[Path]:
        return list(self.server.folder.glob("sentinel-*.log"))

    def _has_master(self) -> bool:
        try:
            return self.port > 0
        except NoMaster:
            return False

    def _is_whole(self) -> bool:
        for port in self.sentinels:
            try:
                with _client(port) as client:
                    facts = client.execute_command("SENTINEL", "MASTERS")
                    replicas = client.execute_command("SENTINEL", "REPLICAS", SERVICE)
            except redis.RedisError:
                return False
            known = facts[0] if isinstance(facts[0], dict) else _pairs(facts[0])
            others = len(self.sentinels) - 1
            if int(known["num-other-sentinels"]) < others or len(replicas) < 2:
                return False
        nodes = [_replication(node.port) for node in self.nodes]
        return sorted(facts.get("role", "down") for facts in nodes) == [
            "master",
            "slave",
            "slave",
        ] and all(facts.get("master_link_status", "up") == "up" for facts in nodes)


def _client(port: int) -> "redis.Redis":
    return redis.Redis(
        port=port, retry=Retry(NoBackoff(), 0), socket_timeout=5, decode_responses=True
    )


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _replication(port: int) -> dict[str, Any]:
    """What a node says of its part; nothing when it is down."""
    try:
        with _client(port) as client:
            facts: dict[str, Any] = client.info("replication")
            return facts
    except redis.RedisError:
        return {}


class Collector:
    """Takes effects off ``store`` from ``start()`` to ``stop()``, each with its time."""

    def __init__(self, port: Callable[[], int]) -> None:
        self.effects: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._port = port
        self._at_work = threading.Lock()
        self._stopping = threading.Event()
        self._client: redis.Redis | None = None
        self._thread = threading.Thread(target=self._run, name="chaos-collector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Takes nothing meanwhile, and has nothing on its way; begins anew after that."""
        with self._at_work:
            yield
            self._close()

    def drain(self) -> float:
        """Take all there is, in a pause; nothing that came before the answer is left."""
        while True:
            began = time.monotonic()
            if not self._take_all():
                return began

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _run(self) -> None:
        while not self._stopping.wait(0.03):
            with self._at_work:
                try:
                    self._take_all()
                except redis.RedisError as error:
                    self._close()
                    if not self._takes_no_writes(error):
                        # Nobody was to fail now: what it has lost would be found missing.
                        self.errors.append(f"{error!r} {error}")

    @staticmethod
    def _takes_no_writes(error: redis.RedisError) -> bool:
        """Whether it was refused, and so nothing is lost: another one is the master soon."""
        return isinstance(error, NoMaster | redis.ReadOnlyError) or "NOREPLICAS" in str(error)

    def _take_all(self) -> int:
        taken = 0
        for channel in EFFECTS:
            if self._client is None:
                self._client = redis.Redis(
                    port=self._port(), retry=Retry(NoBackoff(), 0), socket_timeout=10
                )
            key = f"{BASE}q:{channel}"
            keys = (key, f"{BASE}n", f"{BASE}bytes")
            entries: Any = self._client.eval(_TAKE, 3, *keys, channel) or []
            at = time.monotonic()
            taken += len(entries)
            self.effects += [_effect(channel, entry, at) for entry in entries]
        return taken


def _effect(channel: str, entry: bytes, at: float) -> dict[str, Any]:
    """What lies on a channel, opened: its header and names are followed by an envelope."""
    payload = entry[entry.index(b"\0", 22) + 1 :]
    if payload[:1] == b"\0":
        payload = payload[1:]  # An empty owner.
    envelope = codec.decode_envelope(payload)
    return {**codec.decode(envelope.frames[0]), "entry": envelope.id, "via": channel, "at": at}
