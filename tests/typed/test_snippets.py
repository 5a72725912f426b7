"""tests.typed.snippets: all code of the documentation, as modules that type checkers can check."""

import ast
import re
from pathlib import Path

from tests.typed.snippets import CONTEXT, PAGES, Snippet, merged, modules, snippets, typed, write


def test_every_block_of_python_is_a_module(tmp_path: Path) -> None:
    fences = again = 0
    for page in PAGES:
        fences += len(re.findall(r"^ *```(?:py|python|python3|pycon)\b", page.read_text(), re.M))
        found = list(snippets(page))
        again += len(found) - len(merged(found))  # More of the same file.

    write(tmp_path)

    written = [path for path in tmp_path.rglob("*.py") if path.stat().st_size]
    assert fences > 30
    assert len(written) == fences - again + 1  # And the models of the example.


def test_every_parameter_has_a_type() -> None:
    untyped = [
        (name, function.name)
        for name, text in modules()
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for each in (*function.args.args, *function.args.kwonlyargs)
        if each.annotation is None and each.arg not in ("self", "cls")
    ]

    assert untyped == []


def test_a_block_gets_the_types_and_the_imports_that_it_leaves_to_its_reader() -> None:
    code = "async def echo(message, room):\n    Channel(os.name).send(message.content)"

    assert typed(Snippet("docs/a.md", 7, code)).splitlines() == [
        "# docs/a.md, line 7",
        "from typing import Any",
        "from djchan import Channel",
        "from djchan.message import Message",
        "import os",
        "async def echo(message: Message, room: Any) -> Any:",
        "    Channel(os.name).send(message.content)",
    ]


def test_what_a_block_defines_or_imports_is_its_own() -> None:
    code = "import os.path\nfrom x import y as Channel\nCard = 1\nCard, Channel, os"

    assert not set(typed(Snippet("docs/a.md", 1, code)).splitlines()) & set(CONTEXT.values())


def test_a_block_of_a_console_session_is_what_was_typed() -> None:
    page = PAGES[0].parent / "docs/howto/test-with-faults.md"

    assert any(
        snippet.code.startswith("from djchan import channel_layers\nlayer = ")
        for snippet in snippets(page)
    )
