"""Messages as text that is safe to show: cut, escaped, aligned. No I/O happens here.

From ``manage.py deadletters``; what comes in was written by clients, so nothing in it may
steer a terminal or fill it. And it may be shown to people who are not to know it: what looks
secret is hidden, by the names of keys (``hidden``, a pattern, None hides nothing).
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

TEXT = 200  # Characters of one value.
HEADERS = 20  # Headers of one message.

HIDDEN = "(not shown)"

# Headers whose values are as good as a password. Browsers, which can set no other header of a
# handshake, are given tokens for the last one.
_SECRET = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "sec-websocket-protocol"}
    # And the same as keys.
    | {"cookies", "subprotocols"}
)
# Clients choose what these read, megabytes of it: each is linear in the length of the text.
# A parameter of a query or a form: it begins where the one before it ended.
_PARAMETER = re.compile(
    r"""(?<![^\s?&;=#"'])(?P<name>[^\s?&;=#"']++)=(?P<value>"[^"]*"?|'[^']*'?|[^\s&;#"']*)"""
)
# User and password in a URL.
_CREDENTIALS = re.compile(r"""(?<=://)[^/\s@?#"'<>]++@""")
# A key of an object, in JSON that is incomplete, quoted in other JSON, or something like JSON.
_KEY = re.compile(r"""["'](?P<name>[^"'\\\s]{1,100}+)\\{0,8}["']\s{0,20}+:""")
# The name of a part of a form (multipart/form-data).
_PART = re.compile(r"""\bname=(?:"(?P<quoted>[^"]*)|(?P<name>[^\s;"]+))""")

Hidden = re.Pattern[str] | None


def escaped(text: str) -> str:
    """``text`` on one line: what is not printable as ``repr`` would show it, without quotes.

    That is all that steers a terminal, ends a line or turns its direction: control
    characters, separators, what Unicode calls format characters, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def value(given: object, limit: int = TEXT) -> str:
    """One value on one line. What is cut says how long it was."""
    if isinstance(given, str | bytes):
        unit = "bytes" if isinstance(given, bytes) else "characters"
        if len(given) > limit:
            return f"{given[:limit]!r}… ({len(given):,} {unit})"
        return repr(given)
    # repr escapes whatever is not printable.
    text = repr(given)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def masked(given: object, hidden: Hidden) -> Any:
    """``given`` with what looks secret in it hidden: values of dicts by their keys, headers by
    their names, also in JSON and what is left of it, parameters of queries and forms, parts of
    forms, and the user and password of URLs."""
    if hidden is None:
        return given
    if isinstance(given, Mapping):
        return {
            key: HIDDEN if _is_secret(key, hidden) else masked(item, hidden)
            for key, item in given.items()
        }
    if isinstance(given, list | tuple):
        if len(given) == 2 and isinstance(given[0], bytes | str) and _is_secret(given[0], hidden):
            return [given[0], HIDDEN]
        return [masked(item, hidden) for item in given]
    if isinstance(given, bytes):
        text = given.decode(errors="surrogateescape")
        shown = _masked_text(text, hidden)
        return given if shown == text else shown.encode(errors="surrogateescape")
    return _masked_text(given, hidden) if isinstance(given, str) else given


def _is_secret(name: object, hidden: re.Pattern[str]) -> bool:
    text = _text(name) if isinstance(name, bytes | str) else str(name)
    return text.lower() in _SECRET or hidden.search(text) is not None


def _masked_text(text: str, hidden: re.Pattern[str]) -> str:
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            pass  # A part of one, or something else.
        else:
            shown = masked(found, hidden)
            return text if shown == found else json.dumps(shown, ensure_ascii=False)
    if text.startswith("--"):
        text = _masked_form(text, hidden)
    for key in _KEY.finditer(text):
        if _is_secret(key["name"], hidden):
            # Where its value ends cannot be known.
            text = f"{text[: key.end()]} {HIDDEN}"
            break
    text = _CREDENTIALS.sub(f"{HIDDEN}@", text)
    return _PARAMETER.sub(
        lambda found: (
            f"{found['name']}={HIDDEN}"
            if _is_secret(unquote_plus(found["name"]), hidden)
            else found.group()
        ),
        text,
    )


def _masked_form(text: str, hidden: re.Pattern[str]) -> str:
    """A body of multipart/form-data, whose first line is the boundary between its parts."""
    boundary = text.partition("\r\n")[0]
    parts = text.split(boundary)
    for place, part in enumerate(parts):
        head, end, _ = part.partition("\r\n\r\n")
        name = _PART.search(head)
        if name is not None and _is_secret(name["quoted"] or name["name"] or "", hidden):
            parts[place] = f"{head}{end}{HIDDEN}\r\n"
    return boundary.join(parts)


def content(message: Mapping[str, Any], hidden: Hidden = None) -> list[tuple[str, str]]:
    """A message as lines of name and value; of the headers, those first in it."""
    lines: list[tuple[str, str]] = []
    for key, given in masked(message, hidden).items():
        name = escaped(key)
        headers = _headers(given) if key == "headers" else None
        if headers is None:
            lines.append((name, _shown(given, TEXT)))
            continue
        lines.append((name, f"{len(headers)}"))
        lines += [(f"  {header}", text) for header, text in headers[:HEADERS]]
        if len(headers) > HEADERS:
            lines.append(("  …", f"{len(headers) - HEADERS} more"))
    return lines


def glance(message: Mapping[str, Any], limit: int = 60, hidden: Hidden = None) -> str:
    """The message in a few words: what tells it from others."""
    told = {
        key: given
        for key, given in message.items()
        if key not in ("reply_channel", "headers", "client", "server", "order")
    }
    text = ", ".join(
        f"{escaped(key)}={_shown(given, limit)}" for key, given in masked(told, hidden).items()
    )
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _shown(given: object, limit: int) -> str:
    return HIDDEN if given == HIDDEN else value(given, limit)


def _text(name: bytes | str) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name


def plain(given: Any) -> Any:
    """A value for JSON, whole: bytes become ``{"base64": …}``."""
    if isinstance(given, bytes):
        return {"base64": base64.b64encode(given).decode()}
    if isinstance(given, Mapping):
        return {key: plain(item) for key, item in given.items()}
    if isinstance(given, list | tuple):
        return [plain(item) for item in given]
    return given


def ago(seconds: float) -> str:
    """``"3 h"``: a span of time in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned lines under a head; the last column is as long as it likes."""
    rows = [[escaped(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _headers(given: Any) -> list[tuple[str, str]] | None:
    """Names and values to show; None for what are no headers as a message has them."""
    if not isinstance(given, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in given
    ):
        return None
    told = []
    for name, text in given:
        name = _text(name) if isinstance(name, bytes | str) else str(name)
        told.append((escaped(name), HIDDEN if name.lower() in _SECRET else _shown(text, 80)))
    return told
