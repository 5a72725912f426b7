"""Find the requirements on distributions in a project's files.

Each kind of file names them in a syntax of its own. A requirement is read as pip reads it (PEP
508); the versions of Poetry and conda are translated. A requirement that names a URL has no
version; its name is that of ``#egg=``, or of the repository.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from djchan.upgrade.files import made_name


class Required(NamedTuple):
    """A requirement, and the line that it stands on."""

    line: int
    requirement: Requirement


_Lines = Iterator[tuple[int, str]]
_Reader = Callable[[str], _Lines]

_TEXT = re.compile(r".*(?:requirements|constraints).*\.(?:txt|in|pip)\Z", re.IGNORECASE)
_OPTIONS = re.compile(r"(?:^|\s)--?(?:hash|global-option|config-settings?|install-option)\b.*")
_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]+")
_EGG = re.compile(r"[#&]egg=([\w.-]+(?:\[[^\]]*\])?)")
_REPOSITORY = re.compile(r"/([\w.-]+?)(?:\.git)?(?:@[^/#]*)?(?:#.*)?\Z")
_ARCHIVE = re.compile(r"/([\w.-]+)/(?:archive|tarball|zipball)/")
_FILE = re.compile(r"/([A-Za-z][\w.]*?)-\d[^/]*\.(?:whl|zip|tar\.\w+|tgz)(?:#.*)?\Z")
_LENIENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*[=<>~!]")

_INSTALL = re.compile(
    r"\b(?:pip[\d.]*|pipenv|conda)[\"']?,?\s+[\"']?install\b|\b(?:poetry|uv)\s+add\b"
)
_SEPARATOR = re.compile(r"\s*(?:&&|\|\||[;|](?!\s*python_version))\s*")
_PINNED = re.compile(
    r"(?<![\w.-])[A-Za-z][\w.-]*(?:\[[\w,-]*\])?\s*(?:[=~!<>]=|[<>])\s*\d[\w.*]*"
    r"(?:\s*,\s*(?:[=~!<>]=|[<>])\s*\d[\w.*]*)*"
)
_SECTION = re.compile(r"\s*\[+([^\]]+)\]+\s*(?:#.*)?\Z")
_TABLE = re.compile(r"(?:packages|\bpoetry\b.*dependencies)\.[\"']?([\w.-]+)[\"']?\Z")
_ASSIGNED = re.compile(r"""\s*["']?([A-Za-z0-9][\w.-]*)["']?\s*=\s*(.+)\Z""")
_STRING = re.compile(r"""(["'])(.*?)\1""")
_VERSION_KEY = re.compile(r"""\bversion\s*=\s*["']([^"']+)["']""")
_EXTRAS_KEY = re.compile(r"""\bextras\s*=\s*\[([^\]]*)\]""")
_URL_KEY = re.compile(r"""\b(?:git|url)\s*=\s*["']([^"']+)["']""")
_REQUIRING_NAME = re.compile(r"requires?|require_|dependenc", re.IGNORECASE)


def required(path: str, text: str) -> Iterator[Required]:
    """All requirements of a file, whatever kind it is."""
    for line, entry in _reader(path)(text):
        requirement = parsed(entry)
        if requirement is not None:
            yield Required(line, requirement)


def parsed(entry: str) -> Requirement | None:
    """One requirement as pip reads it; None for what is none, or is an option of pip."""
    entry = _EDITABLE.sub("", _OPTIONS.sub("", entry.strip()), count=1).strip()
    if not entry or entry.startswith("-"):
        return None
    try:
        return Requirement(entry)
    except InvalidRequirement:
        pass
    if "://" in entry or entry.startswith("git@"):
        named = next(filter(None, (one.search(entry) for one in (_EGG, _ARCHIVE, _FILE))), None)
        named = named or _REPOSITORY.search(entry)
        return _requirement(f"{named[1]} @ {entry.split()[0]}") if named else None
    # A version that is no version any more ("1.8beta-dev"): the name is what counts.
    lenient = _LENIENT.match(entry)
    return _requirement(f"{lenient[1]} @ unreadable:") if lenient else None


def _requirement(entry: str) -> Requirement | None:
    try:
        return Requirement(entry)
    except InvalidRequirement:
        return None


def _reader(path: str) -> _Reader:
    pure = PurePosixPath(path)
    name = made_name(pure.name)
    if (
        _TEXT.match(pure.name)
        or _TEXT.match(name)
        or ("requirements" in pure.parent.name and pure.suffix != ".py")
    ):
        return _of_requirements
    if name == "setup.py":
        return _of_setup
    if name in ("Pipfile", "pyproject.toml"):
        return _of_toml
    if name in ("setup.cfg", "tox.ini"):
        return _of_ini
    if re.match(r"(?:.*[-_])?environment.*\.ya?ml\Z", name):
        return _of_conda
    return _of_commands


def _of_requirements(text: str) -> _Lines:
    """Each line, with those that a backslash joins to it."""
    begun, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun or number
        joined += re.sub(r"(?:^|\s)#.*", "", line)
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        yield begun, joined
        begun, joined = 0, ""
    if joined:
        yield begun, joined


def _of_setup(text: str) -> _Lines:
    """Strings below what is named for requirements: ``install_requires=``, ``REQUIRES =``."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg and _names_requirements(node.arg):
            yield from _strings(node.value)
        elif isinstance(node, ast.Assign):
            names = " ".join(ast.unparse(target) for target in node.targets)
            if _names_requirements(names):
                yield from _strings(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and _names_requirements(str(key.value)):
                    yield from _strings(value)


def _names_requirements(name: str) -> bool:
    return bool(_REQUIRING_NAME.search(name)) and name != "python_requires"


def _strings(value: ast.expr) -> _Lines:
    if isinstance(value, ast.Dict):
        for one in value.values:
            yield from _strings(one)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        for offset, line in enumerate(value.value.splitlines()):
            yield value.lineno + offset, line
    else:
        for child in ast.iter_child_nodes(value):
            if isinstance(child, ast.expr):
                yield from _strings(child)


def _of_toml(text: str) -> _Lines:
    """``name = "version"`` of Pipenv and Poetry, and the strings of PEP 621's lists."""
    section, in_list = "", False
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(?:^|\s)#.*", "", line)
        heading = _SECTION.match(line) if not in_list else None
        if heading:
            section = heading[1].strip()
            continue
        assigned = _ASSIGNED.match(line) if not in_list else None
        if assigned and re.search(r"(?:packages|\bpoetry\b.*dependencies)\Z", section):
            yield number, _of_table(assigned[1], assigned[2])
            continue
        table = _TABLE.search(section)
        if assigned and table and assigned[1] in ("version", "git", "url"):
            # [tool.poetry.dependencies.channels]
            yield number, _of_table(table[1], f"{{{line}}}")
            continue
        if assigned:
            lists = re.search(r"dependencies|requires\Z", assigned[1]) or re.search(
                r"dependenc|dependency-groups|build-system", section
            )
            in_list = bool(lists) and assigned[2].lstrip().startswith("[")
        if in_list:
            for _, entry in _STRING.findall(line.partition("=")[2] if assigned else line):
                yield number, entry
            in_list = not re.search(r"\]\s*\Z", _STRING.sub("", line))


def _of_table(name: str, value: str) -> str:
    """One entry of Pipenv or Poetry as pip would write it."""
    if value.lstrip().startswith("{"):
        url, version, extras = (key.search(value) for key in (_URL_KEY, _VERSION_KEY, _EXTRAS_KEY))
        if extras:
            listed = ",".join(extra for _, extra in _STRING.findall(extras[1]))
            name = f"{name}[{listed}]"
        return f"{name} @ {url[1]}" if url else name + _range(version[1] if version else "*")
    version = _STRING.search(value)
    return name + _range(version[2] if version else "*")


def _range(version: str) -> str:
    """A range of Poetry, "^1.1" or "~1.11", as pip writes it."""
    version = version.strip()
    if version in ("", "*"):
        return ""
    found = re.match(r"(\^|~(?!=))\s*(\d+(?:\.\d+)*)\Z", version)
    if found:
        parts = [int(part) for part in found[2].split(".")]
        at = 0 if found[1] == "^" and parts[0] else min(1, len(parts) - 1)
        above = ".".join(map(str, [*parts[:at], parts[at] + 1]))
        return f">={found[2]},<{above}"
    return f"=={version}" if version[0].isdigit() else version


def _of_ini(text: str) -> _Lines:
    """What follows ``install_requires =``, ``deps =``; and all of ``extras_require``."""
    section = key = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(?:^|\s)[#;](?!\s*python_version).*", "", line)
        heading = _SECTION.match(line)
        if heading:
            section, key = heading[1].strip(), ""
            continue
        entry = line
        if line[:1].strip():
            key, _, entry = (part.strip() for part in line.partition("="))
        if key in ("deps", "requires") or key.endswith("_requires") or "extras_req" in section:
            # tox: "py36-django111: Django>=1.11,<2.0"
            entry = re.sub(r"\A\s*[\w.,{}!-]+:\s+", "", entry)
            if key != "python_requires":
                yield number, entry


def _of_conda(text: str) -> _Lines:
    """``- django=1.11``, and the list of pip below it."""
    for number, line in enumerate(text.splitlines(), 1):
        item = re.match(r"\s*-\s+[\"']?([^\"'#]+)", line)
        if item:
            entry = re.sub(r"\A([\w.-]+)=(\d[\d.]*)(?:=.*)?\Z", r"\1==\2.*", item[1].strip())
            yield number, entry


def _of_commands(text: str) -> _Lines:
    """``pip install channels==1.1.8`` of an image or a script, and versions in a variable."""
    installing = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        line = re.sub(r"\s#\s.*", "", line)
        begun = _INSTALL.search(line)
        arguments = line[begun.end() :] if begun else line if installing else ""
        arguments, *rest = _SEPARATOR.split(arguments)
        pinned = [found[0] for found in _PINNED.finditer(line)]
        for entry in pinned:
            arguments = arguments.replace(entry, " ")
            yield number, entry
        for argument in re.split(r"[\s\"',\[\]]+(?![\w-]*\])", arguments):
            # A folder or a file is no requirement.
            if (
                argument
                and not re.match(r"[.~/$-]", argument)
                and not re.search(r"\.\w+\Z", argument)
            ):
                yield number, argument
        installing = (bool(begun) or installing) and not rest and line.rstrip().endswith("\\")
