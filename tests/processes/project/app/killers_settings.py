from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

INSTALLED_APPS = ["djchan", "djchan.delay", "django.contrib.sessions"]
ROOT_URLCONF = "app.killers_urls"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CHANNEL_LAYERS["default"]["ROUTING"] = "app.killers.routing"
CHANNEL_LAYERS["default"]["WORKER"] = {"retry_delay": 0.01}
CHANNEL_LAYERS["default"]["CONFIG"]["channel_capacity"] = {"unread": 2}
CHANNEL_LAYERS["default"]["INTERFACE"] = {"http_timeout": 2.0}
