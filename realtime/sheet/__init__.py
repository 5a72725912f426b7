"""A sheet shared live: the cells of a database table, edited by several people at once."""

from realtime.systems import System

SYSTEM = System(
    name="sheet",
    title="A shared sheet",
    sentence="A grid over a database table: a cell that is saved here refreshes in every other "
    "tab.",
    files=(
        "realtime/sheet/consumers.py",
        "realtime/sheet/cells.py",
        "realtime/sheet/sheets.py",
        "realtime/sheet/frames.py",
        "realtime/sheet/models.py",
        "realtime/sheet/routing.py",
        "realtime/sheet/static/sheet/sheet.js",
    ),
)
