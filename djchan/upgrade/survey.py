"""Whether a project is one of Channels 1.x, and where ``channels`` is a package of its own.

From ``djchan.upgrade.__main__`` with all Python files; on to the rewriting, or to a sentence
why there is none.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from djchan.upgrade.names import NEW, OLD, is_later, is_of_1x

_STRINGS_OF_1X = re.compile(r"""["'](?:asgi_redis|asgi_ipc|asgi_rabbitmq|asgiref\.inmemory)\.""")
_LATER_STRINGS = re.compile(r"""["']channels(?:_redis|_rabbitmq|_postgres|\.layers)\.""")


class Sign(NamedTuple):
    """Where a project says which Channels it uses."""

    path: Path
    line: int
    dotted: str


class Survey(NamedTuple):
    """``of_1x``, ``later``: what only that Channels has, as it is used in the project."""

    of_1x: tuple[Sign, ...]
    later: tuple[Sign, ...]

    @property
    def is_later(self) -> bool:
        """Whether this is a project of Channels 2 or later, and of nothing else."""
        return bool(self.later) and not self.of_1x


def survey(trees: Mapping[Path, tuple[str, ast.Module | None]]) -> Survey:
    """``trees``: text and syntax tree of each Python file; None where there is none."""
    signs = [
        Sign(path, line, dotted)
        for path, (text, tree) in trees.items()
        for line, dotted in [*_imported(tree), *_in_strings(text)]
    ]
    return Survey(
        tuple(sign for sign in signs if is_of_1x(sign.dotted) or sign.dotted.split(".")[0] == NEW),
        tuple(sign for sign in signs if is_later(sign.dotted)),
    )


def own_roots(python_files: Iterable[Path]) -> frozenset[Path]:
    """Folders on the import path that have a package or module ``channels`` of their own."""
    found = set()
    for path in python_files:
        package = path.parent if path.name == "__init__.py" else path
        if package.stem == OLD and not (package.parent / "__init__.py").exists():
            found.add(package.parent)
    return frozenset(found)


def _imported(tree: ast.Module | None) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def _in_strings(text: str) -> Iterator[tuple[int, str]]:
    for pattern, stands_for in ((_STRINGS_OF_1X, f"{OLD}.asgi"), (_LATER_STRINGS, f"{OLD}.layers")):
        for found in pattern.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, stands_for
