"""Frames as values: text, bytes, JSON in text frames, JSON in binary ones. No I/O happens here.

From and on to ``socket``. Of a client's frame only its kind and its mistake are told, never
its content: it goes to logs.
"""

import json
from typing import Any

from djchan import strict_json
from djchan.exceptions import InvalidJSON, InvalidSocketValue, UnexpectedFrame


def text_of(call: str, frame: str | bytes) -> str:
    """A text frame's text. Raises UnexpectedFrame for a binary one."""
    if isinstance(frame, str):
        return frame
    raise UnexpectedFrame(
        f"{call} met a binary frame of {len(frame)} bytes. The client must send text here, or "
        "the view use receive(), which takes both."
    )


def bytes_of(call: str, frame: str | bytes) -> bytes:
    """A binary frame's bytes. Raises UnexpectedFrame for a text one."""
    if isinstance(frame, bytes):
        return frame
    raise UnexpectedFrame(
        f"{call} met a text frame of {len(frame)} characters. The client must send bytes here, "
        "or the view use receive(), which takes both."
    )


def json_of(call: str, given: str | bytes) -> Any:
    """The value of a JSON text. Raises InvalidJSON."""
    try:
        text = given if isinstance(given, str) else given.decode()
        return strict_json.DECODER.decode(text)
    except json.JSONDecodeError as error:
        mistake = f"{error.msg} at character {error.pos}"
    except UnicodeDecodeError as error:
        mistake = f"no UTF-8 at byte {error.start}"
    except RecursionError:
        mistake = "nested too deeply"
    except ValueError as error:  # A number that Python cannot hold, or a NaN.
        mistake = str(error).partition(";")[0]
    raise InvalidJSON(
        f"{call} met a frame that is no JSON ({mistake}). Catch InvalidJSON to answer the client; "
        "otherwise its socket is closed (1007)."
    )


def to_json(call: str, value: Any) -> str:
    """A value as JSON; dates, decimals, UUIDs and lazy values as Django writes them.

    Raises InvalidSocketValue for what JSON cannot hold.
    """
    try:
        return json.dumps(value, cls=strict_json.Encoder, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSocketValue(f"{call}: this value cannot be JSON: {error}") from error


def must_be(call: str, value: object, *kinds: type) -> None:
    """Raise InvalidSocketValue unless ``value`` is one of ``kinds``."""
    if not isinstance(value, kinds):
        raise InvalidSocketValue(
            f"{call} takes {' or '.join(kind.__name__ for kind in kinds)}, not "
            f"{type(value).__name__}."
        )
