"""Whose values are not shown to people: in ``manage.py deadletters``, and in the log.

The setting CHANNEL_HIDDEN_KEYS is a pattern that is looked for in the names of keys, headers
and query parameters. Its default is what Django hides in its own reports: ``hidden_settings`` of
the project's DEFAULT_EXCEPTION_REPORTER_FILTER.
"""

import re

from django.views.debug import get_default_exception_reporter_filter

from djchan.conf import setting


def hidden_keys() -> re.Pattern[str]:
    """Raises re.error for a setting that is no pattern."""
    given = setting("CHANNEL_HIDDEN_KEYS")
    if given is None:
        hidden: re.Pattern[str] = get_default_exception_reporter_filter().hidden_settings
        return hidden
    return re.compile(given, re.IGNORECASE)
