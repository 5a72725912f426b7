#!/usr/bin/env python
import sys

import django
from django.conf import settings

DEFAULTS = dict(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "channels",
        "channels.delay",
        "scorekeeper",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MIDDLEWARE_CLASSES=(),
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "asgiref.inmemory.ChannelLayer",
            "ROUTING": "tests.routing.routing",
        },
    },
)


def main():
    settings.configure(**DEFAULTS)
    django.setup()
    from django.test.utils import get_runner
    failures = get_runner(settings)(verbosity=0).run_tests(["tests"])
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
