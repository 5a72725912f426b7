"""Which files below a path belong to a project, and what kind each is.

From ``djchan.upgrade.__main__``; on to the rewriting by kind. Hidden folders, virtual
environments, installed packages and links are not the project's own.
"""

import os
import re
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

_NOT_OURS = frozenset({"__pycache__", "bower_components", "node_modules", "site-packages"})
# What lies in a virtual environment; the last two in one of Python 2.
_OF_ENVIRONMENT = ("pyvenv.cfg", "bin/activate_this.py", "Scripts/activate_this.py")

_TEMPLATES = frozenset({".djhtml", ".htm", ".html", ".j2", ".jinja", ".jinja2", ".xhtml"})
_SCRIPTS = frozenset({".js", ".jsx", ".mjs", ".ts", ".tsx", ".vue"})
_DEPLOYMENT = re.compile(
    r"(?:[\w.-]*requirements[\w.-]*\.(?:txt|in|pip)|constraints[\w.-]*\.txt|setup\.cfg|pyproject\.toml"
    r"|Pipfile|tox\.ini|runtime\.txt|environment\.ya?ml|package\.json|[\w.-]*Procfile[\w.-]*"
    r"|[\w.-]*Dockerfile[\w.-]*|(?:docker-)?compose[\w.-]*\.ya?ml"
    r"|\w[\w.-]*\.(?:sh|service|conf|ini|cfg))\Z",
    re.IGNORECASE,
)
_LARGEST = 1_000_000  # Bytes; a larger script or text file was made by a machine.


class Kind(Enum):
    PYTHON = auto()
    TEMPLATE = auto()
    SCRIPT = auto()
    DEPLOYMENT = auto()


def files(root: Path) -> Iterator[tuple[Path, Kind]]:
    """The project's files with their kinds, in order of their paths."""
    if root.is_file():
        kind = kind_of(root)
        if kind is not None:
            yield root, kind
        return
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_ours(here / name))
        for name in sorted(names):
            path = here / name
            kind = kind_of(path)
            if kind is not None and not path.is_symlink() and path.is_file():
                yield path, kind


def kind_of(path: Path) -> Kind | None:
    """What kind of file a path names; None for one that is of no concern."""
    if path.suffix in (".py", ".pyi"):
        return Kind.PYTHON
    if path.suffix in _TEMPLATES:
        kind = Kind.TEMPLATE
    elif path.suffix in _SCRIPTS:
        kind = Kind.SCRIPT
    elif _DEPLOYMENT.match(path.name) or "requirements" in path.parent.name:
        kind = Kind.DEPLOYMENT
    else:
        return None
    return kind if not path.exists() or path.stat().st_size <= _LARGEST else None


def _is_ours(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name in _NOT_OURS or folder.is_symlink():
        return False
    return not any((folder / name).exists() for name in _OF_ENVIRONMENT)
