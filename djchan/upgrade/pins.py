"""Which requirements cannot be met any more, and what takes their place.

What djchan needs is asked of the metadata of what is installed with it, so that a list that
was written by ``pip freeze`` can be compared with it line by line: Daphne 1 brought a Twisted
along, that an Automat, and each is pinned there.
"""

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from djchan.upgrade.requirements import required
from djchan.upgrade.source import Note


class Need(NamedTuple):
    """The versions that djchan, or what it needs, can do with; ``installed``: one of them."""

    versions: SpecifierSet
    installed: Version


Needs = Mapping[str, Need]

_OF_1X = Version("1.1.8")
CHANNELS = (
    "Write djchan in place of channels; it brings Daphne, Redis's client and Channels 4 along."
)
CRYPTO = (
    "Write djchan[crypto] in place of {name}, which works with no supported Django: "
    "djchan.layers.redis takes its place."
)
_LAYER = "Take this out: it works with no supported Django; djchan.layers.redis takes its place."
_OF_LAYER = (
    "Take this out, unless your own code imports it: the old channel layer had brought it along."
)
_IN_PYTHON = "Take this out: Python has it; what is called so is for older Pythons."
_GONE = {
    "asgi-amqp": _LAYER,
    "asgi-ipc": _LAYER,
    "asgi-rabbitmq": _LAYER,
    "asgi-redis": _LAYER,
    "msgpack-python": _OF_LAYER,
    "mysql-python": "Write mysqlclient: this is for Python 2.",
    "posix-ipc": _OF_LAYER,
    "txredisapi": _OF_LAYER,
    "pkg-resources": "Take this out: Debian's pip wrote it, and no index has it.",
    **dict.fromkeys(
        (
            "argparse",
            "asyncio",
            "backports-ssl-match-hostname",
            "configparser",
            "dataclasses",
            "enum34",
            "functools32",
            "futures",
            "ipaddress",
            "pathlib",
            "pathlib2",
            "subprocess32",
            "trollius",
            "typing",
            "unittest2",
            "wsgiref",
        ),
        _IN_PYTHON,
    ),
}
# Drivers of databases: the first versions for the Pythons and the Djangos that djchan runs on.
_DRIVERS = {
    name: Need(SpecifierSet(f">={first}"), Version(first))
    for name, first in (
        ("mysqlclient", "2.2.1"),
        ("psycopg2", "2.9.9"),
        ("psycopg2-binary", "2.9.9"),
    )
}
_DRIVER = "Write {name}{versions}: older ones are not for the Python and the Django of today."
_DJANGO = "djchan needs Django 5.2 or newer: write Django{versions}."
_BROUGHT = (
    "Take this out: djchan brings {name}{versions} along, and pip finds no version that is both."
)


def needed() -> dict[str, Need]:
    """What djchan needs, and what that needs, by canonical names."""
    found: dict[str, Need] = {}
    waiting = [("djchan", frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for requirement in _requirements(name, extras):
            other = canonicalize_name(requirement.name)
            try:
                installed = Version(metadata.version(other))
            except metadata.PackageNotFoundError:
                continue  # An environment without it: pip will know.
            before = found.get(other, Need(SpecifierSet(), installed))
            found[other] = Need(before.versions & requirement.specifier, installed)
            key = (other, frozenset(requirement.extras))
            if key not in seen:
                seen.add(key)
                waiting.append(key)
    return found


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def notes(path: str, text: str, needs: Needs) -> Iterator[Note]:
    """One note for each requirement that has to change."""
    for line, requirement in required(path, text):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            sentence = _sentence(requirement, needs)
            if sentence:
                yield Note(path, line, sentence)


def _sentence(requirement: Requirement, needs: Needs) -> str:
    name = canonicalize_name(requirement.name)
    if name in _GONE:
        encrypts = name == "asgi-redis" and "cryptography" in requirement.extras
        return CRYPTO.format(name=requirement.name) if encrypts else _GONE[name]
    need = needs.get(name) or _DRIVERS.get(name)
    if need is None:
        return ""
    can_be = _can_be_met(requirement, need.versions, need.installed)
    if name == "channels":
        is_old = requirement.url is None and requirement.specifier.contains(_OF_1X)
        return CHANNELS if is_old or not can_be else ""
    if can_be:
        return ""
    sentence = _DRIVER if name in _DRIVERS else _DJANGO if name == "django" else _BROUGHT
    return sentence.format(name=requirement.name, versions=_shown(need.versions))


def _shown(versions: SpecifierSet) -> str:
    """The bounds alone: the highest of those below, and the lowest of those above."""
    floors = [Version(one.version) for one in versions if one.operator in (">", ">=")]
    others = sorted({str(one) for one in versions if one.operator[0] in "<~="})
    return ",".join([f">={max(floors)}" if floors else "", *others]).strip(",")


def _can_be_met(requirement: Requirement, needed: SpecifierSet, installed: Version) -> bool:
    """Whether a version is likely to be there that a requirement and djchan both allow.

    Tried are the version that is installed and those that the two name: where two ranges
    overlap, one of these lies in both.
    """
    if requirement.url is not None:
        return False
    both = requirement.specifier & needed
    named = [Version(one.version.removesuffix(".*")) for one in both if one.operator != "==="]
    return any(both.contains(one, prereleases=True) for one in (installed, *named))
