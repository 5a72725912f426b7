"""Imports of ``channels`` and of old layers, and the names that they bind.

Part of ``djchan.upgrade.python``. What a name is bound to is LibCST's to say: a parameter or
another module of that name is not ours.
"""

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import ImportAssignment, ParentNodeProvider, ScopeProvider

from djchan.upgrade.edits import Edits, NoBackend
from djchan.upgrade.names import OLD, is_later, successor

_OLD_LAYERS = frozenset({"asgi_ipc", "asgi_rabbitmq", "asgi_redis"})


class Imports(Edits):
    """Renames what is imported, and where it is used."""

    def visit_Import(self, node: cst.Import) -> bool:
        for alias in node.names:
            dotted = get_full_name_for_node(alias.name) or ""
            if dotted.partition(".")[0] == OLD:
                new = successor(dotted)
                if new:
                    self.rename(alias.name, new)
                else:
                    self.note_unknown(alias, [dotted])
            elif dotted.partition(".")[0] in _OLD_LAYERS:
                self.note(alias, f"{dotted} works with no supported Django: use djchan.layers.")
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        if node.relative or node.module is None:
            return False
        module = get_full_name_for_node(node.module) or ""
        root = module.partition(".")[0]
        if root == OLD:
            self._import_from(node, module)
        elif root in _OLD_LAYERS or module in ("asgiref.inmemory", "asgiref.base_layer"):
            self._import_layer(node, module)
        return False

    def _import_from(self, node: cst.ImportFrom, module: str) -> None:
        assert node.module is not None
        if isinstance(node.names, cst.ImportStar):
            new = successor(module)
            if new:
                self.rename(node.module, new)
            return
        paths = [f"{module}.{get_full_name_for_node(alias.name)}" for alias in node.names]
        unknown = [path for path in paths if successor(path) is None]
        new = successor(module)
        if new and not unknown:
            self.rename(node.module, new)
            for alias, path in zip(node.names, paths, strict=True):
                self._rename_alias(alias, successor(path) or path)
        elif len(unknown) < len(paths) or not all(map(is_later, unknown)):
            self.note_unknown(node, unknown)

    def _import_layer(self, node: cst.ImportFrom, module: str) -> None:
        """``from asgi_redis import RedisChannelLayer``: its successor under the old name."""
        assert node.module is not None
        aliases = [] if isinstance(node.names, cst.ImportStar) else list(node.names)
        try:
            new = [self.backend(f"{module}.{_name(alias)}").rpartition(".") for alias in aliases]
        except NoBackend as error:
            self.note(node, str(error))
            return
        modules = {target for target, _, _ in new}
        if len(modules) != 1:
            self.note(node, f"{module} works with no supported Django: use djchan.layers.")
            return
        self.replace(node.module, modules.pop())
        for alias, (_, _, name) in zip(aliases, new, strict=True):
            self._rename_alias(alias, name)

    def _rename_alias(self, alias: cst.ImportAlias, new: str) -> None:
        """What is imported under another name now keeps the name that it is bound to."""
        last = new.rpartition(".")[2]
        if last != _name(alias):
            kept = "" if alias.asname else f" as {_name(alias)}"
            self.replace(alias.name, last + kept)

    def visit_Name(self, node: cst.Name) -> None:
        if node.value != OLD or not self._is_imported(node):
            return
        whole: cst.BaseExpression = node
        parent = self.get_metadata(ParentNodeProvider, node)
        while isinstance(parent, cst.Attribute) and parent.value is whole:
            whole, parent = parent, self.get_metadata(ParentNodeProvider, parent)
        dotted = get_full_name_for_node(whole) or OLD
        new = successor(dotted)
        if new:
            self.rename(whole, new)
        elif not is_later(dotted):
            self.note_unknown(node, [dotted])

    def _is_imported(self, node: cst.Name) -> bool:
        """Whether ``channels`` stands for the package here, and for nothing else."""
        scope = self.get_metadata(ScopeProvider, node, None)
        bound = list(scope[OLD]) if scope is not None else []
        return bool(bound) and all(
            isinstance(one, ImportAssignment)
            and isinstance(one.node, cst.Import)
            and not any(alias.evaluated_alias == OLD for alias in one.node.names)
            for one in bound
        )


def _name(alias: cst.ImportAlias) -> str:
    return get_full_name_for_node(alias.name) or ""
