"""Imports and calls that are told by name alone."""

import textwrap

import pytest

from djchan.upgrade.facts import notes
from djchan.upgrade.modules import Module, parsed


def told(text: str, path: str = "app.py") -> list[tuple[int, str]]:
    text = textwrap.dedent(text)
    tree = parsed(text)
    assert tree is not None
    return [(note.line, note.sentence) for note in notes([Module(path, text, tree)])]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("from channels.exceptions import ResponseLater", "works again"),
        (
            "from channels.handler import AsgiRequest; raise AsgiRequest.ResponseLater()",
            "works again",
        ),
        ("from channels.worker import WorkerGroup", "all threads"),
        ("from djchan.worker import WorkerGroup", "all threads"),
        ("import djchan.worker; djchan.worker.WorkerGroup()", "all threads"),
        ("from channels.sessions import requeue_messages", "requeued"),
        ("from channels.sessions import session_for_reply_channel", "CHANNEL_SESSION_ENGINE"),
        ("from channels_presence.models import Room", "channels_presence"),
        ("class A(TestCase): multi_db = True", "django-upgrade"),
        ("from daphne.server import Server", "Daphne 4"),
        ("if user.is_authenticated(): pass", "is_authenticated"),
        ("request.is_ajax()", "is_ajax"),
        ("from django.utils.six import text_type", "six"),
        ("from django.utils.six import python_2_unicode_compatible", "decorator"),
        ("from django.contrib.auth.views import login, PasswordResetForm", "LoginView"),
        ("from django.shortcuts import render_to_response", "render("),
    ],
)
def test_one_note(line: str, word: str):
    [(number, sentence)] = told(f"\n{line}\n")
    assert number == 2
    assert word in sentence


@pytest.mark.parametrize(
    "line",
    [
        "from .exceptions import ResponseLater",
        "from django.urls import path",
        "from django.contrib.auth.views import LoginView",
        "user.is_authenticated",
        "if x.is_authenticated(1): pass",
        "from django.db import models; models.ForeignKey('a', on_delete=models.CASCADE)",
        "from django.db import models; models.ForeignKey('a', models.CASCADE)",
        "from channels.sessions import channel_session",
    ],
)
def test_none(line: str):
    assert told(line) == []


def test_a_package_of_the_project_is_no_other_app():
    assert told("from channels_shop.models import Room", "channels_shop/views.py") == []


def test_what_django_upgrade_mends_is_said_once():
    found = told("""
        from django.conf.urls import url
        from django.core.urlresolvers import reverse
        from django.utils.translation import ugettext as _
        from django.db import models
        owner = models.ForeignKey("a")
    """)

    assert found == [
        (
            2,
            "This, and 3 more lines, is gone from Django: `django-upgrade --target-version 5.2` "
            "mends it.",
        )
    ]
