"""The Lua scripts, read once and put together. No I/O but reading our own files.

From ``scripts/*.lua``; on to ``commands``, which names them by their SHA1, and ``links``,
which loads them at each connect. Each file's header says its KEYS, ARGV and answer; a file
that begins with ``_`` is a part that several share.
"""

import hashlib
import re
from importlib.resources import files

# Script -> the parts it is made of, besides the prelude. None that it does not use: their
# functions are made anew at each run.
PARTS: dict[str, tuple[str, ...]] = {
    "send": (
        *("_numbers", "_bells", "_stored", "_sources", "_letters", "_inboxes"),
        *("_pushes", "_kept", "_effects"),
    ),
    "claim": (
        *("_bells", "_stored", "_sources", "_turns", "_queues", "_beside"),
        *("_copies", "_suspects"),
    ),
    "held": ("_bells", "_stored", "_sources", "_queues", "_leases", "_suspects"),
    "commit": (
        *("_bells", "_stored", "_sources", "_letters", "_inboxes", "_pushes", "_kept"),
        *("_effects", "_records", "_suspects", "_queues", "_again"),
    ),
    "giveup": (
        *("_bells", "_stored", "_sources", "_letters", "_queues", "_again", "_records"),
        *("_ended", "_suspects"),
    ),
    "release": ("_bells", "_stored", "_sources", "_queues", "_leases", "_suspects"),
    "part": ("_numbers",),
    "room": (),
    "register": (),
    "history": ("_bells",),
    "resume": ("_members",),
    "beat": (),
    "leave": ("_members",),
    "closing": ("_bells", "_suspects"),
    "reap": ("_bells", "_stored", "_sources", "_queues", "_leases", "_records", "_suspects"),
    "pop": (
        *("_numbers", "_bells", "_stored", "_sources", "_turns", "_queues", "_beside"),
        *("_records", "_ended", "_suspects"),
    ),
    "ring": ("_bells",),
    "deadchannels": (),
    "usage": (),
    "oldest": (),
    "redrive": ("_bells", "_stored", "_sources", "_letters", "_queues"),
    "discard": ("_stored", "_letters"),
    "keep": ("_kept",),
    "rights": (),
}
NAMES = tuple(PARTS)


def _read(name: str) -> str:
    return (files("djchan.layers.redis") / "scripts" / f"{name}.lua").read_text()


def _compose(name: str) -> bytes:
    # The shebang with the script's flags must stay the first line.
    shebang, _, body = _read(name).partition("\n")
    shared = [_read(part) for part in ("_prelude", *PARTS[name])]
    return "\n".join((shebang, *shared, body)).encode()


SCRIPTS: dict[str, bytes] = {name: _compose(name) for name in NAMES}
SHA: dict[str, bytes] = {
    name: hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    for name, text in SCRIPTS.items()
}
# The commands that the scripts call; of one with subcommands, the one that they use.
_SUBCOMMANDS = {"XINFO": "XINFO STREAM"}
_CALLS = re.compile(rb"redis\.call\('([A-Z]+)'|put\('([A-Z]+)'")
CALLED: tuple[str, ...] = tuple(
    sorted(
        {
            _SUBCOMMANDS.get(name, name)
            for text in SCRIPTS.values()
            for name in (str(one[1] or one[2], "ascii") for one in _CALLS.finditer(text))
        }
    )
)
