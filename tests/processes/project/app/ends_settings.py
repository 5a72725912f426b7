from app.settings import *  # noqa: F403
from app.settings import CHANNEL_LAYERS

ROOT_URLCONF = "app.ends"
CHANNEL_LAYERS["default"]["ROUTING"] = "app.ends.routing"
CHANNEL_LAYERS["default"]["WORKER"] = {"retry_delay": 0.01}
