"""The custom channels of this app: work without a socket."""

from djchan import route
from workers import consumers, echo, reminders

channel_routing = [
    route("slow-echo", echo.slow_echo),
    route("thumbnails", consumers.make_thumbnails),
    route("reminders", reminders.remind),
]
