"""Which keys have values that are not shown: a pattern of the project's, or Django's."""

import re

import pytest
from django.views.debug import get_default_exception_reporter_filter

from djchan.hidden import hidden_keys


@pytest.mark.parametrize("name", ["password", "API_KEY", "access_token", "X-Auth"])
def test_what_django_hides_is_hidden(name):
    assert hidden_keys().search(name)
    assert not hidden_keys().search("path")


def test_the_projects_own_filter_counts(settings):
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = f"{__name__}.Filter"
    get_default_exception_reporter_filter.cache_clear()
    try:
        assert hidden_keys().search("iban") and not hidden_keys().search("password")
    finally:
        get_default_exception_reporter_filter.cache_clear()


class Filter:
    hidden_settings = re.compile("iban")


def test_a_pattern_of_the_project(settings):
    settings.CHANNEL_HIDDEN_KEYS = "^pin$"
    assert hidden_keys().search("PIN") and not hidden_keys().search("password")
