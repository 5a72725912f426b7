"""As in every project of Channels 1.x."""

import os

from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings1x")

channel_layer = get_channel_layer()
