"""A project's Python files as the advice sees them: modules, names, what is defined.

Names are those after the rewriting: ``channels.Group`` and ``djchan.Group`` are one. A name is
followed to where it is defined, through the modules that import it from one another.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath

from djchan.upgrade.names import NEW, successor

_FOLLOWED = 5  # Names that stand for one another, at most.

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


@dataclass(eq=False)
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
                for alias in node.names:
                    name = f"{self._origin(node)}.{alias.name}"
                    names[alias.asname or alias.name] = _ours(name)
        names.pop("*", None)
        return names

    @cached_property
    def stars(self) -> list[str]:
        """The modules of which all names are imported."""
        return [
            _ours(self._origin(node))
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        ]

    @cached_property
    def values(self) -> dict[str, ast.expr]:
        """What is assigned to names at the top, the last of each name."""
        return {
            target.id: node.value
            for node in _at_the_top(self.tree.body)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def _origin(self, node: ast.ImportFrom) -> str:
        """The module of ``from … import``, dots resolved."""
        base = node.module or ""
        if not node.level:
            return base
        above = self.package[: len(self.package) - node.level + 1]
        return ".".join([*above, *([base] if base else [])])

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


@dataclass(frozen=True)
class Definition:
    """A function or class at the top of a module. ``wrapped_by``: as in ``name = deco(name)``."""

    module: Module = field(repr=False)
    node: Function | ast.ClassDef
    wrapped_by: tuple[str, ...] = ()

    @property
    def decorators(self) -> list[str]:
        written = (
            self.module.named(one.func if isinstance(one, ast.Call) else one)
            for one in self.node.decorator_list
        )
        return [*self.wrapped_by, *written]

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
        self._by_last_name: dict[str, list[Module]] = {}
        self._defined: dict[tuple[str, str], Definition] = {}
        for module in modules:
            self._by_last_name.setdefault(module.dotted.rpartition(".")[2], []).append(module)
            for node in _at_the_top(module.tree.body):
                if isinstance(node, Function | ast.ClassDef):
                    self._defined[module.path, node.name] = Definition(module, node)

    def definitions(self) -> Iterator[Definition]:
        yield from self._defined.values()

    def find(self, dotted: str, asked_by: Module) -> Definition | None:
        """What a name means in a module. It may be shorter at its front than the path."""
        found = self.resolved(dotted, asked_by)
        return found if isinstance(found, Definition) else None

    def wrapped(
        self, node: ast.expr, module: Module, *, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> Definition | None:
        """What an expression names, behind the decorators that are called with it."""
        if isinstance(node, ast.Call) and node.args:
            inner = self.wrapped(node.args[0], module, seen=seen)
            by = (module.named(node.func),)
            return replace(inner, wrapped_by=by + inner.wrapped_by) if inner else None
        found = self.resolved(module.named(node), module, seen=seen)
        return found if isinstance(found, Definition) else None

    def resolved(
        self, dotted: str, asked_by: Module, *, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> Definition | str:
        """The definition behind a name, or the last name of what is not in the project."""
        if (asked_by.path, dotted) in seen:
            # connect = channel_session(connect)
            return self._defined.get((asked_by.path, dotted), dotted)
        seen |= {(asked_by.path, dotted)}
        package, _, name = dotted.rpartition(".")
        for module in self._named(package) if package else [asked_by]:
            value = module.values.get(name)
            wrapped = None
            if isinstance(value, ast.Call):
                wrapped = self.wrapped(value, module, seen=seen | {(module.path, name)})
            defined = wrapped or self._defined.get((module.path, name))
            if defined is not None:
                return defined
            again = module.imports.get(name, "")
            if isinstance(value, ast.Name | ast.Attribute):
                again = module.named(value)
            if again and again != dotted:
                return self.resolved(again, module, seen=seen)
            for star in module.stars:
                found = self.resolved(f"{star}.{name}", module, seen=seen)
                if isinstance(found, Definition) or found != f"{star}.{name}":
                    return found
            ours = [star for star in module.stars if star.startswith(f"{NEW}.")]
            if ours:
                return f"{ours[0]}.{name}"
        # A module that its package has under another name.
        above, _, last = package.rpartition(".")
        for module in self._named(above) if above else []:
            again = module.imports.get(last, "")
            if again and again != package:
                return self.resolved(f"{again}.{name}", module, seen=seen)
        return dotted

    def value(self, node: ast.expr | None, module: Module) -> tuple[ast.expr | None, Module]:
        """The expression that a name stands for, and where it is; else the node itself."""
        for _ in range(_FOLLOWED):
            if not isinstance(node, ast.Name | ast.Attribute):
                break
            package, _, name = module.named(node).rpartition(".")
            holders = self._named(package) if package else [module]
            holder = next((one for one in holders if name in one.values), None)
            if holder is None or holder.values[name] is node:
                break
            node, module = holder.values[name], holder
        return node, module

    def items(
        self, entry: ast.expr | None, module: Module, *, seen: frozenset[ast.expr] = frozenset()
    ) -> Iterator[tuple[str, ast.expr, Module]]:
        """The keys and values of a dict, ``{…}`` or ``dict(…)``, and of what ** puts in it."""
        entry, module = self.value(entry, module)
        if entry is None or entry in seen:
            return  # DATABASES = {**DATABASES, …}
        seen |= {entry}
        if isinstance(entry, ast.Dict):
            for key, value in zip(entry.keys, entry.values, strict=True):
                if key is None:
                    yield from self.items(value, module, seen=seen)
                elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value, module
        elif isinstance(entry, ast.Call) and ast.unparse(entry.func) == "dict":
            for argument in entry.args:
                yield from self.items(argument, module, seen=seen)
            for keyword in entry.keywords:
                if keyword.arg is None:
                    yield from self.items(keyword.value, module, seen=seen)
                else:
                    yield keyword.arg, keyword.value, module

    def bases(self, one: Definition) -> Iterator[str]:
        """The dotted names of all classes that a class is made of, near ones first."""
        for each in self.lineage(one):
            if isinstance(each.node, ast.ClassDef):
                for base in each.node.bases:
                    name = each.module.named(base)
                    yield name
                    found = self.resolved(name, each.module)
                    if isinstance(found, str):
                        yield found

    def lineage(self, one: Definition) -> list[Definition]:
        """A class and those of the project that it is made of, near ones first."""
        found = [one]
        for each in found:
            for base in each.node.bases if isinstance(each.node, ast.ClassDef) else []:
                above = self.find(each.module.named(base), each.module)
                if above is not None and above not in found:
                    found.append(above)
        return found

    def _named(self, dotted: str) -> list[Module]:
        """The modules that a name may mean; a whole one before the end of one."""
        last = dotted.rpartition(".")[2]
        found = [
            one
            for one in self._by_last_name.get(last, ())
            if f".{one.dotted}".endswith(f".{dotted}")
        ]
        return sorted(found, key=lambda one: len(one.dotted))


def _at_the_top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those of its conditions and attempts among them."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _at_the_top(node.body)
            yield from _at_the_top([*getattr(node, "orelse", []), *getattr(node, "finalbody", [])])
            for handler in getattr(node, "handlers", []):
                yield from _at_the_top(handler.body)


def _ours(dotted: str) -> str:
    return successor(dotted) or dotted
