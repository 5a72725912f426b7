"""The echo's socket: ``/chat/``. A line that begins with ``/slow`` is for the task queue."""

from djchan import route
from realtime.echo import consumers

channel_routing = [
    # Routes look at what a frame says as well as at its path; the first that matches takes it.
    route("websocket.receive", consumers.ws_slow, path=r"^/chat/$", text=r"^/slow (?P<line>.*)"),
    route("websocket.receive", consumers.ws_echo, path=r"^/chat/$"),
]
