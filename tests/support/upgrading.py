"""Files of a project that are never written, as the advice of the upgrade command reads them."""

import textwrap
from collections.abc import Iterable, Mapping

from djchan.upgrade.modules import Module, Project, parsed
from djchan.upgrade.source import Note


def project(files: Mapping[str, str]) -> Project:
    """``files``: the text of each path; indentation that all lines have is taken off."""
    read = []
    for path, text in files.items():
        text = textwrap.dedent(text)
        tree = parsed(text)
        assert tree is not None, path
        read.append(Module(path, text, tree))
    return Project(read)


def about(word: str, notes: Iterable[Note]) -> list[tuple[str, int]]:
    """Where the notes are that have a word in their sentence."""
    return sorted((note.path, note.line) for note in notes if word in note.sentence)
