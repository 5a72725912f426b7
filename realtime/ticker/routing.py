"""The events: ``/ticker/events/``, which goes to no view."""

from djchan import include, route
from realtime.ticker import consumers

of_a_listener = [
    route("http.request", consumers.listen),
    route("http.disconnect", consumers.gone),
]

channel_routing = [
    include(of_a_listener, path=r"^/ticker/events/$"),
    route("ticker.joined", consumers.joined),
    route("ticker.beat", consumers.beat),
]
