"""What is to be decided in data bindings."""

import ast
from collections.abc import Iterator

from djchan.upgrade.modules import Definition, Project
from djchan.upgrade.source import Note

_BINDINGS = frozenset(
    {
        "djchan.binding.Binding",
        "djchan.binding.base.Binding",
        "djchan.binding.websockets.WebsocketBinding",
        "djchan.binding.websockets.WebsocketBindingWithMembers",
    }
)
FIELDLESS = (
    "The binding {name} has neither fields nor exclude, and raises at import: name its fields, "
    "which now hold for what clients create as well."
)
BOUND = (
    "The binding {name} now sends when the transaction commits, asks group_names of the stored row "
    "too, and holds what clients create to its fields; after_commit, reads_stored_row and "
    "create_fields bring back the ways of 1.x."
)


def notes(project: Project) -> Iterator[Note]:
    for one in project.definitions():
        if not one.module.is_test and set(project.bases(one)) & _BINDINGS:
            yield from _of_binding(one, project)


def _of_binding(one: Definition, project: Project) -> Iterator[Note]:
    model = one.attribute("model")
    if model is None or (isinstance(model, ast.Constant) and model.value is None):
        return
    lineage = project.lineage(one)
    listed = any(each.attribute(what) for each in lineage for what in ("fields", "exclude"))
    sentence = BOUND if listed else FIELDLESS
    yield Note(one.module.path, one.node.lineno, sentence.format(name=one.node.name))
