"""The sockets: ``/ws/pingpong/text/`` and ``/ws/pingpong/json/``.

A class knows which channels it takes, so one route is enough for its three.
"""

from djchan import route_class
from realtime.pingpong.consumers import JsonPing, Ping

channel_routing = [
    route_class(Ping, path=r"^/ws/pingpong/text/$"),
    JsonPing.as_route(path=r"^/ws/pingpong/json/$"),  # the same, in other words
]
