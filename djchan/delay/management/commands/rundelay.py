"""``manage.py rundelay``: a process for ``asgi.delay`` and the rows of delayed messages.

From the command line; on to ``djchan.delay.worker``. With djchan's layers it is needed by those
who have rows of Channels 1.x left, or whose workers do not serve ``asgi.delay``. Several may run.
"""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.arguments import positive_seconds
from djchan.checks import shared_layer
from djchan.delay.worker import Worker
from djchan.exceptions import BrokerError
from djchan.log import LIBRARY, setup_logger


class Command(BaseCommand):
    help = "Sends delayed messages when they are due."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            help="Alias of the channel layer to serve (default: %(default)s).",
        )
        parser.add_argument(
            "-s",
            "--sleep",
            type=positive_seconds,
            default=1.0,
            help="Seconds between two looks for rows that are due (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        setup_logger(
            LIBRARY, options["verbosity"], style=self.style, force_color=options["force_color"]
        )
        worker = Worker(self.get_layer(options["layer"]), database_sleep_duration=options["sleep"])
        try:
            worker.run()
        except BrokerError as error:
            raise CommandError(str(error)) from error

    def get_layer(self, alias: str) -> Any:
        """The layer to serve. Raises CommandError when it cannot be served from here."""
        return shared_layer(alias)
