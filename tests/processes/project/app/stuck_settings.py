import json
import os

from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["ROUTING"] = "app.stuck.routing"
CHANNEL_LAYERS["default"]["WORKER"] = json.loads(os.environ["LAYER_WORKER"])
