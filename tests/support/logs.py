"""Loggers of a test's own, and lines that are not left out."""

import logging
import weakref
from collections.abc import Iterator

import pytest

from djchan.throttling import throttle


class Root(logging.RootLogger):
    def addHandler(self, hdlr: logging.Handler) -> None:
        if not type(hdlr).__module__.startswith("_pytest"):  # They are no project's.
            super().addHandler(hdlr)


@pytest.fixture
def loggers(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """A tree of loggers as a new process has it: its root, without handlers.

    Those that modules have made before stay in the old tree.
    """
    root = Root(logging.WARNING)
    monkeypatch.setattr(logging, "root", root)
    monkeypatch.setattr(logging.Logger, "root", root)
    monkeypatch.setattr(logging.Logger, "manager", logging.Manager(root))
    # What dictConfig closes and forgets.
    monkeypatch.setattr(logging, "_handlers", weakref.WeakValueDictionary())
    monkeypatch.setattr(logging, "_handlerList", [])
    return root


@pytest.fixture(autouse=True)
def every_line() -> Iterator[None]:
    """No line is left out because an earlier test, or this one, has logged the same."""
    yield
    throttle.clear()
