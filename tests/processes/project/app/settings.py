"""A small project that the process tests run; REDIS_URL and the rest come from the test."""

import json
import os

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = json.loads(os.environ.get("HOSTS", '["*"]'))
ROOT_URLCONF = "app.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = ["djchan"]
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # Django would refuse a body over 2.5 MB.
ASGI_APPLICATION = "app.asgi.application"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "djchan.layers.redis.RedisChannelLayer",
        "ROUTING": "app.routing.routing",
        "CONFIG": {
            "hosts": [os.environ["REDIS_URL"]],
            **json.loads(os.environ.get("LAYER_CONFIG", "{}")),
        },
        "INTERFACE": json.loads(os.environ.get("LAYER_INTERFACE", "{}")),
        "WORKER": json.loads(os.environ.get("LAYER_WORKER", "{}")),
    },
}
