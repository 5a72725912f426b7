"""Which files below a path belong to a project, and what kind each is.

Hidden folders but for those of CI, virtual environments, installed packages and links are not
the project's own.
"""

import os
import re
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

_NOT_OURS = frozenset({"__pycache__", "bower_components", "node_modules", "site-packages"})
# What lies in a virtual environment; the last two in one of Python 2.
_OF_ENVIRONMENT = ("pyvenv.cfg", "bin/activate_this.py", "Scripts/activate_this.py")

_PYTHON = frozenset({".py", ".pyi"})
_TEMPLATES = frozenset({".djhtml", ".htm", ".html", ".j2", ".jinja", ".jinja2", ".xhtml"})
# What may be a template in a folder of templates.
_TEXTS = frozenset({".css", ".csv", ".eml", ".js", ".md", ".rst", ".svg", ".tpl", ".txt", ".xml"})
_SCRIPTS = frozenset({".js", ".jsx", ".mjs", ".ts", ".tsx", ".vue"})
_DEPLOYMENT = re.compile(
    r"(?:.*requirements.*\.(?:txt|in|pip)|.*constraints.*\.(?:txt|in)|setup\.cfg|pyproject\.toml"
    r"|Pipfile|tox\.ini|runtime\.txt|package\.json|.*Procfile.*|.*Dockerfile.*|Jenkinsfile"
    r"|(?:GNU)?[Mm]akefile|[Jj]ustfile|Vagrantfile|app\.json"
    r"|crontab|.*\.(?:sh|bash|zsh|fish|bat|cmd|ps1|service|socket|conf|config|ini|cfg|ya?ml|sls|pp|tf"
    r"|mk|run|nomad|hcl|env))\Z",
    re.IGNORECASE,
)
# "daphne.service.j2" of Ansible's, "supervisord.conf.example".
_MADE_OF = re.compile(
    r"\.(?:j2|jinja2?|erb|tmpl|tpl|template|mustache|dist|in|example|sample|default)\Z"
)
# Where CI and hosts look for theirs, though their names begin with a dot.
_HIDDEN_FOLDERS = frozenset(
    {
        ".azure-pipelines",
        ".buildkite",
        ".circleci",
        ".ebextensions",
        ".github",
        ".gitlab",
        ".platform",
        ".semaphore",
        ".woodpecker",
    }
)
_LONGEST_SHEBANG = 256  # Bytes.
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
    if path.exists() and path.stat().st_size > _LARGEST and path.suffix not in _PYTHON:
        return None
    made = Path(made_name(path.name))
    if path.suffix in _PYTHON:
        return Kind.PYTHON
    if _DEPLOYMENT.match(path.name) or _DEPLOYMENT.match(made.name):
        return Kind.DEPLOYMENT
    if "requirements" in path.parent.name:
        return Kind.DEPLOYMENT
    if _TEMPLATES & {path.suffix, made.suffix} or (path.suffix in _TEXTS and _is_template(path)):
        return Kind.TEMPLATE
    if path.suffix in _SCRIPTS:
        return Kind.SCRIPT
    return None if path.suffix else _kind_of_script(path)


def made_name(name: str) -> str:
    """The name of the file that a template makes, or an example stands for."""
    return _MADE_OF.sub("", name)


def _kind_of_script(path: Path) -> Kind | None:
    """The kind of a file without a suffix, by its first line: ``#!/usr/bin/env python``."""
    try:
        with path.open("rb") as file:
            first = file.readline(_LONGEST_SHEBANG)
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return None
    return Kind.PYTHON if b"python" in first else Kind.DEPLOYMENT


def _is_template(path: Path) -> bool:
    return any(part in ("templates", "jinja2") for part in path.parts[:-1])


def _is_ours(folder: Path) -> bool:
    name = folder.name
    if name in _NOT_OURS or name.endswith((".egg", ".egg-info", ".dist-info")):
        return False
    if folder.is_symlink() or (name.startswith(".") and name not in _HIDDEN_FOLDERS):
        return False
    return not any((folder / sign).exists() for sign in _OF_ENVIRONMENT)
