import os

from .base import *  # noqa

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["chat.example.com"]
INSTALLED_APPS += ("django.contrib.sitemaps",)
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "chat"}}
