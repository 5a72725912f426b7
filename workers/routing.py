"""The custom channels of this app: work without a socket."""

from djchan import route
from workers import consumers

channel_routing = [
    route("thumbnails", consumers.make_thumbnails),
]
