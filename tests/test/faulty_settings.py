"""The project of the process tests, over a ChaosLayer."""

import os

from app.settings import *  # noqa: F403

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "djchan.test.ChaosLayer",
        "ROUTING": "app.routing.routing",
        "CONFIG": {
            "backend": "djchan.layers.redis.RedisChannelLayer",
            "options": {"hosts": [os.environ["REDIS_URL"]]},
            "seed": 20,
            "repeat": {"websocket.connect": 1.0, "websocket.*": 0.3},
            "delay": {"websocket.receive": 0.1},
            "reorder": {"websocket.*": 0.2},
            "full": 0.5,
            "unanswered": 0.5,
            "drop": 0.5,
            "max_delay": 0.1,
        },
    },
}
