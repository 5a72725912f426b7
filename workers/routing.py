"""The custom channels of this app: work without a socket."""

from djchan import route
from workers import consumers, reminders

channel_routing = [
    route("thumbnails", consumers.make_thumbnails),
    route("reminders", reminders.remind),
]
