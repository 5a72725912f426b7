"""Clock."""

from realtime.systems import System

SYSTEM = System(
    name="clock",
    title="Clock",
    sentence="A socket view in urls.py, no consumer and no queue: it runs inside the server.",
    files=("realtime/clock/views.py",),
)
