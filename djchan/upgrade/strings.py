"""Strings that are paths: of modules, apps, layers, and of the bridge's script; and templates.

Part of ``djchan.upgrade.python``. A string is met after what it is in: so a list of apps, or
a call that takes a module, says beforehand what its strings are.
"""

import re
from collections.abc import Sequence

import libcst as cst
from libcst import matchers as m
from libcst.helpers import get_full_name_for_node
from libcst.metadata import ParentNodeProvider

from djchan.upgrade.edits import Backend, Edits, NoBackend
from djchan.upgrade.names import DOTTED, LABELS, NEW, OLD, successor
from djchan.upgrade.templates import with_static
from djchan.upgrade.to_front import moved

BRIDGE = "channels/js/websocketbridge.js"
_BACKENDS = ("asgi_ipc.", "asgi_rabbitmq.", "asgi_redis.", "asgiref.inmemory.")

# Calls whose first string is a module or an app, and such whose first string names a channel.
_TAKES_MODULE = frozenset(
    {"__import__", "find_spec", "get_app_config", "import_module", "importorskip", "is_installed"}
)
_TAKES_LABEL = frozenset({"get_model", "get_models", "get_app_config"})
_TAKES_CHANNEL = frozenset({"Channel", "Group", "Route", "route"})

# Apps with a runserver of their own.
_WITH_RUNSERVER = frozenset({"daphne", "django.contrib.staticfiles"})
_APPS = m.Name("INSTALLED_APPS")
_SETS_APPS = m.OneOf(
    m.Assign(targets=[m.AssignTarget(target=_APPS)]),
    m.AugAssign(target=_APPS),
    m.AnnAssign(target=_APPS),
)
_BEHIND = (
    'Put "djchan" first in INSTALLED_APPS, above django.contrib.staticfiles: from this line it '
    "gets in further behind, and then `runserver` is another app's."
)


class Strings(Edits):
    """Renames what strings say, and moves our app to the front."""

    def __init__(self, source: bytes, backend: Backend) -> None:
        super().__init__(source, backend)
        # Names of lists that INSTALLED_APPS is put together from, and of those it begins with.
        self._lists: set[str] = set()
        self._first_lists: set[str] = set()
        # Strings by what they are for.
        self._apps: set[cst.SimpleString] = set()
        self._modules: set[cst.SimpleString] = set()
        self._labels: set[cst.SimpleString] = set()

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        if "{%" in node.value:
            # A template in the code.
            source = with_static(node.value)
            if source != node.value:
                self.replace(node, source)
            return
        value = _plain(node)
        if value is None or node in self.done:
            return
        if node in self._labels and value in LABELS:
            self.replace_in(node, value, LABELS[value])
        elif value == BRIDGE:
            self.replace_in(node, value, NEW + BRIDGE.removeprefix(OLD))
        elif value.startswith(_BACKENDS) and DOTTED.match(value):
            try:
                self.replace_in(node, value, self.backend(value))
            except NoBackend as error:
                self.note(node, str(error))
        elif value == OLD and node not in self._apps and node not in self._modules:
            return
        elif DOTTED.match(value):
            new = successor(value)
            if new:
                self.replace_in(node, value, new)

    def visit_Call(self, node: cst.Call) -> None:
        name = (get_full_name_for_node(node.func) or "").rpartition(".")[2]
        first = node.args[0].value if node.args else None
        if isinstance(first, cst.SimpleString):
            if name in _TAKES_CHANNEL:
                self.done.add(first)
            if name in _TAKES_LABEL:
                self._labels.add(first)
            if name in _TAKES_MODULE:
                self._modules.add(first)
        if name in ("append", "extend", "insert") and isinstance(node.func, cst.Attribute):
            target = get_full_name_for_node(node.func.value) or ""
            if self._lists_apps(target) and node.args:
                in_front = name == "insert" and m.matches(node.args[0].value, m.Integer("0"))
                self._app_list(node.args[-1].value, front=False, noted=not in_front)

    def visit_Tuple(self, node: cst.Tuple) -> None:
        # ("channels.delay", "0001_initial") in the dependencies of a migration.
        if len(node.elements) == 2 and isinstance(node.elements[0].value, cst.SimpleString):
            second = node.elements[1].value
            if isinstance(second, cst.SimpleString) and (_plain(second) or "")[:4].isdigit():
                self._labels.add(node.elements[0].value)

    # ------------------------------------------------------------- INSTALLED_APPS

    def visit_Module(self, node: cst.Module) -> None:
        # INSTALLED_APPS = DJANGO + THIRD_PARTY: the names of the lists it is put together from.
        for found in m.findall(node, _SETS_APPS):
            if isinstance(found, cst.Assign | cst.AugAssign | cst.AnnAssign) and found.value:
                names = m.findall(found.value, m.Name())
                self._lists.update(name.value for name in names if isinstance(name, cst.Name))
            if isinstance(found, cst.Assign):
                self._first_lists.add(_first_name(found.value))

    def _lists_apps(self, name: str) -> bool:
        return name.upper().endswith("APPS") or name in self._lists

    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            name = get_full_name_for_node(target.target) or ""
            if self._lists_apps(name) or _has_apps_of_django(node.value):
                front = name.endswith("INSTALLED_APPS") or name in self._first_lists
                self._app_list(node.value, front=front)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        name = get_full_name_for_node(node.target) or ""
        if node.value is not None and self._lists_apps(name):
            self._app_list(node.value, front=name.endswith("INSTALLED_APPS"))

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        if self._lists_apps(get_full_name_for_node(node.target) or ""):
            self._app_list(node.value, front=False)

    def visit_Arg(self, node: cst.Arg) -> None:
        if node.keyword is not None and node.keyword.value == "INSTALLED_APPS":
            self._app_list(node.value, front=True)

    def visit_DictElement(self, node: cst.DictElement) -> None:
        if isinstance(node.key, cst.SimpleString) and _plain(node.key) == "INSTALLED_APPS":
            self._app_list(node.value, front=True)

    def _app_list(self, value: cst.BaseExpression, *, front: bool, noted: bool = True) -> None:
        """All strings in ``value`` name apps; ours goes to the front where that is possible."""
        strings = [
            found
            for found in m.findall(value, m.SimpleString())
            if isinstance(found, cst.SimpleString)
        ]
        values = {_plain(string) for string in strings}
        if values & {NEW, f"{NEW}.apps.ChannelsConfig"}:
            # Another Channels beside ours, or a list that was rewritten before.
            ours = {NEW, f"{NEW}.apps.ChannelsConfig"}
            self.done.update(string for string in strings if _plain(string) == OLD)
        else:
            ours = {OLD, f"{OLD}.apps.ChannelsConfig"}
            self._apps.update(strings)
        for string in strings:
            if _plain(string) in ours and not self._is_in_front(string, value, front) and noted:
                self.note(string, _BEHIND)

    def _is_in_front(
        self, string: cst.SimpleString, value: cst.BaseExpression, front: bool
    ) -> bool:
        """Whether a string stands, or now stands, before all the apps of its list."""
        elements = _leading_elements(value) if front else []
        index = next((at for at, one in enumerate(elements) if one.value is string), None)
        if index is None:
            return False
        if index == 0:
            return True
        before = {
            _plain(one.value) if isinstance(one.value, cst.SimpleString) else None
            for one in elements[:index]
        }
        # None: a name, or a list in the list, which may be anything.
        harmless = not before & {None, *_WITH_RUNSERVER}
        if (_plain(string) or "").startswith(NEW):
            return harmless
        container = self.get_metadata(ParentNodeProvider, elements[0])
        assert isinstance(container, cst.CSTNode)
        # Of *OTHERS the star, too.
        spans = [
            self.span(one if isinstance(one, cst.StarredElement) else one.value) for one in elements
        ]
        new = string.value.replace(OLD, NEW, 1)
        edits = moved(self.source, self._opened(container), spans, index, new)
        if edits is None:
            return harmless
        self.edits += edits
        self.done.add(string)
        return True

    def _opened(self, container: cst.CSTNode) -> int:
        """Where the bracket of a list or tuple ends."""
        if isinstance(container, cst.List):
            return self.span(container.lbracket)[0] + 1
        if isinstance(container, cst.Tuple) and container.lpar:
            return self.span(container.lpar[-1])[0] + 1
        return self.span(container)[0]


def _leading_elements(value: cst.BaseExpression) -> Sequence[cst.BaseElement]:
    """The elements of the list or tuple that an expression begins with."""
    while isinstance(value, (cst.BinaryOperation, cst.Call)):
        if isinstance(value, cst.BinaryOperation):
            value = value.left
        elif len(value.args) == 1 and get_full_name_for_node(value.func) in ("list", "tuple"):
            value = value.args[0].value
        else:
            return []
    return value.elements if isinstance(value, (cst.List, cst.Tuple)) else []


def _first_name(value: cst.BaseExpression) -> str:
    """The name of the list that an expression begins with; "" if it begins otherwise."""
    while isinstance(value, cst.BinaryOperation):
        value = value.left
    return value.value if isinstance(value, cst.Name) else ""


def _has_apps_of_django(value: cst.BaseExpression) -> bool:
    """Whether a list is one of apps, whatever it is called: it has some of Django's."""
    strings = m.findall(value, m.SimpleString()) if isinstance(value, cst.List | cst.Tuple) else ()
    return any(
        isinstance(one, cst.SimpleString)
        and re.fullmatch(r"django\.contrib\.\w+", _plain(one) or "")
        for one in strings
    )


def _plain(node: cst.SimpleString) -> str | None:
    """What a string says, if it is text and written without escapes."""
    value = node.evaluated_value
    return value if isinstance(value, str) and value == node.raw_value else None
