"""As Channels 4's documentation writes one: Django is set up twice."""

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

views = get_asgi_application()

from djchan.asgi import get_channel_layer  # noqa: E402

layer = get_channel_layer()
application = ProtocolTypeRouter({"http": layer, "websocket": layer})
