"""What a page says to its sheet, and what it is told. No database, no channel.

::

    page ──► {"kind": "look"}                                  show me all cells
             {"kind": "write", "sheet", "id", "column", "value", "seen"}
    page ◄── {"kind": "cells", "cells": […]}                   all of them, as they are
             {"kind": "saved" | "conflict", …a cell}           to the one who wrote
             {"kind": "refused", "reason", "id", "column"}     to the one who wrote
             {"kind": "cell", …a cell}                         to all the others

A cell is sheet, id (of the object), column (index), value (text), version, and by and name
(id and name of the user who wrote it). ``seen``: the version of the cell that the writer saw.
"""

import json
import unicodedata
from typing import Any, NamedTuple

LONGEST = 500  # characters of a value, of whatever field
LARGEST = 2**63 - 1  # that a database has as an id
# Control characters, line breaks, and half characters ("\ud800"), which no database takes.
UNWANTED = {"Cc", "Cs", "Zl", "Zp"}

EXPECTED = 'Send {"kind": "look"}, or {"kind": "write"} with sheet, id, column, value and seen.'


class Refused(Exception):
    """What the page asked for was not done; the text says why, to a person."""


class Write(NamedTuple):
    """A new value for one cell. The types are right; all else is still to be checked."""

    sheet: str
    id: int
    column: int
    value: str
    seen: int


def read(text: str | None) -> Write | None:
    """What a frame asks for; None: to look. Raises Refused for what is neither."""
    try:
        frame = json.loads(text or "")
    except (ValueError, RecursionError):
        raise Refused(f"This is not JSON. {EXPECTED}") from None
    if not isinstance(frame, dict) or frame.get("kind") not in ("look", "write"):
        raise Refused(EXPECTED)
    if frame["kind"] == "look":
        return None
    sheet, value = frame.get("sheet"), frame.get("value")
    if not isinstance(sheet, str) or not isinstance(value, str):
        raise Refused(f"sheet and value are texts. {EXPECTED}")
    row, column, seen = (_whole(frame.get(key)) for key in ("id", "column", "seen"))
    if len(value) > LONGEST:
        raise Refused(f"A cell has at most {LONGEST} characters, and this value {len(value)}.")
    if any(unicodedata.category(character) in UNWANTED for character in value):
        raise Refused("A cell is one line of text: no line breaks, no control characters.")
    return Write(sheet, row, column, value, seen)


def _whole(number: object) -> int:
    if type(number) is not int or not 0 <= number <= LARGEST:
        raise Refused(f"id, column and seen are whole numbers from 0 on. {EXPECTED}")
    return number


def place(text: str | None) -> dict[str, Any]:
    """The id and column that a refused frame named, if it did: where to say why."""
    try:
        frame = json.loads(text or "")
        return {key: frame[key] for key in ("id", "column") if type(frame[key]) is int}
    except (ValueError, RecursionError, TypeError, KeyError):
        return {}


def reply(kind: str, **more: Any) -> dict[str, str]:
    """A message that a socket shows to its page."""
    return {"text": json.dumps({"kind": kind, **more})}
