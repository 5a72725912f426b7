"""``manage.py notify bob "Dinner is ready"``: from a shell, or from cron."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, CommandParser

from djchan import channel_layers
from realtime.notifications.models import Notification
from realtime.notifications.push import notify


class Command(BaseCommand):
    help = "Pushes a notification to all sockets of one person."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Of the user.")
        parser.add_argument("text", help="Up to 200 characters.")

    def handle(self, *args: Any, **options: Any) -> None:
        name, text = options["name"], options["text"].strip()
        if not 0 < len(text) <= 200:
            raise CommandError(f"The text has {len(text)} characters; from 1 to 200 are allowed.")
        user = get_user_model().objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"Nobody is called {name!r} here. Has {name} ever signed in?")
        notify(user, text, way=Notification.Way.COMMAND)
        self.stdout.write(f"Kept for {name}, and pushed.")
        if channel_layers["default"].local_only():
            self.stderr.write(
                "The channel layer is in memory, so no socket of another process was reached: the "
                "page shows it when it connects again. Set REDIS_URL for both, or try make prod."
            )
