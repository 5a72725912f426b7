"""Tell files that a tool has written from those of the project: bundles, API docs, copies.

Nobody edits them; what has to change in them changes when they are built again.
"""

import re
from pathlib import PurePosixPath

from djchan.upgrade.files import Kind

_FOLDERS = frozenset({"_build", "_modules", "dist", "htmlcov", "staticfiles", "static_root"})
_BUNDLE_NAME = re.compile(r".*[.-](?:min|bundle|chunk|[0-9a-f]{8,})\.\w+\Z|bundle\.\w+\Z")
_BUNDLE = re.compile(
    r"__webpack_require__|webpackBootstrap|webpackJsonp|parcelRequire|^//# sourceMappingURL=|"
    r'typeof require\s*==\s*"function"\s*&&\s*require|\bSystem\.register\(\[',
    re.MULTILINE,
)
_DOCS = re.compile(
    r"<meta\s[^>]*\bname=[\"']generator[\"'][^>]*"
    r"(?:Docutils|Doxygen|Docusaurus|Javadoc|JSDoc|MkDocs|pdoc|Sphinx)"
    r"|DOCUMENTATION_OPTIONS|\b(?:generated|created|built) (?:by|using|with)\s*(?:<[^>]*>)?\s*"
    r"(?:Doxygen|Epydoc|JSDoc|Sphinx|YARD|YUIDoc|apidoc|docco|mkdocs|pdoc|esdoc)",
    re.IGNORECASE,
)
_LONGEST = 2_000  # Characters in a line; a longer one of a script was made by a machine.


def is_generated(path: PurePosixPath, kind: Kind, text: str) -> bool:
    """``path``: relative to the project. Python and deployment files are taken as written."""
    if kind is Kind.PYTHON:
        return path.parts[:2] == ("build", "lib")
    if kind is Kind.DEPLOYMENT:
        return False
    if _FOLDERS & set(path.parts[:-1]):
        return True
    if kind is Kind.TEMPLATE and path.suffix != ".js":
        return bool(_DOCS.search(text[:20_000]))
    return (
        bool(_BUNDLE_NAME.match(path.name))
        or bool(_BUNDLE.search(text))
        or any(len(line) > _LONGEST for line in text.splitlines())
    )
