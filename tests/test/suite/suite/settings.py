"""A site with a Redis that no test may reach, and one for tests."""

import os
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS: list[str] = []
ROOT_URLCONF = "suite.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = [
    "djchan",
    "djchan.delay",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ASGI_APPLICATION = "suite.asgi.channel_layer"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "site.sqlite3",
        # Processes of the test runner that are spawned, not forked, copy one in memory only.
        "TEST": {} if os.environ.get("START") == "spawn" else {"NAME": FOLDER / "test.sqlite3"},
    }
}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "djchan.layers.redis.RedisChannelLayer",
        "ROUTING": "suite.routing.routing",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]], "capacity": 70},
        "TEST_CONFIG": {"hosts": [os.environ["TEST_REDIS_URL"]]},
    },
    "faulty": {
        "BACKEND": "djchan.test.ChaosLayer",
        "ROUTING": "suite.routing.routing",
        "CONFIG": {
            "backend": "djchan.layers.redis.RedisChannelLayer",
            "options": {"hosts": [os.environ["REDIS_URL"]], "prefix": "faulty"},
            "full": {"refused": 1.0},
        },
    },
}
