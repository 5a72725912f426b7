import os

from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
channel_layer = get_channel_layer()
