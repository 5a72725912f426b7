"""The code of the documentation as modules, for type checkers.

    python -m tests.typed.snippets build/snippets

Each block of a page becomes a module. What the page leaves to its reader is added: the types of
parameters with the usual names, imports that stand in another block, and the modules that pages
import from the project of their example.
"""

import ast
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^( *)```(python|pycon)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

# What a parameter of this name is, and where that is found. Any other is Any.
TYPES = {"message": "Message", "socket": "Socket"}
# A name that a block has from another block, or from its reader.
CONTEXT = {
    "Any": "from typing import Any",
    "INSTALLED_APPS": "INSTALLED_APPS: list[str] = []",
    "Message": "from djchan.message import Message",
    "Socket": "from djchan.urls import Socket",
    "Channel": "from djchan import Channel",
    "Card": "from boards.models import Card",
    "CardBinding": "from boards.bindings import CardBinding",
    "MyLayer": "from djchan.layers.inmemory import InMemoryChannelLayer as MyLayer",
    "buy": "from djchan.routing import null_consumer as buy",
    "cards": "from boards.models import Card\ncards: list[Card] = []",
    "channel_session": "from djchan.sessions import channel_session",
    "get_asgi_application": "from django.core.asgi import get_asgi_application",
    "get_channel_layer": "from djchan.asgi import get_channel_layer",
    "my_consumer": "from djchan.routing import null_consumer as my_consumer",
    "os": "import os",
    "websockets": "from djchan.urls import websockets",
}
# The block of a page that defines this name is this module, which others import.
MODULES = {
    ("docs/tutorial.md", "echo"): "hello/consumers",
    ("docs/howto/socket-views.md", "clock"): "clock/views",
    ("docs/howto/test-with-faults.md", "confirm"): "shop/consumers",
    ("docs/reference/binding.md", "CardBinding"): "boards/bindings",
}
CARD = """
from typing import ClassVar

from django.db import models


class Card(models.Model):
    title: "models.CharField[str, str]" = models.CharField(max_length=80)
    board_id: "models.IntegerField[int, int]" = models.IntegerField()

    objects: "ClassVar[models.Manager[Card]]"
"""


class Snippet(NamedTuple):
    """``page``: its path in the repository; ``line``: where the block begins there."""

    page: str
    line: int
    code: str

    @property
    def file(self) -> str:
        """The file that its first line names, as ``# chat/consumers.py``; "" for none."""
        named = re.match(r"# (\w+/\w+)\.py$", self.code, re.MULTILINE)
        return named[1] if named else ""


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        lines = textwrap.dedent(found[3]).splitlines()
        if found[2] == "pycon":
            lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
        line = text.count("\n", 0, found.start()) + 1
        if found[3].startswith(f"{found[1]} "):  # From the inside of a consumer of Channels 4.
            head = "async def receive(self: Any, text_data: str) -> None:"
            lines = [head, *(f"    {line}" for line in lines)]
        yield Snippet(str(page.relative_to(ROOT)), line, "\n".join(lines))


def merged(found: Iterable[Snippet]) -> list[Snippet]:
    """The snippets, those that say of which one file they are together."""
    together: dict[object, Snippet] = {}
    for snippet in found:
        key = snippet.file or snippet.line
        before = together.get(key)
        code = snippet.code if before is None else f"{before.code}\n{snippet.code}"
        together[key] = (before or snippet)._replace(code=code)
    return list(together.values())


def typed(snippet: Snippet) -> str:
    """The block as a module in which every name is known, and every parameter has a type."""
    tree = _Annotated().visit(ast.parse(snippet.code, f"{snippet.page}:{snippet.line}"))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
    missing = {node.id for node in names} - bound | ({"INSTALLED_APPS"} & used)
    imports = [CONTEXT[name] for name in sorted(missing & CONTEXT.keys())]
    lines = [_ignoring(line) for line in ast.unparse(tree).splitlines()]
    return "\n".join([f"# {snippet.page}, line {snippet.line}", *imports, *lines, ""])


def _ignoring(line: str) -> str:
    """Channels 4's URLRouter takes applications, where Django's types have views alone."""
    if "path(" in line and "get_channel_layer()" in line:
        return f"{line}  # type: ignore[arg-type]"
    if "path(" in line and ".as_asgi()" in line:
        return f"{line}  # pyright: ignore"
    return line


class _Annotated(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        if node.annotation is None and node.arg not in ("self", "cls"):
            node.annotation = ast.Name(TYPES.get(node.arg, "Any"), ast.Load())
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node  # Its parameters can have no annotation.

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._visit_function(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if node.returns is None:
            node.returns = ast.Name("Any", ast.Load())
        return self.generic_visit(node)


def modules() -> Iterator[tuple[str, str]]:
    """The path of each module below the folder of snippets, without its suffix, and its text."""
    left = dict(MODULES)
    for page in PAGES:
        for snippet in merged(snippets(page)):
            defined = {
                node.name
                for node in ast.parse(snippet.code).body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            }
            named = [key for key in left if key[0] == snippet.page and key[1] in defined]
            if named:
                yield left.pop(named[0]), typed(snippet)
            elif snippet.file:
                yield snippet.file, typed(snippet)
            else:
                name = re.sub(r"\W+", "_", snippet.page.removesuffix(".md"))
                yield f"{name}_line_{snippet.line}", typed(snippet)
    yield "boards/models", CARD
    assert not left, f"These blocks are not there any more: {left}"


def write(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in modules():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != folder:
            (path.parent / "__init__.py").touch()
        path.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
