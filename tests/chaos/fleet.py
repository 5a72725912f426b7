"""The system under faults: workers and interfaces, as real processes over the proxy.

From ``run``, which makes one; told by ``faults`` what to kill and to start again. A slot
holds one process at a time; the pids that were in it are remembered.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.chaos.proxy import Proxy
from tests.chaos.schedule import Profile
from tests.chaos.store import PREFIX, SERVICE, Collector, SentinelStore, Store
from tests.support.processes import Process, Processes
from tests.support.waiting import free_port

SITE = Path(__file__).parent / "site"
READY = r"djchan worker \S+ is ready"
ATTEMPTS = 5
OTHER_RETRY = 1.5  # stream_retry of the second layer; then its senders run again.
START = 30.0  # Seconds until a process is ready, on a machine that has other work.


class Slot:
    """A place for a process, and what is in it."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.port = port
        self.process: Process | None = None
        self.busy = False  # Some fault is at it.

    @property
    def up(self) -> bool:
        return not self.busy and self.process is not None and self.process.running()


class Fleet:
    """All processes of one campaign, and the store that they share."""

    def __init__(self, profile: Profile, folder: Path, *, seed: int, broken: str = "") -> None:
        self.profile = profile
        self.runs = folder / "runs"
        self.logs = folder / "logs"
        for path in (self.runs, self.logs):
            path.mkdir(parents=True)
        self.processes = Processes(self.logs)
        self._starting = threading.Lock()
        self.store = (
            SentinelStore(profile.sentinels, self.logs) if profile.sentinels else Store(self.logs)
        )
        self.collector = Collector(lambda: self.store.port)
        self.proxy = Proxy(0, seed=seed)
        # Of the second layer, to which consumers of the first one send.
        self.other = Store(self.logs)
        self.other_collector = Collector(lambda: self.other.port)
        self.other_proxy = Proxy(0, seed=seed)
        self.workers = [Slot(f"worker {i}") for i in range(profile.workers)]
        self.interfaces = [Slot(f"interface {i}", free_port()) for i in range(profile.interfaces)]
        self._broken = broken

    # ------------------------------------------------------------------- life

    def start(self) -> None:
        self.store.start()
        self.proxy.target = self.store.port
        self.proxy.start()
        self.other.start()
        self.other_proxy.target = self.other.port
        self.other_proxy.start()
        threads = [
            threading.Thread(target=start, args=(slot,))
            for start, slots in (
                (self.start_worker, self.workers),
                (self.start_interface, self.interfaces),
            )
            for slot in slots
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        missing = [slot.name for slot in (*self.workers, *self.interfaces) if not slot.up]
        if missing:
            raise AssertionError(f"not started: {', '.join(missing)}; see {self.logs}")
        self.collector.start()
        self.other_collector.start()

    def start_worker(self, slot: Slot) -> None:
        """Start a worker in ``slot``, as a supervisor does; return when it claims.

        One that finds no Redis for some seconds (it loads a long AOF) ends, and is started again.
        """
        for attempt in range(1, ATTEMPTS + 1):
            with self._starting:  # Processes counts names; two at a time would share one.
                process = self.processes.runworker(env=self.env, cwd=SITE)
            try:
                process.wait_printed(READY, timeout=START)
            except AssertionError:
                if process.running() or attempt == ATTEMPTS:
                    raise
            else:
                slot.process = process
                return

    def start_interface(self, slot: Slot) -> None:
        """Start an interface in ``slot``, on the port it has always had."""
        with self._starting:
            process = self.processes.python(
                "-m", "daphne", "-b", "127.0.0.1", "-p", str(slot.port), "-v", "0",
                "chaos.asgi:channel_layer", name="daphne", env=self.env, cwd=SITE,
            )  # fmt: skip
        process.port = slot.port
        process.wait_listening(timeout=START)
        slot.process = process

    def stop(self) -> dict[str, int | None]:
        """SIGTERM to workers and interfaces; how each of them ended."""
        ends: dict[str, int | None] = {}
        slots = [*self.interfaces, *self.workers]
        for slot in slots:
            if slot.process is not None and slot.process.running():
                slot.process.send_signal(signal.SIGTERM)
        for slot in slots:
            if slot.process is not None:
                ends[slot.name] = slot.process.wait_exit(timeout=40)
        return ends

    def clean_up(self) -> None:
        """End everything that was started, whatever state it is in."""
        with ExitStack() as steps:  # Each of them, whatever the others raise; the last first.
            steps.callback(self.store.remove)
            steps.callback(self.proxy.stop)
            steps.callback(self.other.remove)
            steps.callback(self.other_proxy.stop)
            for process in self.processes.started:
                steps.callback(process.clean_up)
            steps.callback(self.collector.stop)
            steps.callback(self.other_collector.stop)
            for process in self.processes.started:
                if process.running():  # All at once; some take their time.
                    process.send_signal(signal.SIGCONT)
                    process.send_signal(signal.SIGTERM)

    # ------------------------------------------------------------------- what

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "chaos.settings",
            "CHAOS_LAYER": json.dumps(self.layer),
            "CHAOS_OTHER_LAYER": json.dumps(self.other_layer),
            "CHAOS_RUNS": str(self.runs),
            "CHAOS_BREAK": self._broken,
            "PYTHONWARNINGS": "default",
        }

    @property
    def layer(self) -> dict[str, Any]:
        """The entry of CHANNEL_LAYERS, but its ROUTING."""
        fair = {"fair": "chaos.sources.client"} if self.profile.fair else {}
        return {
            "BACKEND": f"djchan.layers.redis.{'Redis' if not self.sentinels else 'RedisSentinel'}"
            "ChannelLayer",
            "CONFIG": self.config,
            # Redis is away for seconds here, and a test machine may be slow.
            "INTERFACE": {"broker_grace": 60.0, "shutdown_grace": 10.0, **fair},
            "WORKER": {"worker_silence": self.profile.silence, "threads": 2},
        }

    @property
    def other_layer(self) -> dict[str, Any]:
        """The entry of the second layer; what is sent to it waits for less than it is away."""
        config = {
            "prefix": PREFIX,
            "channel_capacity": {"ledger": 10**9},
            "stream_retry": OTHER_RETRY,
            "hosts": [f"redis://127.0.0.1:{self.other_proxy.port}/0"],
        }
        return {"BACKEND": "djchan.layers.redis.RedisChannelLayer", "CONFIG": config}

    @property
    def config(self) -> dict[str, Any]:
        common = {
            "prefix": PREFIX,
            "capacity": 10_000,
            # Nobody serves these: they hold what the collector has not yet taken.
            "channel_capacity": {"ledger": 10**9, "tally": 10**9},
        }
        if self.sentinels:
            hosts = [["127.0.0.1", port] for port in self.sentinels]
            return {**common, "hosts": hosts, "services": [SERVICE]}
        return {**common, "hosts": [f"redis://127.0.0.1:{self.proxy.port}/0"]}

    @property
    def sentinels(self) -> list[int]:
        return self.store.sentinels if isinstance(self.store, SentinelStore) else []

    def toils(self, slot: Slot) -> bool:
        """Whether the worker in ``slot`` is in the middle of a long job, as far as is known."""
        assert slot.process is not None
        path = self.runs / f"{slot.process.pid}.jsonl"
        if not path.exists():
            return False
        # It may run others beside it, so not only the last line, which may be half written.
        for line in path.read_text().rpartition("\n")[0].splitlines()[-8:]:
            run = json.loads(line)
            ran = time.monotonic() - run["at"]
            if run["on"] == "jobs" and 0.01 < ran < run["ms"] / 1000 - 0.1:
                return True
        return False

    def vitals(self) -> dict[str, list[int]]:
        """pid -> [resident bytes, open files] of each process that is up."""
        found = {}
        for slot in (*self.workers, *self.interfaces):
            if slot.up:
                assert slot.process is not None
                files = len(os.listdir(f"/proc/{slot.process.pid}/fd"))
                found[str(slot.process.pid)] = [slot.process.rss(), files]
        return found


def interrupted() -> None:
    """Let SIGTERM end this process as Ctrl-C does: with everything cleaned up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
