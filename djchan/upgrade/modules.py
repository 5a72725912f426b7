"""A project's Python files as the advice sees them: modules, names, what is defined.

From ``djchan.upgrade.__main__`` with texts; on to ``consumers`` and ``facts``. Names are those
after the rewriting: ``channels.Group`` and ``djchan.Group`` are one.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from djchan.upgrade.names import successor

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(text: str) -> ast.Module | None:
    """The syntax tree; None for what is not Python 3."""
    with warnings.catch_warnings():
        # Of what the project writes, not of ours: "\\d" in a plain string.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):
            return None


@dataclass
class Module:
    """One file. ``path``: relative to the project, as it is printed."""

    path: str
    text: str
    tree: ast.Module = field(repr=False)

    @cached_property
    def package(self) -> tuple[str, ...]:
        return PurePosixPath(self.path).parent.parts

    @cached_property
    def dotted(self) -> str:
        """Its name, seen from the top of the project; an import may begin further down."""
        stem = PurePosixPath(self.path).stem
        return ".".join([*self.package, *([] if stem == "__init__" else [stem])])

    @property
    def is_test(self) -> bool:
        """Whether it holds tests, whose consumers meet no browser."""
        return any(re.match(r"tests?(?![a-z])", part) for part in PurePosixPath(self.path).parts)

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    names[name] = _ours(alias.name if alias.asname else name)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = self.package[: len(self.package) - node.level + 1]
                    base = ".".join([*above, *([base] if base else [])])
                for alias in node.names:
                    names[alias.asname or alias.name] = _ours(f"{base}.{alias.name}")
        return names

    def named(self, node: ast.AST | None) -> str:
        """The dotted name behind an expression, through the imports; "" if it is none."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            before = self.named(node.value)
            return _ours(f"{before}.{node.attr}") if before else ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return _ours(node.value)
        return ""


@dataclass
class Definition:
    """A function or class at the top of a module."""

    module: Module
    node: Function | ast.ClassDef

    @property
    def decorators(self) -> list[str]:
        return [
            self.module.named(one.func if isinstance(one, ast.Call) else one)
            for one in self.node.decorator_list
        ]

    def method(self, name: str) -> Function | None:
        for node in self.node.body:
            if isinstance(node, Function) and node.name == name:
                return node
        return None

    def attribute(self, name: str) -> ast.expr | None:
        """What a class body assigns to a name."""
        for node in self.node.body:
            if isinstance(node, ast.Assign):
                if any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
                    return node.value
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
                return node.value
        return None


class Project:
    """All modules, and where a dotted name is defined."""

    def __init__(self, modules: list[Module]) -> None:
        self.modules = modules
        self._defined: dict[str, list[Definition]] = {}
        for module in modules:
            for node in module.tree.body:
                if isinstance(node, Function | ast.ClassDef):
                    self._defined.setdefault(node.name, []).append(Definition(module, node))

    def definitions(self) -> Iterator[Definition]:
        for found in self._defined.values():
            yield from found

    def find(self, dotted: str, asked_by: Module) -> Definition | None:
        """What a name means in a module. It may be shorter at its front than the path."""
        module, _, name = dotted.rpartition(".")
        for one in self._defined.get(name, ()):
            if not module and one.module is asked_by:
                return one
            if module and f".{one.module.dotted}".endswith(f".{module}"):
                return one
        return None

    def bases(self, one: Definition, *, seen: frozenset[str] = frozenset()) -> Iterator[str]:
        """The dotted names of all classes that a class is made of, near ones first."""
        if not isinstance(one.node, ast.ClassDef):
            return
        for base in one.node.bases:
            name = one.module.named(base)
            yield name
            above = self.find(name, one.module)
            if above is not None and name not in seen:
                yield from self.bases(above, seen=seen | {name})


def _ours(dotted: str) -> str:
    return successor(dotted) or dotted
