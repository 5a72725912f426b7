"""A small project with live tests; LAYER and FOLDER come from whoever runs them."""

import json
import os
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])
LAYER = json.loads(os.environ["LAYER"])

SECRET_KEY = "only-for-tests"
DEBUG = True  # A test runner turns it off, and so must the processes.
ALLOWED_HOSTS: list[str] = []
ROOT_URLCONF = "livesite.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = [
    "djchan",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
FOLDER_OF_THE_TEST = None
COLORS: list[str] = []

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "site.sqlite3",
        "TEST": {"NAME": FOLDER / "test.sqlite3"},
    }
}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": LAYER["BACKEND"],
        "ROUTING": "livesite.routing.routing",
        # What no test may reach.
        "CONFIG": LAYER.get("CONFIG", {}),
        "TEST_CONFIG": LAYER.get("TEST_CONFIG", {}),
    },
}
