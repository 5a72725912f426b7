"""Find versions of Python and Redis that are too old for djchan: images, CI, tools."""

import re
from collections.abc import Iterator, Sequence

_PYTHON = "djchan needs Python 3.11 or newer."
_REDIS = "djchan needs Redis 7.0 or Valkey 7.2, or newer."

_OLD_PYTHON = r"(?:2(?:\.\d+)*|3\.(?:\d|10)(?:\.\d+)?)(?![\d.])"
_IMAGES = (
    (re.compile(rf"\bpython[:-]v?{_OLD_PYTHON}"), _PYTHON),
    (re.compile(r"\bredis:[1-6](?!\d)"), _REDIS),
)
# "python_version = "3.6"", "python = "^3.6"", "- python=3.6", "python-version: [3.5, 3.6]".
_KEY = re.compile(
    r"""\s*(?:-\s+)?["']?python(?:[-_](?:full_)?versions?)?["']?\s*[:=]+\s*(.*)\Z""", re.IGNORECASE
)
_OLD_VERSION = re.compile(rf"(?<![\d.]){_OLD_PYTHON}")
_ENVIRONMENT = re.compile(r"(?<![\w-])py(?:2\d?|3\d|310)(?!\d)|py\{[^}]*\b(?:2\d|3\d|310)\b")
_ITEM = re.compile(r"\s*-\s+(.*)\Z")


def old_versions(name: str, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The numbers of lines with a version that is too old, each with its sentence.

    ``name``: of the file. ``lines``: comments blanked.
    """
    in_list = False
    for number, line in enumerate(lines, 1):
        for pattern, sentence in _IMAGES:
            if pattern.search(line):
                yield number, sentence
        item, key = _ITEM.match(line), _KEY.match(line)
        if key:
            value, in_list = key[1], not key[1]
        elif in_list and item:
            value = item[1]
        else:
            in_list = in_list and not line.strip()
            value = ""
        if value and _OLD_VERSION.search(value):
            yield number, _PYTHON
        if name == "tox.ini" and _ENVIRONMENT.search(line):
            yield number, _PYTHON
