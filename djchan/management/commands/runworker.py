"""``manage.py runworker``: a process that runs consumers.

From the command line; on to ``djchan.worker``. One process serves any number of channels
with ``--threads`` and ``--concurrency``; several processes share the work by themselves.
"""

import atexit
import gc
import logging
import threading
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.management.base import SystemCheckError
from django.utils import autoreload

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.arguments import positive_int
from djchan.asgi import ChannelLayerWrapper
from djchan.checks import shared_layer
from djchan.delay.consumer import serve_delay
from djchan.exceptions import BrokerError, InvalidChannelLayer
from djchan.log import LIBRARY, setup_logger
from djchan.logging_setup import setup_logging
from djchan.process import Beginning, begin_anew, leave, leave_by
from djchan.reload import run_with_reloader
from djchan.signals import worker_process_ready
from djchan.staticfiles import StaticFilesConsumer
from djchan.worker import Worker

RELOAD_SECONDS = 3.0  # What a developer waits for a running consumer at a reload.


class Command(BaseCommand):
    """A project's own command may be a subclass of it: its methods are made to be overridden.

    ``channel_layer``, ``options``, ``verbosity`` and ``logger`` are there when the worker is
    made, as in Channels 1.x.
    """

    help = "Runs the consumers of a channel layer."
    # The checks import the routing: under --reload that is for the reloader to see fail.
    requires_system_checks = ()

    channel_layer: ChannelLayerWrapper
    options: dict[str, Any]
    verbosity: int
    logger = logging.getLogger(LIBRARY)
    _leaves_at: float | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="Alias of the channel layer to serve (default: %(default)s).",
        )
        parser.add_argument(
            "--only-channels",
            action="append",
            metavar="GLOB",
            help="Serves only channels that match; may be given several times.",
        )
        parser.add_argument(
            "--exclude-channels",
            action="append",
            metavar="GLOB",
            help="Does not serve channels that match; may be given several times.",
        )
        parser.add_argument(
            "--threads",
            type=positive_int,
            help="Threads for synchronous consumers (default: 1).",
        )
        parser.add_argument(
            "--concurrency",
            type=positive_int,
            help="Async consumers that run at the same time (default: 100).",
        )
        parser.add_argument(
            "--reload",
            action="store_true",
            help="Starts anew when code changes; for development.",
        )
        parser.add_argument("--skip-checks", action="store_true", help="Skips system checks.")

    def run_from_argv(self, argv: list[str]) -> None:
        """From a command line: what follows is the end of the interpreter."""
        try:
            super().run_from_argv(argv)
        finally:
            if self._leaves_at is not None:
                leave_by(self._leaves_at)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reload"]:
            run_with_reloader(self.serve, **options)
        else:
            self.serve(**options)

    def serve(self, **options: Any) -> None:
        """Run a worker until it is stopped."""
        autoreload.raise_last_exception()
        if not options.get("skip_checks", True):
            self._run_checks(options["layer"], reload=options["reload"])
        self.options, self.verbosity = options, options["verbosity"]
        setup_logger(LIBRARY, self.verbosity, style=self.style, force_color=options["force_color"])
        beginning = Beginning()  # Before the project's consumers are imported.
        worker = self.make_worker(**options)
        setup_logging()  # What was imported may have set up Django again.
        worker_process_ready.send(sender=worker)
        worker.ready()
        ended = threading.Event()

        def stop() -> None:
            worker.stop()
            ended.wait(RELOAD_SECONDS)

        if options["reload"]:
            # A reload ends the process from another thread, with sys.exit().
            atexit.register(stop)
        # What was imported stays: no full collection need go through it between two messages.
        gc.collect()
        gc.freeze()
        try:
            worker.run()
        except BrokerError as error:
            raise CommandError(str(error)) from error
        finally:
            ended.set()
            atexit.unregister(stop)
            self._leaves_at = None if options["reload"] else (worker.leaves_at or None)
        if worker.restart:
            begin_anew(beginning)
        if worker.unfinished and not options["reload"]:
            # Their threads would keep the interpreter from ending.
            leave(1)

    def make_worker(self, **options: Any) -> Worker:
        """The worker that the options ask for. Raises CommandError when there cannot be one."""
        wrapper = self.channel_layer = self.get_layer(options["layer"])
        wrapper.router.check_default(http_consumer=self.get_consumer())
        serve_delay(wrapper.router)
        try:
            return Worker(
                wrapper,
                callback=self.consumer_called if options["verbosity"] > 1 else None,
                signal_handlers=not options["reload"],
                only_channels=options["only_channels"],
                exclude_channels=options["exclude_channels"],
                threads=options["threads"],
                concurrency=options["concurrency"],
                # A reload watches this very process; it is for development.
                can_restart=not options["reload"],
            )
        except InvalidChannelLayer as error:
            raise CommandError(str(error)) from error

    def _run_checks(self, alias: str, *, reload: bool) -> None:
        try:
            self.check()
        except SystemCheckError:
            routing = settings.CHANNEL_LAYERS.get(alias, {}).get("ROUTING")
            if reload and isinstance(routing, str):
                # The reloader watches the file that raised: a check's message does not tell it.
                import_module(routing.rpartition(".")[0])
            raise

    def get_layer(self, alias: str) -> ChannelLayerWrapper:
        """The layer to serve. Raises CommandError when no worker can serve it from here."""
        return shared_layer(alias)

    def get_consumer(self) -> Any:
        """The consumer of requests that no route takes; None: Django's views."""
        if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
            return StaticFilesConsumer()
        return None

    def consumer_called(self, channel: str, message: Any) -> None:
        """With ``-v 2``: a line for each message."""
        self.stdout.write(f"{channel} {message.id} (attempt {message.attempt})")
