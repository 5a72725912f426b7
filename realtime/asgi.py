"""What Daphne runs: ``daphne realtime.asgi:channel_layer``."""

import os

from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realtime.settings")

channel_layer = get_channel_layer()
application = channel_layer  # the name that other ASGI servers look for
