"""Django's logging, and the places of our loggers in it.

Each ``django.setup()`` configures logging anew, and a project may call it several times: Django's
``get_asgi_application`` does, and so does ours. So ``setup_logging`` is called when Django starts,
where an asgi.py asks for a layer, and when a server or a command is about to run.
"""

import logging
from collections.abc import Mapping

from django.conf import settings
from django.core.management.color import color_style
from django.utils.log import DEFAULT_LOGGING

from djchan.log import setup_tree

DJANGO = "django"  # The logger.


def setup_logging() -> None:
    """Give our loggers, Daphne's and Django's default handlers their places. Safe to repeat."""
    setup_tree(default_handlers(), color_style())


def default_handlers() -> list[logging.Handler]:
    """The handlers of Django's default LOGGING, where the project has not put its own there."""
    own = settings.LOGGING
    is_own = isinstance(own, Mapping) and DJANGO in own.get("loggers", {})
    if is_own or not settings.LOGGING_CONFIG:
        return []
    names = DEFAULT_LOGGING["loggers"][DJANGO]["handlers"]
    return [each for each in logging.getLogger(DJANGO).handlers if each.name in names]
