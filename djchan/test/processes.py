"""The processes of a live test: Daphne, and a worker. What is here runs in them.

From ``test.liveserver``, which starts ``main`` in a new interpreter with a socket to it; on to
Daphne or ``djchan.worker``, on the test database and the layer of TEST_CONFIG::

    test process ──► what to run (JSON) ──► django.setup() ──► DaphneProcess, WorkerProcess
         ▲                                                         │
         ├───────── "ready", with the port; or what failed ────────┘
         └── it closes the socket, or is gone ──► SIGTERM, to ourselves

The processes begin with nothing of the test's: not its patches, not its variables.
"""

import contextlib
import json
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.db import connections
from django.test.utils import modify_settings, override_settings, setup_test_environment
from django.utils.module_loading import import_string

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.delay.consumer import serve_delay
from djchan.handler import ViewConsumer
from djchan.process import leave
from djchan.staticfiles import StaticFilesConsumer
from djchan.worker import Worker

# Named, not imported: it installs a reactor, which a test's own process has no use for.
SERVER = "daphne.server.Server"

# What there is to wait for when a test is over is over too.
_INTERFACE = {"drain": 0.1, "shutdown_grace": 1.0}
GRACE = 2.0  # Seconds that a consumer has which still runs when the test is over.


class ProcessSetup:
    """What a process runs: made in it, and then ``run()``.

    ``case``: the class of the test case, with ``host``, ``serve_static``, ``worker_threads``.
    ``overridden``: values of settings that the test's process has found, by name.
    ``databases``: what to know of the test databases, by alias. ``tell(word)``: to the test.
    """

    def __init__(
        self,
        case: Any,
        *,
        overridden: dict[str, Any],
        databases: dict[str, dict[str, Any]],
        tell: Callable[[str], object],
    ) -> None:
        self.case = case
        self.overridden = overridden
        self.databases = databases
        self.tell = tell

    def run(self) -> None:
        """Serve until SIGTERM."""
        raise NotImplementedError

    def common_setup(self) -> None:
        """Let settings and databases be the test's."""
        self.override_settings()
        self.setup_databases()

    def override_settings(self) -> None:
        """Let the settings be as the decorators of the test case have them."""
        overridden = {**(self.case._overridden_settings or {}), **self.overridden}
        if overridden:
            override_settings(**overridden).enable()
        if self.case._modified_settings:
            modify_settings(self.case._modified_settings).enable()
        modify_settings(ALLOWED_HOSTS={"append": self.case.host}).enable()

    def setup_databases(self) -> None:
        """Use the test databases, which the test's process has made."""
        for alias, database in self.databases.items():
            connections[alias].creation.set_as_test_mirror(database)

    def make_layer(self) -> ChannelLayerWrapper:
        """The default layer with its TEST_CONFIG and routes, the default ones among them."""
        wrapper = channel_layers.make_test_backend(DEFAULT_CHANNEL_LAYER)
        wrapper.interface_options.update(_INTERFACE)
        channel_layers.set(DEFAULT_CHANNEL_LAYER, wrapper)
        return wrapper

    def make_worker(self, wrapper: ChannelLayerWrapper, *, signal_handlers: bool) -> Worker:
        """A worker for it."""
        static = self.serves_static()
        wrapper.router.check_default(StaticFilesConsumer() if static else ViewConsumer())
        serve_delay(wrapper.router)
        return Worker(
            wrapper,
            signal_handlers=signal_handlers,
            threads=self.case.worker_threads,
            grace=GRACE,
        )

    def serves_static(self) -> bool:
        """Whether static files are served, collected or not."""
        return self.case.serve_static and apps.is_installed("django.contrib.staticfiles")


class DaphneProcess(ProcessSetup):
    """Daphne; with a layer in memory, whose messages leave no process, the worker too."""

    def run(self) -> None:
        wrapper = self.make_layer()
        application = self.get_application(wrapper)
        server: Any = import_string(SERVER)(
            application=application,
            endpoints=[f"tcp:port=0:interface={self.case.host}"],
            ready_callable=lambda: self._listens(server),
        )
        if not wrapper.local_only():
            server.run()
            return
        worker = self.make_worker(wrapper, signal_handlers=False)
        worker.ready()
        thread = threading.Thread(target=worker.run, name="djchan-worker", daemon=True)
        thread.start()
        server.run()
        worker.stop()
        thread.join(GRACE + 1)

    def get_application(self, wrapper: ChannelLayerWrapper) -> Any:
        """What Daphne serves: ASGI_APPLICATION, or the layer's interface without one."""
        path = getattr(settings, "ASGI_APPLICATION", None)
        application: Any = wrapper if path is None else import_string(path)
        if application is wrapper or not self.serves_static():
            return application
        return ASGIStaticFilesHandler(application)

    def _listens(self, server: Any) -> None:
        if not server.listening_addresses:
            raise RuntimeError(f"Daphne cannot listen on the host {self.case.host!r}.")
        _, port = server.listening_addresses[0]
        self.tell(f"ready {port}")


class WorkerProcess(ProcessSetup):
    """A worker, with the threads that the test case asks for."""

    def run(self) -> None:
        worker = self.make_worker(self.make_layer(), signal_handlers=True)
        worker.ready()
        self.tell("ready 0")
        worker.run()


def main(descriptor: int) -> None:
    """Run what the test's process asks for at the other end of the socket ``descriptor``."""
    with socket.socket(fileno=descriptor) as line:

        def tell(word: str) -> None:
            with contextlib.suppress(OSError):  # The test is gone.
                line.sendall(json.dumps(word).encode() + b"\n")

        try:
            with line.makefile() as lines:
                _run(json.loads(lines.readline()), line, tell)
        except BaseException:
            tell(traceback.format_exc())
            raise
    # A consumer that does not return keeps no process.
    leave(0)


def _run(order: dict[str, Any], line: socket.socket, tell: Callable[[str], object]) -> None:
    threading.Thread(target=_end_with, args=(line,), name="djchan-line", daemon=True).start()
    django.setup(set_prefix=False)
    setup_test_environment(debug=order["debug"])
    case: Any = import_module(order["module"])
    for name in order["case"].split("."):
        case = getattr(case, name)
    process = getattr(case, order["process"])(
        case, overridden=order["overridden"], databases=order["databases"], tell=tell
    )
    process.common_setup()
    process.run()


def _end_with(line: socket.socket) -> None:
    """Let this process end when the test's process hangs up."""
    with contextlib.suppress(OSError):
        line.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
