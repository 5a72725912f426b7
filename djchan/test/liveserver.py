"""``ChannelLiveServerTestCase``: a real Daphne and a real worker for each test.

From a project's tests; on to ``test.processes``, which is what runs in the new processes, and
back with the port that a browser is to go to::

    the test's process ──► layer of TEST_CONFIG, emptied ──► Daphne, worker ──► ready ──► test
                                                                ▲                         │
                                                                └──────── hung up ────────┘

They are new interpreters, not forks: threads, which a layer and Daphne have, are not forked
well. What they know of the test is its class, its settings, and the name of its database.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import TestResult

from django.conf import ENVIRONMENT_VARIABLE, UserSettingsHolder, settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import TransactionTestCase

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.test.processes import GRACE, DaphneProcess, ProcessSetup, WorkerProcess
from djchan.test_mode import TEST_CONFIG, test_mode

__all__ = [
    "ChannelLiveServerTestCase",
    "DaphneProcess",
    "LiveServer",
    "ProcessSetup",
    "WorkerProcess",
]

READY_SECONDS = 30.0  # For a process to say that it is ready.

_MAIN = "import sys; from djchan.test.processes import main; main(int(sys.argv[1]))"


class LiveServer:
    """A Daphne and a worker, as processes, for the time of one test.

    ``host``: where Daphne listens, on a free port. ``serve_static``: whether static files are
    served. ``worker_threads``: for synchronous consumers. ``ProtocolServerProcess`` and
    ``WorkerProcess``: what the two processes run; subclasses of those of ``test.processes``.

    The layer is the default one, with its TEST_CONFIG; in the test itself too, so that what
    a test sends reaches its sockets. A layer in memory is that of Daphne's process alone.
    """

    host = "localhost"
    ProtocolServerProcess: type[ProcessSetup] = DaphneProcess
    WorkerProcess: type[ProcessSetup] = WorkerProcess
    worker_threads = 1
    serve_static = True

    _port = 0
    # What django.test.override_settings and modify_settings leave on a class.
    _overridden_settings: dict[str, object] | None = None
    _modified_settings: object = None

    @property
    def live_server_url(self) -> str:
        """Where HTTP is served, without a slash behind it."""
        return f"http://{self.host}:{self._port}"

    @property
    def live_server_ws_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://{self.host}:{self._port}"

    @contextmanager
    def serving(self, overridden: Mapping[str, object] | None = None) -> Iterator[None]:
        """Layer, Daphne and worker inside; none of them afterwards.

        ``overridden``: settings that the processes are to have, beside those of the class.
        """
        self._check()
        with ExitStack() as undo:
            wrapper = undo.enter_context(_test_layer())
            attributes = ["ProtocolServerProcess"]
            if not wrapper.local_only():
                attributes.append("WorkerProcess")
            # They start at the same time, and end so: all are told before one is waited for.
            waits, hang_ups = undo.enter_context(ExitStack()), undo.enter_context(ExitStack())
            started = []
            for attribute in attributes:
                process = _Process(_order(type(self), attribute, overridden or {}))
                waits.callback(process.wait)
                hang_ups.callback(process.hang_up)
                started.append(process)
            self._port, *_ = [process.wait_ready() for process in started]
            yield

    def _check(self) -> None:
        """Raise ImproperlyConfigured for what other processes could not share."""
        name = type(self).__name__
        for each in connections.all():
            connection: Any = each
            if connection.vendor == "sqlite" and connection.is_in_memory_db():
                raise ImproperlyConfigured(
                    f"{name} cannot be used with the in-memory database {connection.alias!r}: "
                    "Daphne and the worker are other processes. Give it a file for tests: "
                    '"TEST": {"NAME": BASE_DIR / "test.sqlite3"}.'
                )
        if len(channel_layers.configs) > 1:
            raise ImproperlyConfigured(
                f"{name} serves the default channel layer, and CHANNEL_LAYERS has "
                f"{', '.join(map(repr, channel_layers.configs))}: leave the others out with "
                "@override_settings(CHANNEL_LAYERS=…) on the class."
            )
        if ENVIRONMENT_VARIABLE not in os.environ:
            raise ImproperlyConfigured(
                f"{name} needs settings in a module that {ENVIRONMENT_VARIABLE} names: what "
                "settings.configure() was given no other process knows."
            )
        if "<locals>" in type(self).__qualname__ or type(self).__module__ == "__main__":
            raise ImproperlyConfigured(
                f"{name} must be a class of a module that other processes can import, not of a "
                f"function or script: it is {type(self).__module__}.{type(self).__qualname__}."
            )


class ChannelLiveServerTestCase(LiveServer, TransactionTestCase):
    """Runs each test beside a Daphne and a worker: for browsers, and clients of every kind.

    See ``LiveServer`` for the attributes.
    """

    # The processes live in run(), as the layers of ChannelTestCase: after Django has set up
    # the database and before it empties it, and around a setUp that does not call ours.

    def run(self, result: TestResult | None = None) -> TestResult | None:
        if self._is_skipped():
            return super().run(result)
        if result is None:
            result = self.defaultTestResult()
        with ExitStack() as undo:
            try:
                undo.enter_context(self.serving())
            except Exception:
                # From here it would end the run of all tests.
                result.startTest(self)
                result.addError(self, sys.exc_info())
                result.stopTest(self)
                return result
            return super().run(result)

    def debug(self) -> None:
        with self.serving():
            super().debug()

    def _is_skipped(self) -> bool:
        method = getattr(self, self._testMethodName)
        return any(getattr(each, "__unittest_skip__", False) for each in (type(self), method))


class FixtureServer(LiveServer):
    """What the pytest fixture ``channel_live_server`` gives."""

    @property
    def url(self) -> str:
        """Where HTTP is served, without a slash behind it."""
        return self.live_server_url

    @property
    def ws_url(self) -> str:
        """The same for WebSockets."""
        return self.live_server_ws_url


def changed_settings() -> dict[str, object]:
    """The settings that are overridden now (by the fixture ``settings``, say)."""
    changed: dict[str, object] = {}
    holder = settings._wrapped
    while isinstance(holder, UserSettingsHolder):
        changed = {name: vars(holder)[name] for name in vars(holder) if name.isupper()} | changed
        holder = holder.default_settings
    changed.pop("SETTINGS_MODULE", None)
    return changed


class _Process:
    """One process, from its start to its end: what ``order`` names."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.name = order["process"]
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # What is imported here is imported there.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
            )
        self._line.settimeout(READY_SECONDS)
        self._line.sendall(json.dumps(order).encode() + b"\n")

    def wait_ready(self) -> int:
        """Wait until it serves; its port, or 0."""
        try:
            with self._line.makefile() as lines:
                line = lines.readline()
        except TimeoutError:
            raise RuntimeError(
                f"{self.name} of a live test was not ready within {READY_SECONDS:g} seconds."
            ) from None
        word = json.loads(line) if line else f"It ended with {self._process.wait()}."
        if not word.startswith("ready "):
            raise RuntimeError(f"{self.name} of a live test could not start:\n{word}")
        return int(word.removeprefix("ready "))

    def hang_up(self) -> None:
        """Let it end; returns at once."""
        self._line.close()

    def wait(self) -> None:
        """Wait for its end, for some seconds."""
        try:
            self._process.wait(2 * GRACE + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def _test_layer() -> Iterator[ChannelLayerWrapper]:
    """The layer of TEST_CONFIG under the default alias, empty; then what was there before."""
    wrapper = channel_layers.make_test_backend(DEFAULT_CHANNEL_LAYER)
    before = channel_layers.set(DEFAULT_CHANNEL_LAYER, wrapper)
    try:
        if "flush" in wrapper.extensions:
            wrapper.flush()
        with test_mode.using(TEST_CONFIG):
            yield wrapper
    finally:
        channel_layers.set(DEFAULT_CHANNEL_LAYER, before)
        wrapper.channel_layer.close()


def _order(
    case: type[LiveServer], attribute: str, overridden: Mapping[str, object]
) -> dict[str, Any]:
    """What a process is to know of the test."""
    return {
        "debug": settings.DEBUG,
        "module": case.__module__,
        "case": case.__qualname__,
        "process": attribute,
        "overridden": _overridden({**(case._overridden_settings or {}), **overridden}),
        "databases": {
            alias: {
                name: str(connections[alias].settings_dict[name])
                for name in ("NAME", "USER", "PASSWORD")
            }
            for alias in connections
        },
    }


def _overridden(values: dict[str, object]) -> dict[str, object]:
    """Those values of settings that JSON has. The others the class has again, over there.

    A value may be of this run alone: the path of a folder that was made for the test.
    """
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Path):
            value = str(value)
        try:
            if json.loads(json.dumps(value)) == value:
                found[name] = value
        except (TypeError, ValueError):
            continue
    return found
