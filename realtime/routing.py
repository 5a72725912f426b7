"""Which consumer gets which message: the ``ROUTING`` of the channel layer.

A route names its path, so what comes on a path that is not here reaches no consumer of
ours. djchan's default routes come after these: HTTP goes to the views of
``realtime/urls.py``, and a socket on any other path is accepted and told nothing.
"""

from djchan import include, route
from realtime import consumers
from realtime.rooms import ROOM

JOB_ID = r"(?P<job_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

room_routing = [
    route("websocket.connect", consumers.room_connect),
    route("websocket.receive", consumers.room_receive),
    route("websocket.disconnect", consumers.room_disconnect),
]

job_routing = [
    route("websocket.connect", consumers.job_connect),
    route("websocket.receive", consumers.job_receive),
    route("websocket.disconnect", consumers.job_disconnect),
]

channel_routing = [
    route("websocket.receive", consumers.ws_echo, path=r"^/chat/$"),
    include(room_routing, path=rf"^/ws/rooms/(?P<room>{ROOM})/$"),
    include(job_routing, path=rf"^/ws/jobs/{JOB_ID}/$"),
    include("workers.routing.channel_routing"),
]
