"""``manage.py score``: write a score from the command line, or play a whole match."""

import random
import time
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from djchan.asgi import get_channel_layer
from realtime.scores.models import MINUTES, Match

STEP = 3  # Minutes of the match in one step of the demo.


class Command(BaseCommand):
    help = "Changes the score of a match (score harbor-hills home +1), or plays one (--demo)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("match", nargs="?", help="its slug; with --demo, the first by default")
        parser.add_argument("side", nargs="?", choices=("home", "away"))
        parser.add_argument("by", nargs="?", type=int, help="+1, or -1 to take one back")
        parser.add_argument("--demo", action="store_true", help="play a match from its kick-off")
        parser.add_argument(
            "--pause", type=float, default=1.0, help="seconds between two steps of the demo (1)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        match = self.find(options["match"])
        if get_channel_layer().local_only():
            self.stderr.write(
                "The channel layer is in memory, so nothing that this process sends reaches an "
                "open page. The score is kept: pages show it when they are loaded anew."
            )
        if options["demo"]:
            self.play(match, pause=max(0.0, options["pause"]))
        elif options["by"] is None:
            raise CommandError("Say whose score and by how much: home +1. Or --demo.")
        elif not match.change(**{f"{options['side']}_goals": options["by"]}):
            raise CommandError(f"Not changed: a score is not below 0. It is {match}.")
        self.stdout.write(str(match))

    def find(self, slug: str | None) -> Match:
        match = Match.objects.filter(**({"slug": slug} if slug else {})).first()
        if match is None:
            slugs = ", ".join(Match.objects.values_list("slug", flat=True))
            raise CommandError(f"There is no match {slug!r}. There are: {slugs or 'none'}.")
        return match

    def play(self, match: Match, *, pause: float) -> None:
        match.begin()
        while match.minute < MINUTES:
            time.sleep(pause)
            scored = random.choices(({"home_goals": 1}, {"away_goals": 1}, {}), (1, 1, 8))[0]
            match.change(minute=min(STEP, MINUTES - match.minute), **scored)
            self.stdout.write(f"{match.minute:2}' {match}")
