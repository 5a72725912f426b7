"""The Lua scripts, read once and put together. No I/O but reading our own files.

From ``scripts/*.lua``; on to ``commands``, which names them by their SHA1, and ``links``,
which loads them at each connect. Each file's header says its KEYS, ARGV and answer.
"""

import hashlib
from importlib.resources import files

NAMES = (
    "send",
    "claim",
    "commit",
    "giveup",
    "release",
    "part",
    "register",
    "resume",
    "beat",
    "leave",
    "closing",
    "reap",
    "pop",
    "ring",
)


def _compose(name: str, prelude: str) -> bytes:
    text = (files("djchan.layers.redis") / "scripts" / f"{name}.lua").read_text()
    # The shebang with the script's flags must stay the first line.
    shebang, _, body = text.partition("\n")
    return f"{shebang}\n{prelude}\n{body}".encode()


def _load() -> dict[str, bytes]:
    prelude = (files("djchan.layers.redis") / "scripts" / "_prelude.lua").read_text()
    return {name: _compose(name, prelude) for name in NAMES}


SCRIPTS: dict[str, bytes] = _load()
SHA: dict[str, bytes] = {
    name: hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    for name, text in SCRIPTS.items()
}
