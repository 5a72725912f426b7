"""What is to be decided in files that are not Python: requirements, images, commands, pages.

The text of one file is read line by line. Nothing of this is rewritten: which versions a
project wants, and how it is run, is its own.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from djchan.upgrade.commands import options
from djchan.upgrade.files import Kind, made_name
from djchan.upgrade.pins import Needs
from djchan.upgrade.pins import notes as notes_of_requirements
from djchan.upgrade.source import Note
from djchan.upgrade.versions import old_versions

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
_NPM = (
    r"""(?:["']|\bunpkg\.com/|/npm/)django-channels(?=["'@/])""",
    "The npm package is Channels 1.x's: use djchan/js/websocketbridge.mjs.",
)
_TAGS = (
    (
        r"\{%-?\s*(?:end)?if(?:not)?equal\b",
        "Django has no ifequal and ifnotequal any more: write {% if a == b %}.",
    ),
    (r"\{%\s*load\b[^%]*\bfuture\s*%\}", "Django has no tag library `future`: take it out."),
    (r"\|length_is:", "Django has no filter length_is any more: write {% if x|length == n %}."),
)
_RULES = {
    Kind.PYTHON: (_SESSION_KEY,),
    Kind.TEMPLATE: (_SESSION_KEY, _CLOSE, _LOGOUT, _NPM, *_TAGS),
    Kind.SCRIPT: (_SESSION_KEY, _CLOSE, _NPM),
    Kind.DEPLOYMENT: (),
}


def notes(path: str, kind: Kind, text: str, needs: Needs) -> Iterator[Note]:
    """One note for each line and rule. ``needs``: the versions that djchan can do with."""
    name = made_name(PurePosixPath(path).name)
    lines = text.splitlines()
    rules = (_NPM,) if name == "package.json" else _RULES[kind]
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith(("#", "//")):
            continue
        for pattern, sentence in rules:
            if re.search(pattern, line):
                yield Note(path, number, sentence)
    if kind is Kind.DEPLOYMENT or name == "setup.py":
        yield from notes_of_requirements(path, text, needs)
    bare = _without_comments(lines)
    if kind is Kind.DEPLOYMENT:
        for number, sentence in {*options(bare), *old_versions(name, bare)}:
            yield Note(path, number, sentence)
    elif kind is Kind.PYTHON and "daphne" in text:
        # A fabfile, or a test that starts the server.
        for number, sentence in set(options(bare)):
            yield Note(path, number, sentence)


def _without_comments(lines: Sequence[str]) -> list[str]:
    """The same lines, and as many of them."""
    return [re.sub(r"\s#\s.*|^\s*[#;].*", "", line) for line in lines]
