"""What to rewrite in a Python file: imports, the names they bind, and strings that are paths.

From ``djchan.upgrade.__main__`` with the text of one file; on to the edited text. The syntax
tree (LibCST) says where something is and what a name is bound to; the edits are made in the
text itself, so that all else stays as it is, to the byte.
"""

import libcst as cst
from libcst.metadata import MetadataWrapper

from djchan.upgrade.edits import Backend, NoBackend
from djchan.upgrade.imports import Imports
from djchan.upgrade.names import NEW, OLD
from djchan.upgrade.source import Note, Text, Unreadable
from djchan.upgrade.strings import Strings
from djchan.upgrade.templates import with_static

__all__ = ["Backend", "NoBackend", "may_concern", "rewritten"]

_NAMES = ("asgi_ipc", "asgi_rabbitmq", "asgi_redis", "asgiref", NEW, OLD)


def may_concern(text: str) -> bool:
    """Whether a file may have anything of interest; most are not worth parsing."""
    return any(name in text for name in _NAMES) or with_static(text) != text


def rewritten(text: Text, path: str, backend: Backend) -> tuple[Text, list[Note]]:
    """The file as it should be, and what a person must decide in it. Raises Unreadable."""
    try:
        module = cst.parse_module(text.text)
    except cst.ParserSyntaxError as error:
        raise Unreadable(f"is not Python 3 ({error.message})", error.raw_line) from error
    if module.code != text.text:
        raise Unreadable("cannot be written as it was read")
    wrapper = MetadataWrapper(module)
    finder = _Finder(text.text.encode(), backend)
    wrapper.visit(finder)
    notes = [Note(path, line, sentence) for line, sentence in finder.notes]
    return text.edited(finder.edits), notes


class _Finder(Imports, Strings):
    """Both, in one walk through the tree."""
