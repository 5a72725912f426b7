"""``manage.py runserver``: Daphne and workers in one process, for development.

From the command line; on to Daphne (its reactor, in this thread), the interface, the layer
that the settings name, and a worker in a thread of its own::

    main thread            autoreloader (or, with --noreload, Daphne itself)
    django-main-thread     Daphne ── interface ──┐
    djchan-worker          Worker, its threads ──┴── channel layer

Socket views (``djchan.urls``) are served beside: without a layer too, and then without a
worker. Django's own command comes back without either, and with ``--noasgi``.
"""

import atexit
import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.contrib.staticfiles.management.commands.runserver import Command as StaticCommand
from django.core.asgi import get_asgi_application
from django.core.management import CommandParser
from django.core.management.color import no_style
from django.core.servers.basehttp import WSGIServer
from django.db import connections
from django.utils import autoreload
from django.utils.log import ServerFormatter
from django.utils.module_loading import import_string

from djchan import DEFAULT_CHANNEL_LAYER, __version__
from djchan.arguments import positive_int
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.checks import broker_problem, for_channels4_alone, sentence
from djchan.delay.consumer import serve_delay
from djchan.handler import ViewConsumer
from djchan.interface.reactor import Sockets
from djchan.log import LIBRARY, REQUESTS, escaping, setup_logger
from djchan.logging_setup import setup_logging
from djchan.sockets.application import SocketViews
from djchan.staticfiles import StaticFilesConsumer
from djchan.terminal import handlers_of, refuses_color
from djchan.urls import has_socket_views, websockets
from djchan.worker import Worker

logger = escaping(logging.getLogger(__name__))
access_logger = escaping(logging.getLogger(REQUESTS))

HTTP_TIMEOUT = 60
HANDSHAKE_TIMEOUT = 5
WORKER_THREADS = 4
STOP_SECONDS = 3.0  # What a developer waits for a running consumer at Ctrl-C or a reload.

_BIND_ERRORS = {
    errno.EACCES: "You don't have permission to access that port.",
    errno.EADDRINUSE: "That port is already in use.",
    errno.EADDRNOTAVAIL: "That IP address can't be assigned to.",
}


class Command(StaticCommand):
    help = "Starts Daphne and workers in one process, for development."

    protocol = "http"
    server_cls: Any = Server

    # Set by Django's handle().
    addr: str
    port: str
    use_ipv6: bool
    _raw_ipv6: bool

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="Runs no worker: start one yourself, with runworker.",
        )
        parser.add_argument(
            "--noasgi",
            action="store_false",
            dest="use_asgi",
            help="Runs Django's own WSGI server, without channels.",
        )
        parser.add_argument(
            "--http_timeout",
            type=positive_int,
            help="Seconds until a request without a response gets a 503 "
            f"(default: {HTTP_TIMEOUT}).",
        )
        parser.add_argument(
            "--websocket_handshake_timeout",
            type=positive_int,
            default=HANDSHAKE_TIMEOUT,
            help="Seconds until a WebSocket that no consumer accepted is refused "
            f"(default: {HANDSHAKE_TIMEOUT}).",
        )

    def inner_run(self, *args: Any, **options: Any) -> None:
        alone = for_channels4_alone(
            DEFAULT_CHANNEL_LAYER, channel_layers.configs.get(DEFAULT_CHANNEL_LAYER)
        )
        layered = DEFAULT_CHANNEL_LAYER in channel_layers and not alone
        served = layered or has_socket_views() or (alone and _asgi_path() is not None)
        if not options["use_asgi"] or not served:
            self.server_cls = WSGIServer
            super().inner_run(*args, **options)
            return
        autoreload.raise_last_exception()
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()
        wrapper = channel_layers[DEFAULT_CHANNEL_LAYER] if layered else None
        self._quit_unless_usable(wrapper)
        self._serve(wrapper, options)

    def _serve(self, wrapper: ChannelLayerWrapper | None, options: Mapping[str, Any]) -> None:
        """Run worker and server until Ctrl-C, a signal, or a reload."""
        application = self.get_application(wrapper, options)
        setup_logging()  # The project's asgi.py may have set up Django again.
        setup_logger(
            LIBRARY, options["verbosity"], style=self.style, force_color=options["force_color"]
        )
        if options["no_color"] or (refuses_color() and not options["force_color"]):
            _decolor(access_logger)
        server = self.server_cls(
            application=application,
            endpoints=build_endpoint_description_strings(host=self._host(), port=self.port),
            # The autoreloader runs this in a thread, where signals cannot be handled.
            signal_handlers=not options["use_reloader"],
            action_logger=self.log_action,
            # The interface has a timeout of its own; other applications have Daphne's.
            http_timeout=None if _of_layer(application, wrapper) else options["http_timeout"],
            root_path=getattr(settings, "FORCE_SCRIPT_NAME", "") or "",
            websocket_handshake_timeout=options["websocket_handshake_timeout"],
        )
        self.stdout.write(self._banner(wrapper))
        stop, sockets = _nothing, Sockets()
        if wrapper is not None and options["run_worker"]:
            stop = self._start_worker(wrapper, options)
        try:
            server.run()
        except KeyboardInterrupt:
            pass
        finally:
            stop()
            del sockets
        if options.get("shutdown_message"):
            self.stdout.write(options["shutdown_message"])

    def get_application(
        self, wrapper: ChannelLayerWrapper | None, options: Mapping[str, Any]
    ) -> Any:
        """What Daphne serves: ASGI_APPLICATION; without one the layer's interface, or Django
        where there is no layer, with the socket views of the URLconf."""
        if wrapper is not None:
            _set_timeouts(wrapper, options)
        path = _asgi_path()
        application: Any
        if path is not None:
            application = import_string(path)
        elif has_socket_views():
            application = websockets(
                wrapper or get_asgi_application(), connect_timeout=_handshake(options)
            )
        else:
            application = wrapper
        if _of_layer(application, wrapper) or not self._serves_static(options):
            return application
        return ASGIStaticFilesHandler(application)

    def get_consumer(self, *args: Any, **options: Any) -> Any:
        """The consumer of the requests that no route of the project takes."""
        return StaticFilesConsumer() if self._serves_static(options) else ViewConsumer()

    def get_handler(self, *args: Any, **options: Any) -> Any:
        if not apps.is_installed("django.contrib.staticfiles"):
            options["use_static_handler"] = False
        return super().get_handler(*args, **options)

    def _serves_static(self, options: Mapping[str, Any]) -> bool:
        # A project's own get_consumer() may leave the options out.
        return (
            apps.is_installed("django.contrib.staticfiles")
            and options.get("use_static_handler", True)
            and (settings.DEBUG or options.get("insecure_serving", False))
        )

    def _start_worker(self, wrapper: ChannelLayerWrapper, options: Mapping[str, Any]) -> Any:
        """Start a worker beside the server; answers with what stops it."""
        wrapper.router.check_default(http_consumer=self.get_consumer(**options))
        serve_delay(wrapper.router)
        worker = Worker(
            wrapper,
            signal_handlers=False,
            threads=WORKER_THREADS if options["use_threading"] else 1,
        )
        worker.ready()
        thread = threading.Thread(
            target=self._work, args=(worker,), name="djchan-worker", daemon=True
        )
        thread.start()

        def stop() -> None:
            worker.stop()
            thread.join(STOP_SECONDS)

        # A reload ends the process from another thread, with sys.exit().
        atexit.register(stop)
        return stop

    def _work(self, worker: Worker) -> None:
        try:
            worker.run()
        except Exception:
            logger.exception("The worker of runserver ended; requests will not be answered.")

    def _quit_unless_usable(self, wrapper: ChannelLayerWrapper | None) -> None:
        """End the process, with one sentence, when layer or port cannot be used."""
        problem = None if wrapper is None else broker_problem(wrapper)
        if problem is not None:
            self._quit(sentence(problem))
        family = socket.AF_INET6 if self.use_ipv6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host(), int(self.port)))
            except OSError as error:
                self._quit(_BIND_ERRORS.get(error.errno or 0, str(error)))

    def _quit(self, why: str) -> None:
        self.stderr.write(f"Error: {why}")
        sys.stderr.flush()
        sys.stdout.flush()
        # Not sys.exit: under the autoreloader this is a thread, whose end ends nothing.
        os._exit(1)

    def _host(self) -> str:
        return "0.0.0.0" if self.addr == "0" else self.addr

    def _banner(self, wrapper: ChannelLayerWrapper | None) -> str:
        host = f"[{self.addr}]" if self._raw_ipv6 else self._host()
        key = "CTRL-BREAK" if sys.platform == "win32" else "CONTROL-C"
        what = f"Channel layer {wrapper}"
        if wrapper is None:
            what = "Socket views" if has_socket_views() else f"{_asgi_path()}"
            what += ", no channel layer"
        return (
            f"{datetime.now():%B %d, %Y - %X}\n"
            f"Django version {self.get_version()}, djchan version {__version__}, "
            f"using settings {settings.SETTINGS_MODULE!r}\n"
            f"Starting Channels development server at {self.protocol}://{host}:{self.port}/\n"
            f"{what}\n"
            f"Quit the server with {key}.\n"
        )

    def log_action(self, protocol: str, action: str, details: Mapping[str, Any]) -> None:
        """Log what Daphne did, where Django's runserver logs its requests."""
        line = describe(protocol, action, details)
        if line is None:
            return
        level = logging.INFO
        extra = {"client": details.get("client"), "server_time": f"{datetime.now():%d/%b/%Y %X}"}
        if protocol == "http":
            status = int(details["status"])
            extra |= {"status_code": status, "duration": details["time_taken"]}
            level = _level(status)
        access_logger.log(level, "%s", line, extra=extra)


def _decolor(logger: logging.Logger) -> None:
    """Take the colors off the lines of Django's formatter, which does not look at either."""
    for handler in handlers_of(logger):
        if isinstance(handler.formatter, ServerFormatter):
            handler.formatter.style = no_style()


def _level(status: int) -> int:
    """The level at which Django's runserver logs a response."""
    if status < 400:
        return logging.INFO
    return logging.WARNING if status < 500 else logging.ERROR


_WEBSOCKET = {
    "connecting": "HANDSHAKING",
    "connected": "CONNECT",
    "disconnected": "DISCONNECT",
    "rejected": "REJECT",
}


def describe(protocol: str, action: str, details: Mapping[str, object]) -> str | None:
    """One line for an action of Daphne's; None for one that is not worth a line."""
    # A path is a client's text: nothing in it may steer the terminal.
    path = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in str(details.get("path", ""))
    )
    client = details.get("client")
    if protocol == "http" and action == "complete":
        return (
            f"HTTP {details['method']} {path} {details['status']} "
            f"[{details['time_taken']:.2f}, {client}]"
        )
    if protocol == "websocket" and action in _WEBSOCKET:
        return f"WebSocket {_WEBSOCKET[action]} {path} [{client}]"
    return None


def _asgi_path() -> str | None:
    path: str | None = getattr(settings, "ASGI_APPLICATION", None)
    return path


def _of_layer(application: Any, wrapper: ChannelLayerWrapper | None) -> bool:
    """Whether the layer's interface takes the requests, which then go to workers."""
    if isinstance(application, SocketViews):
        application = application.app
    return application is wrapper


def _set_timeouts(wrapper: ChannelLayerWrapper, options: Mapping[str, Any]) -> None:
    if options["http_timeout"] is not None:
        wrapper.interface_options["http_timeout"] = options["http_timeout"]
    wrapper.interface_options.setdefault("http_timeout", HTTP_TIMEOUT)
    wrapper.interface_options.setdefault("connect_timeout", _handshake(options))


def _handshake(options: Mapping[str, Any]) -> float:
    """Seconds until we refuse a handshake: a little before Daphne cuts, so that it is a 403."""
    return 0.8 * float(options["websocket_handshake_timeout"])


def _nothing() -> None:
    pass
