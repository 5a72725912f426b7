"""``manage.py testserver``: Django's own, on a test database, with the layers of tests.

Its worker would take messages of the site otherwise, for which the test database has no rows.
"""

from django.core.management.commands.testserver import Command as DjangoCommand

from djchan.test_mode import MEMORY, test_mode


class Command(DjangoCommand):
    def handle(self, *fixture_labels: str, **options: object) -> None:
        with test_mode.using(MEMORY):
            super().handle(*fixture_labels, **options)
