"""Server-sent events: a response that a worker has left open."""

from realtime.systems import System

SYSTEM = System(
    name="ticker",
    title="Ticker",
    sentence="Server-sent events from a worker: a held response is a reply channel, and joins a "
    "group.",
    files=(
        "realtime/ticker/consumers.py",
        "realtime/ticker/feed.py",
        "realtime/ticker/models.py",
        "realtime/ticker/routing.py",
        "realtime/ticker/views.py",
        "realtime/ticker/static/ticker/page.js",
    ),
)
