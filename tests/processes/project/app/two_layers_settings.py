"""The small project with a second layer, on a Redis of its own."""

import os

from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

ROOT_URLCONF = "app.two_layers_urls"
CHANNEL_LAYERS["other"] = {
    "BACKEND": "djchan.layers.redis.RedisChannelLayer",
    "ROUTING": "app.two_layers_urls.unserved",
    "CONFIG": {"hosts": [os.environ["OTHER_REDIS_URL"]]},
}
