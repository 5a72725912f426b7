"""Echo: one consumer of two lines, at ``/chat/``."""

from realtime.systems import System

SYSTEM = System(
    name="echo",
    title="Echo",
    sentence="Each line goes to a worker, and the worker’s answer comes back to this socket alone.",
    files=(
        "realtime/echo/consumers.py",
        "realtime/echo/routing.py",
        "realtime/echo/static/echo/page.js",
    ),
)
