"""Which consumer gets which message: the ``ROUTING`` of the channel layer.

A route names its path, so what comes on a path that is not here reaches no consumer of
ours. djchan's default routes come after these: HTTP goes to the views of
``realtime/urls.py``, and a socket on any other path is accepted and told nothing.
"""

from djchan import include

channel_routing = [
    include("realtime.echo.routing.channel_routing"),
    include("realtime.sheet.routing.channel_routing"),
    include("realtime.rooms.routing.channel_routing"),
    include("realtime.notifications.routing.channel_routing"),
    include("realtime.tokens.routing.channel_routing"),
    include("realtime.logins.routing.channel_routing"),
    include("realtime.scores.routing.channel_routing"),
    include("realtime.pingpong.routing.channel_routing"),
    include("realtime.together.routing.channel_routing"),
    include("realtime.ticker.routing.channel_routing"),
    include("realtime.thumbnails.routing.channel_routing"),
    include("workers.routing.channel_routing"),
]
