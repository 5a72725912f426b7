"""The matches that a migration makes, for the tests of this process."""

from importlib import import_module

import pytest
from django.apps import apps

MIGRATION = import_module("realtime.scores.migrations.0002_matches")


@pytest.fixture
def matches(db):
    """Made anew: a test elsewhere that commits leaves all tables empty."""
    MIGRATION.make(apps, None)
