"""Echo, at ``/chat/``: at once by two lines of code, or the slow way by a task queue."""

from realtime.systems import System

SYSTEM = System(
    name="echo",
    title="Echo and task queue",
    sentence="A line is answered to this socket alone: at once, or by a worker on a channel of "
    "its own.",
    files=(
        "realtime/echo/consumers.py",
        "workers/echo.py",
        "realtime/echo/routing.py",
        "workers/routing.py",
        "realtime/echo/static/echo/page.js",
    ),
)
