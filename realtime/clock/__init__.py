"""A clock: a socket view, which runs in the process that holds the socket."""

from realtime.systems import System

SYSTEM = System(
    name="clock",
    title="Clock",
    sentence="A socket view in urls.py, no consumer and no queue: it runs inside the server.",
    files=(
        "realtime/clock/views.py",
        "realtime/urls.py",
        "realtime/clock/raw.py",
        "realtime/asgi.py",
        "realtime/clock/static/clock/page.js",
    ),
)
