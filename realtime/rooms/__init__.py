"""Chat rooms: a group for each room."""

from realtime.systems import System

SYSTEM = System(
    name="rooms",
    title="Chat rooms",
    sentence="A group for each room: open the same one in two tabs, and talk to yourself.",
    files=(
        "realtime/rooms/consumers.py",
        "realtime/rooms/routing.py",
        "realtime/rooms/models.py",
        "realtime/rooms/lines.py",
        "realtime/rooms/static/rooms/room.js",
    ),
)
