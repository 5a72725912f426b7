"""Collect edits and notes while a Python file's syntax tree is visited.

From ``imports`` and ``strings``, which know what to look for; on to ``python``, which makes
the edits in the text.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan, ParentNodeProvider, ScopeProvider

from djchan.upgrade.names import is_later
from djchan.upgrade.source import Edit, line_of

# The dotted path of a layer today, for the one of an old BACKEND. Raises NoBackend.
Backend = Callable[[str], str]


class NoBackend(Exception):
    """An old BACKEND has no successor: the reason."""


class Edits(cst.CSTVisitor):
    """What was found in one file. ``done``: strings that are not to be looked at again."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider, ParentNodeProvider, ScopeProvider)

    def __init__(self, source: bytes, backend: Backend) -> None:
        super().__init__()
        self.edits: list[Edit] = []
        self.notes: list[tuple[int, str]] = []
        self.source = source
        self.backend = backend
        self.done: set[cst.SimpleString] = set()

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        span: Any = self.get_metadata(ByteSpanPositionProvider, node)
        assert isinstance(span, CodeSpan)
        return span.start, span.start + span.length

    def replace(self, node: cst.CSTNode, text: str) -> None:
        self.edits.append(Edit(*self.span(node), text))

    def rename(self, node: cst.BaseExpression, new: str) -> None:
        """Each name of a dotted one that is another in ``new``; what is between them stays."""
        names = [node]
        while isinstance(names[0], cst.Attribute):
            names[:1] = [names[0].value, names[0].attr]
        for name, other in zip(names, new.split("."), strict=False):
            if isinstance(name, cst.Name) and name.value != other:
                self.replace(name, other)

    def replace_in(self, node: cst.SimpleString, old: str, new: str) -> None:
        """What a string says, with its quotes as they are."""
        self.done.add(node)
        self.replace(node, node.value.replace(old, new, 1))

    def note(self, node: cst.CSTNode, sentence: str) -> None:
        self.notes.append((line_of(self.source, self.span(node)[0]), sentence))

    def note_unknown(self, node: cst.CSTNode, paths: Sequence[str]) -> None:
        later = [path for path in paths if is_later(path)]
        others = [path for path in paths if path not in later]
        if later:
            self.note(
                node,
                f"{_listed(later)} is of Channels 2 or later; it was left as it is. Import it on a "
                "line of its own: it works beside djchan.",
            )
        if others:
            self.note(node, f"{_listed(others)} is no public name of Channels 1.x: left as it is.")


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(paths)
