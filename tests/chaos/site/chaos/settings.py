"""The site under faults; all that varies comes from ``tests.chaos.fleet`` by environment."""

import json
import os

from tests.chaos import broken

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "chaos.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = ["djchan"]
USE_TZ = True

CHANNEL_LAYERS = {
    "default": {"ROUTING": "chaos.routing.routing", **json.loads(os.environ["CHAOS_LAYER"])},
    "other": {"ROUTING": "chaos.routing.unserved", **json.loads(os.environ["CHAOS_OTHER_LAYER"])},
}

if os.environ.get("CHAOS_BREAK"):
    broken.apply(os.environ["CHAOS_BREAK"])
