"""What is to be decided in files that are not Python: requirements, images, commands, pages.

From ``djchan.upgrade.__main__`` with the text of one file, line by line; on to the report.
Nothing of this is rewritten: which versions a project wants, and how it is run, is its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from djchan.upgrade.files import Kind
from djchan.upgrade.source import Note

_NAME = r"""(?:^|["'\s\[(])"""
_VERSION = r"""(?=\s*(?:[=<>~!^"'\[\],;{]|$))"""

_REQUIREMENTS = (
    (
        rf"{_NAME}(?:channels){_VERSION}",
        "Write djchan in place of channels; it brings Daphne, Redis's client and Channels 4 along.",
    ),
    (
        rf"{_NAME}asgi[_-](?:redis|ipc|rabbitmq){_VERSION}",
        "Take this out: it works with no supported Django; djchan.layers.redis takes its place.",
    ),
    (
        rf"{_NAME}asgiref\s*[=~]=?\s*[\"']?[01]\.",
        "Take this out: djchan and Django need asgiref 3.",
    ),
    (
        rf"{_NAME}daphne\s*[=~]=?\s*[\"']?[01]\.",
        "Take this out: djchan needs Daphne 4, and brings it along.",
    ),
    (rf"{_NAME}redis\s*[=~]=?\s*[\"']?[0-5]\.", "Take this out: djchan needs redis-py 6."),
    (
        rf"{_NAME}[Dd]jango\s*[=~]=\s*[\"']?(?:[0-4]\.|5\.[01]\b)",
        "djchan needs Django 5.2 or newer.",
    ),
    (
        r"\bdjango-channels\b",
        "The npm package is Channels 1.x's: use djchan/js/websocketbridge.mjs.",
    ),
)
_COMMANDS = (
    (
        r"\bdaphne\b.*\s--ws-protocol\b",
        "Daphne 4 has no --ws-protocol: list the subprotocols in CHANNELS_WS_PROTOCOLS.",
    ),
    (r"\bdaphne\b.*\s--force-sync\b", "Daphne 4 has no --force-sync: leave it out."),
    (
        r"\bdaphne\b.*\s(?:-t|--http-timeout)\b",
        "Give http_timeout in INTERFACE this value, too: by default a request ends after 120 s.",
    ),
    (
        r"\brundelay\b",
        "No rundelay is needed: every worker serves asgi.delay. It still sends the rows that "
        "are in the database.",
    ),
    (
        r"\brunworker\b.*--threads\b",
        "--threads are threads of one worker now; a SIGTERM waits for what runs in all of them.",
    ),
)
_IMAGES = (
    (r"\bpython[:-](?:2|3\.(?:\d|10)\b)", "djchan needs Python 3.11 or newer."),
    (r"\bredis:[1-6]\b", "djchan needs Redis 7.0 or Valkey 7.2, or newer."),
)
_SESSION_KEY = (
    r"[?&]session_key=",
    "A session key in the URL counts no more; let the browser send its cookie, or set "
    "CHANNEL_SESSION_KEY_IN_QUERY.",
)

_LOGOUT = (
    r"""<a\s[^>]*href=["'][^"'>]*\blogout\b|<a\s[^>]*\{%\s*url\s+["'][\w:-]*logout""",
    "Django logs out by POST alone: make this link a form.",
)

_CLOSE = (
    r"[bB]ridge\w*\.socket\.close\(",
    "A socket that the page closes stays closed now; {keepClosed: false} brings it back as in 1.x.",
)

_RULES = {
    Kind.PYTHON: (_SESSION_KEY,),
    Kind.TEMPLATE: (_SESSION_KEY, _CLOSE, _LOGOUT),
    Kind.SCRIPT: (_SESSION_KEY, _CLOSE, _REQUIREMENTS[-1]),
    Kind.DEPLOYMENT: (*_COMMANDS, *_IMAGES),
}
# Files of which each line may be a requirement; in others, such as follow `pip install`.
_REQUIRING = re.compile(
    r"(?:.*requirements.*|.*constraints.*|setup\.(?:py|cfg)|pyproject\.toml|Pipfile|tox\.ini"
    r"|environment\.ya?ml|package\.json)\Z",
    re.IGNORECASE,
)


def notes(path: str, kind: Kind, text: str) -> Iterator[Note]:
    """One note for each line and rule."""
    requires = bool(_REQUIRING.match(Path(path).name)) or "requirements" in Path(path).parent.name
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("#", "//")):
            continue
        rules = _RULES[kind]
        if requires or (kind is Kind.DEPLOYMENT and "pip install" in line):
            rules = (*_REQUIREMENTS, *rules)
        # "asgiref==1.1.2  # via channels" asks for no channels.
        said = re.sub(r"\s#.*", "", line) if kind is Kind.DEPLOYMENT else line
        for pattern, sentence in rules:
            if re.search(pattern, said):
                yield Note(path, number, sentence)
