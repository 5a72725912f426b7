"""Consumers of Channels 4 and of workers, in one group."""

from realtime.systems import System

SYSTEM = System(
    name="together",
    title="Side by side",
    sentence="A consumer of Channels 4 inside the server and worker consumers share one group.",
    files=(
        "realtime/together/inside.py",
        "realtime/together/consumers.py",
        "realtime/together/lines.py",
        "realtime/asgi.py",
        "realtime/together/routing.py",
        "realtime/together/static/together/page.js",
    ),
)
