from .base import *  # noqa

DEBUG = True
SECRET_KEY = "local"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "local.sqlite3"}}
CHANNEL_LAYERS["default"]["BACKEND"] = "asgiref.inmemory.ChannelLayer"
CHANNEL_LAYERS["default"]["CONFIG"] = {}
