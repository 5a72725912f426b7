from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["ROUTING"] = "app.hostile.routing"

# uvicorn sets up no logging but its own.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"djchan": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}
