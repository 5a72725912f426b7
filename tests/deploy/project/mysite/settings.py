"""The settings of docs/howto/deploy.md; what is a machine's own comes from /etc/mysite/env."""

import os

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.channel_layer"
WSGI_APPLICATION = "mysite.wsgi.application"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = os.environ["STATIC_ROOT"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# nginx sets this header itself, so nobody else can.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "djchan",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "mysite",
]

MIDDLEWARE = [
    "mysite.proxy.remote_addr",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]},
}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "djchan.layers.redis.RedisChannelLayer",
        "ROUTING": "mysite.routing.channel_routing",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
        "INTERFACE": {"drain": 1.0},
    },
}
