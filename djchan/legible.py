"""Messages as text that is safe to show: cut, escaped, aligned. No I/O happens here.

From ``manage.py deadletters``; what comes in was written by clients, so nothing in it may
steer a terminal or fill it.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

TEXT = 200  # Characters of one value.
HEADERS = 20  # Headers of one message.

# Their values are as good as a password.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


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


def value(given: Any, limit: int = TEXT) -> str:
    """One value on one line. What is cut says how long it was."""
    if isinstance(given, str | bytes):
        unit = "bytes" if isinstance(given, bytes) else "characters"
        if len(given) > limit:
            return f"{given[:limit]!r}… ({len(given):,} {unit})"
        return repr(given)
    # repr escapes whatever is not printable.
    text = repr(given)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def content(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A message as lines of name and value; of the headers, those first in it, without secrets."""
    lines: list[tuple[str, str]] = []
    for key, given in message.items():
        name = key if key.isprintable() else repr(key)
        headers = _headers(given) if key == "headers" else None
        if headers is None:
            lines.append((name, value(given)))
            continue
        lines.append((name, f"{len(headers)}"))
        lines += [(f"  {header}", text) for header, text in headers[:HEADERS]]
        if len(headers) > HEADERS:
            lines.append(("  …", f"{len(headers) - HEADERS} more"))
    return lines


def glance(message: Mapping[str, Any], limit: int = 60) -> str:
    """The message in a few words: what tells it from others."""
    told = {
        key: given
        for key, given in message.items()
        if key not in ("reply_channel", "headers", "client", "server", "order")
    }
    text = ", ".join(
        f"{key if key.isprintable() else repr(key)}={value(given, limit)}"
        for key, given in told.items()
    )
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


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
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def _headers(given: Any) -> list[tuple[str, str]] | None:
    """Names and values to show; None for what are no headers as a message has them."""
    if not isinstance(given, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in given
    ):
        return None
    told = []
    for name, text in given:
        name = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        shown = "(not shown)" if name.lower() in _SECRET else value(text, 80)
        told.append((name if name.isprintable() else repr(name), shown))
    return told
