"""The systems that the site shows, in the order of its home page.

From the package of each (``SYSTEM`` in ``realtime/<name>/__init__.py``); on to the cards of
the home page, the heading of every page, the page that shows the source, and docs/systems.md
(``manage.py systems --write``).
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

ROOT = Path(__file__).resolve().parent.parent

NAMES = (
    "echo",
    "sheet",
    "rooms",
    "notifications",
    "tokens",
    "logins",
    "scores",
    "pingpong",
    "together",
    "clock",
    "ticker",
    "thumbnails",
)


class System(NamedTuple):
    """One of them. ``name``: of its package, and the namespace of its URLs.

    ``files``: what a reader should see of it, the most telling first, from the root of the
    repository. ``page``: the name of the URL where it begins. ``test``: what uses it as a
    person would.
    """

    name: str
    title: str
    sentence: str
    files: tuple[str, ...]
    page: str = "page"
    test: str = ""

    @property
    def url_name(self) -> str:
        return f"{self.name}:{self.page}"

    @property
    def address(self) -> str:
        """The path of its page on the site."""
        return reverse(self.url_name, urlconf="realtime.urls")

    @property
    def test_file(self) -> str:
        return self.test or f"tests/realtime/{self.name}/test_browser.py"


def in_order() -> Iterable[System]:
    for name in NAMES:
        yield import_module(f"realtime.{name}").SYSTEM


def find(name: str) -> System | None:
    return next((system for system in in_order() if system.name == name), None)


def shown(request: HttpRequest) -> dict[str, Any]:
    """For every template: ``system``, whose page this is, if it is one's."""
    match = request.resolver_match
    return {"system": find(match.namespace) if match is not None else None}
