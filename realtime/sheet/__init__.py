"""A shared sheet."""

from realtime.systems import System

SYSTEM = System(
    name="sheet",
    title="A shared sheet",
    sentence="A grid over a database table: a cell that is saved here refreshes in every other "
    "tab.",
    files=("realtime/sheet/views.py",),
)
