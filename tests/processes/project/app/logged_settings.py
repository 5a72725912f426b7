import json
import os

from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

DEBUG = os.environ["DEBUG"] == "on"
LOGGING = json.loads(os.environ["LOGGING"])
CHANNEL_LAYERS["default"]["ROUTING"] = "app.logged.routing"
ASGI_APPLICATION = "app.logged_asgi.application"
