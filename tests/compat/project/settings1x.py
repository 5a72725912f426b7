"""A project of Channels 1.x on today's Django; REDIS_URL and the rest come from the test."""

import json
import os

SECRET_KEY = os.environ.get("SECRET", "new")
SECRET_KEY_FALLBACKS = ["old"]
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls1x"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = None
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "djchan",
    "djchan.delay",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "liveblog",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "lines.views.stamp",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "ROUTING": "routing1x.channel_routing",
        "CONFIG": {
            "hosts": [os.environ["REDIS_URL"]],
            **json.loads(os.environ.get("LAYER_CONFIG", "{}")),
        },
        "INTERFACE": {
            "connect_timeout": 2.0,
            "root_path_header": True,
            **json.loads(os.environ.get("LAYER_INTERFACE", "{}")),
        },
        "WORKER": {"retry_delay": 0.02},
    },
}
