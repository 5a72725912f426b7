"""What a chat room is called, who is in it, and what its lines look like.

From ``realtime.rooms.consumers``; no channel and no database is touched here. ::

    page ──► {"text": "hello"}     say it
             {"typing": true}      I am about to
             {"since": 17}         what was said after line 17, and who is here?
             {"here": true}        I am still here
    page ◄── {"kind": "room", "you", "here", "lines"}   to the one who came, or asked
             {"kind": "joined" | "left" | "typing", "seat", "name", "signed_in"}
             {"kind": "said", "seat", "id", "name", "signed_in", "text", "at"}
             {"kind": "refused", "text"}                to the one who said it
"""

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs

# A part of a URL that is also part of a group's name (fewer than 100 of these characters).
ROOM = r"[-a-zA-Z0-9_]{1,60}"

NAME_LENGTH = 40  # characters
TEXT_LENGTH = 2000  # characters


class Frame(NamedTuple):
    """What a page sent: ``kind`` is text, typing, since or here; ``value`` for two of them."""

    kind: str
    text: str = ""
    since: int = 0


def group_name(room: str) -> str:
    return f"room-{room}"


def display_name(query_string: bytes) -> str:
    """What the visitor calls themselves (``?name=…``), in one line, or "anon".

    Anybody may take any name here: it says what to call somebody, not who they are.
    """
    given = parse_qs(query_string.decode("utf-8", "replace")).get("name", [""])[0]
    printable = "".join(c if c.isprintable() else " " for c in given[: NAME_LENGTH * 4])
    return " ".join(printable.split())[:NAME_LENGTH].strip() or "anon"


def read(text: str | None) -> Frame:
    """What a frame says; ValueError, with a sentence, if it is none of those above."""
    try:
        frame = json.loads(text or "")
    except (ValueError, RecursionError):
        frame = None
    match frame:
        case {"text": str(said)}:
            return Frame("text", text=sayable(said.strip()))
        case {"typing": True}:
            return Frame("typing")
        case {"here": True}:
            return Frame("here")
        case {"since": int(since)} if 0 <= since < 2**63:
            return Frame("since", since=since)
    raise ValueError('A line is sent as {"text": "…"}.')


def sayable(text: str) -> str:
    """``text``; ValueError, with a sentence, if it cannot be said."""
    if not text:
        raise ValueError("The line is empty.")
    if len(text) > TEXT_LENGTH:
        raise ValueError(f"The line has {len(text)} characters; {TEXT_LENGTH} are allowed.")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        # No database takes these, and JSON may carry them.
        raise ValueError("The line has characters that are none (U+0000, half of a pair).")
    return text


def line(kind: str, **more: Any) -> dict[str, str]:
    """A reply that shows something in the room."""
    return {"text": json.dumps({"kind": kind, **more})}
