"""What a chat room is called, who is in it, and what its lines look like.

From ``realtime.consumers``; no channel is touched here.
"""

import json
from typing import Any
from urllib.parse import parse_qs

# A part of a URL that is also part of a group's name (fewer than 100 of these characters).
ROOM = r"[-a-zA-Z0-9_]{1,60}"

NAME_LENGTH = 40  # characters
TEXT_LENGTH = 2000  # characters


def group_name(room: str) -> str:
    return f"room-{room}"


def display_name(query_string: bytes) -> str:
    """What the visitor calls themselves (``?name=…``), in one line, or "anon".

    Anybody may take any name here: it says what to call somebody, not who they are.
    """
    given = parse_qs(query_string.decode("utf-8", "replace")).get("name", [""])[0]
    printable = "".join(c if c.isprintable() else " " for c in given[: NAME_LENGTH * 4])
    return " ".join(printable.split())[:NAME_LENGTH].strip() or "anon"


def said(frame: str | None) -> str:
    """The text in a frame ``{"text": "…"}``; ValueError, with a sentence, for any other."""
    try:
        text = json.loads(frame or "")["text"].strip()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError('A line is sent as {"text": "…"}.') from None
    if not text:
        raise ValueError("The line is empty.")
    if len(text) > TEXT_LENGTH:
        raise ValueError(f"The line has {len(text)} characters; {TEXT_LENGTH} are allowed.")
    return str(text)


def line(kind: str, **more: Any) -> dict[str, str]:
    """A reply that shows one line in the room (joined, left, said, refused)."""
    return {"text": json.dumps({"kind": kind, **more})}
