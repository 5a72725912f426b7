"""What was run, written straight to a file of this process.

Not to Redis: a line that ``os.write`` took is there whatever happens to the process next,
and no store that fails can take it along. ``tests.chaos.run`` reads the files.
"""

import json
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from djchan.lanes.registration import Registration

_FOLDER = Path(os.environ["CHAOS_RUNS"])
_file = -1
_allowed: dict[int, float] = {}  # Thread -> when djchan last allowed it to begin a message.


def _note_starts() -> None:
    """Note when a thread may begin a message; its consumer may wait for its session first."""
    decide = Registration.may_start

    def may_start(self: Registration, now: float) -> bool:
        allowed = decide(self, now)
        if allowed:
            _allowed[threading.get_ident()] = time.monotonic()
        return allowed

    Registration.may_start = may_start  # type: ignore[method-assign]


_note_starts()


def begun(message: Any, of: str, number: int, *, ms: int = 0) -> str:
    """Note that a run of ``message`` begins, which takes ``ms``; a token that names this run."""
    global _file
    if _file < 0:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        _file = os.open(_FOLDER / f"{os.getpid()}.jsonl", flags, 0o600)
    run = secrets.token_hex(4)
    line = {
        "id": message.id,
        "on": message.channel.name,
        "of": of,
        "n": number,
        "attempt": message.attempt,
        "pid": os.getpid(),
        "run": run,
        "ms": ms,
        "began": _allowed.get(threading.get_ident(), 0.0),
        "at": time.monotonic(),
    }
    os.write(_file, json.dumps(line).encode() + b"\n")
    return run
