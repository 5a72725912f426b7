"""The example site with a LOGGING and a prefix of the layer that a test has chosen."""

import json
import os

from realtime.settings import *  # noqa: F403
from realtime.settings import CHANNEL_LAYERS, REDIS_URL

LOGGING = json.loads(os.environ["LOGGING"])
if REDIS_URL:
    CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = os.environ["LAYER_PREFIX"]
