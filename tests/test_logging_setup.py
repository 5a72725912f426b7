"""djchan.logging_setup: Django's logging, set up once and again."""

import logging

import django
import pytest
from django.apps import apps
from django.utils.log import configure_logging

from djchan.asgi import get_channel_layer
from djchan.binding.base import BindingMetaclass
from djchan.logging_setup import default_handlers, setup_logging
from djchan.terminal import Rank, rank_of

pytestmark = pytest.mark.usefixtures("loggers")

EMPTY = {"version": 1, "disable_existing_loggers": False}


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ({}, ["console", "mail_admins"]),
        ({**EMPTY, "loggers": {"shop": {}}}, ["console", "mail_admins"]),
        ({**EMPTY, "loggers": {"django": {"level": "INFO"}}}, []),
    ],
    ids=["absent", "others", "django"],
)
def test_djangos_handlers_are_those_the_project_has_not_replaced(settings, own, names):
    settings.LOGGING = own
    configure_logging(settings.LOGGING_CONFIG, own)
    assert [each.name for each in default_handlers()] == names


def test_without_djangos_own_configuration_all_handlers_are_the_projects(settings):
    settings.LOGGING_CONFIG = None
    handler = logging.NullHandler()
    handler.name = "console"
    logging.getLogger("django").addHandler(handler)
    assert default_handlers() == []


def test_a_second_setup_of_django_is_followed(settings):
    """As an asgi.py does that asks for Django's application and for ours."""
    settings.LOGGING = {"version": 1}  # It disables what exists.
    early = logging.getLogger("djchan.early")
    setup_logging()
    django.setup(set_prefix=False)
    assert early.disabled
    (console, _) = default_handlers()
    assert rank_of(console) is Rank.PROJECT
    get_channel_layer()
    assert not early.disabled
    (console, mail) = default_handlers()
    assert rank_of(console) is rank_of(mail) is Rank.DJANGO


def test_a_server_that_begins_to_run_looks_again(settings, monkeypatch):
    begun = []
    monkeypatch.setattr("djchan.apps.when_running", begun.append)
    monkeypatch.setattr(BindingMetaclass, "register_all", lambda: None)
    apps.get_app_config("djchan").ready()
    settings.LOGGING = {"version": 1}
    early = logging.getLogger("daphne.early")
    django.setup(set_prefix=False)
    assert early.disabled
    begun[0]()
    assert not early.disabled
