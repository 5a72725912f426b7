"""Side by side."""

from realtime.systems import System

SYSTEM = System(
    name="together",
    title="Side by side",
    sentence="A consumer of Channels 4 inside the server and worker consumers share one group.",
    files=("realtime/together/views.py",),
)
