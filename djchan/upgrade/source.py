"""A file's text, and edits to it that leave every other byte alone.

From ``djchan.upgrade.__main__`` with the bytes of a file; on to what finds edits, and back to
bytes in the same encoding, with the same newlines and byte order mark.
"""

import codecs
import io
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Unreadable(Exception):
    """A file that cannot be read as what it should be: the reason, and the line."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Edit(NamedTuple):
    """``text`` in place of what is from ``start`` to ``end``, offsets in UTF-8."""

    start: int
    end: int
    text: str


class Note(NamedTuple):
    """One thing for a person to decide."""

    path: str
    line: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says, and how it is written."""

    text: str
    encoding: str

    def encoded(self) -> bytes:
        return self.text.encode(self.encoding)

    def edited(self, edits: Iterable[Edit]) -> "Text":
        """The same with edits, which do not overlap."""
        source = self.text.encode()
        parts: list[bytes] = []
        at = 0
        for edit in sorted(edits):
            parts += [source[at : edit.start], edit.text.encode()]
            at = edit.end
        return Text(b"".join([*parts, source[at:]]).decode(), self.encoding)


def python_text(raw: bytes) -> Text:
    """A Python file in the encoding that it names. Raises Unreadable."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = Text(raw.decode(encoding), encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise Unreadable(f"cannot be decoded ({error})") from error
    if text.encoded() != raw:
        raise Unreadable(f"cannot be written as it was read (in {encoding})")
    return text


def plain_text(raw: bytes) -> Text:
    """Any other file: UTF-8, UTF-16 as PowerShell writes it, or one character for each byte."""
    encodings = ["utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else "utf-8"]
    if raw.startswith(codecs.BOM_UTF16):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            text = Text(raw.decode(encoding), encoding)
        except UnicodeDecodeError:
            continue
        if text.encoded() == raw:
            return text
    return Text(raw.decode("latin-1"), "latin-1")


def line_of(source: bytes, offset: int) -> int:
    return source.count(b"\n", 0, offset) + 1
