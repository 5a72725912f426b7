"""Find where a project sets a setting, however it writes that down.

Settings are assigned, added to, and given as keywords (``settings.configure(…)``, ``dict(…)``,
``override_settings(…)``) or as items of a dict that ``**`` hands on.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from djchan.upgrade.modules import Module


class Setting(NamedTuple):
    """One place where it is set. ``path``: the keys, for ``NAME["default"]["CONFIG"] = …``."""

    name: str
    value: ast.expr | None
    node: ast.stmt | ast.expr | ast.keyword
    path: tuple[str, ...] = ()


def settings(module: Module) -> Iterator[Setting]:
    """Every name in capitals that gets a value in a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                name, path = _target(target)
                if name:
                    yield Setting(name, node.value, node, path)
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg and _is_setting(keyword.arg):
                    yield Setting(keyword.arg, keyword.value, keyword)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and _is_setting(str(key.value)):
                    yield Setting(str(key.value), value, key)


def _target(target: ast.expr) -> tuple[str, tuple[str, ...]]:
    path: list[str] = []
    while isinstance(target, ast.Subscript):
        key = target.slice
        path.insert(0, str(key.value) if isinstance(key, ast.Constant) else "")
        target = target.value
    name = target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
    return (name, tuple(path)) if _is_setting(name) else ("", ())


def _is_setting(name: str) -> bool:
    return name.isupper() and name.isidentifier()
