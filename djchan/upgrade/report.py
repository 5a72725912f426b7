"""What the command prints: the lines that change, and what a person must decide.

From ``djchan.upgrade.__main__``; on to the terminal.
"""

import difflib
from collections.abc import Iterable, Iterator

from djchan.upgrade.source import Note


def changes(path: str, before: str, after: str) -> Iterator[str]:
    """The lines of one file that change, each with its number."""
    yield path
    old, new = before.splitlines(), after.splitlines()
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            continue
        for number in range(start, end):
            yield f"  {number + 1:5} - {old[number].strip()}"
        for number in range(new_start, new_end):
            yield f"  {number + 1:5} + {new[number].strip()}"


def summary(changed: int, *, check: bool) -> str:
    """One line for all files."""
    files = "1 file" if changed == 1 else f"{changed} files"
    if not changed:
        return "Nothing to rewrite."
    return f"{files} would be rewritten." if check else f"{files} rewritten."


def decisions(notes: Iterable[Note]) -> Iterator[str]:
    """The list for a person: one line each, in the order of the files."""
    lines = sorted({(note.path, note.line, note.sentence) for note in notes})
    if lines:
        yield ""
        yield "What a person must decide:"
        yield ""
    for path, line, sentence in lines:
        yield f"{path}:{line}: {sentence}"
