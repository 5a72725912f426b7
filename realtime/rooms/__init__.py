"""Chat rooms: a group for each room."""

from realtime.systems import System

SYSTEM = System(
    name="rooms",
    title="Chat rooms",
    sentence="A group for each room, what was said last, who is here and who is typing: open "
    "one in two tabs, and talk to yourself.",
    files=(
        "realtime/rooms/consumers.py",
        "realtime/rooms/history.py",
        "realtime/rooms/routing.py",
        "realtime/rooms/models.py",
        "realtime/rooms/lines.py",
        "realtime/rooms/static/rooms/room.js",
    ),
)
