"""The settings of the example site. Nothing has to be set to try it.

==========================  ========================================================
variable                    what it changes
==========================  ========================================================
``REDIS_URL``               the layer is this Redis; without it, everything runs in
                            one process and the layer is in memory
``REALTIME_DEBUG``          ``0`` turns DEBUG off (then a secret key has to be given)
``REALTIME_SECRET_KEY``     Django's SECRET_KEY
``REALTIME_ALLOWED_HOSTS``  more host names, with commas between
``REALTIME_DB``             the file of the SQLite database
``REALTIME_MEDIA``          the directory of uploaded images and their thumbnails
==========================  ========================================================
"""

import os
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = os.environ.get("REALTIME_DEBUG", "1").lower() in {"1", "true", "yes", "on"}

SECRET_KEY = os.environ.get("REALTIME_SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "REALTIME_DEBUG is off, so REALTIME_SECRET_KEY has to hold a secret of its own "
            "(python -c 'import secrets; print(secrets.token_urlsafe(50))' makes one)."
        )
    SECRET_KEY = "for-development-only-and-known-to-everybody-who-reads-this-file"

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += filter(None, os.environ.get("REALTIME_ALLOWED_HOSTS", "").split(","))

INSTALLED_APPS = [
    "djchan",  # First: its runserver and runworker are the ones to run.
    "realtime",
    "realtime.echo",
    "realtime.sheet",
    "realtime.rooms",
    "realtime.notifications",
    "realtime.tokens",
    "realtime.logins",
    "realtime.scores",
    "realtime.pingpong",
    "realtime.together",
    "realtime.clock",
    "realtime.ticker",
    "realtime.thumbnails",
    "realtime.people",
    "workers",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

# Django's own from 6.0 on; before that, the same in a few lines.
CSP_MIDDLEWARE = (
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if django.VERSION >= (6, 0)
    else "realtime.csp.ContentSecurityPolicyMiddleware"
)

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    CSP_MIDDLEWARE,
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Nothing but files of this site: no script and no style inside of a page, no other server.
SECURE_CSP = {
    "default-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
}

ROOT_URLCONF = "realtime.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "realtime.systems.shown",
            ]
        },
    }
]

ASGI_APPLICATION = "realtime.asgi.application"

# The channel layer: what interface and workers share.

REDIS_URL = os.environ.get("REDIS_URL", "")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.redis.RedisChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
            "ROUTING": "realtime.routing.channel_routing",
        }
    }
else:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
            "ROUTING": "realtime.routing.channel_routing",
        }
    }

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("REALTIME_DB", BASE_DIR / "db.sqlite3"),
        "OPTIONS": {
            # Several workers write: take the lock when a transaction begins, and wait for
            # it, instead of failing in the middle; readers do not wait for writers (WAL).
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "people:sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
MEDIA_ROOT = Path(os.environ.get("REALTIME_MEDIA", BASE_DIR / "media"))

LANGUAGE_CODE = "en-us"
USE_TZ = True
TIME_ZONE = "UTC"
