"""Where a project sets a setting."""

import pytest

from djchan.upgrade.settings import settings
from tests.support.upgrading import project


@pytest.mark.parametrize(
    ("source", "name", "path"),
    [
        ("X_Y = 1", "X_Y", ()),
        ("X_Y: int = 1", "X_Y", ()),
        ("X_Y += [1]", "X_Y", ()),
        ("if a:\n    X_Y = 1", "X_Y", ()),
        ("class Local(Base):\n    X_Y = 1", "X_Y", ()),
        ("settings.X_Y = 1", "X_Y", ()),
        ("settings.configure(X_Y=1)", "X_Y", ()),
        ("x = dict(X_Y=1)", "X_Y", ()),
        ("x = {'X_Y': 1}", "X_Y", ()),
        ("X_Y['default']['A'] = 1", "X_Y", ("default", "A")),
    ],
)
def test_it_is_found(source: str, name: str, path: tuple[str, ...]):
    [found] = settings(project({"a.py": source}).modules[0])

    assert (found.name, found.path) == (name, path)


@pytest.mark.parametrize("source", ["x = 1", "f(x=1)", "X == 1", "{'x': 1}", "x[X_Y] = 1"])
def test_something_else_is_none(source: str):
    assert list(settings(project({"a.py": source}).modules[0])) == []
