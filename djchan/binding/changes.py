"""What is known of a change of an instance, from its pre_ signals to its post_ ones.

From ``binding.base``, at ``pre_save`` and ``pre_delete``; back to it at ``post_save`` and
``post_delete``: the groups that could see the instance before, and the row that it was.

A change is kept on the instance itself, under the binding's class. A receiver may save the
instance once more, so changes lie inside each other::

    pre_save ─► pre_save ─► post_save ─► post_save
       └── outer    └── inner ──┘            │
              └──────────────────────────────┘

What a save that failed has left there is covered by the next one, and gone with the instance.
"""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models, router

Model = TypeVar("Model", bound=models.Model)

_ATTRIBUTE = "_djchan_binding_changes"
_NOTED = "_djchan_binding_noted"
_HELD = "_djchan_binding_held"
PREFETCHED = "_prefetched_objects_cache"  # Django's name for it.


class Change:
    """One save or delete. ``groups``: the names that each binding has said before it.

    ``row``: the instance as it is in the database, once ``read`` was called; None: not there.
    ``in_doubt``: an instance that is deleted may have attributes that were never saved.
    """

    __slots__ = ("_stored", "ending", "groups", "in_doubt", "is_read", "row", "using")

    def __init__(self, using: str | None = None, in_doubt: bool = False) -> None:
        self.using = using
        self.in_doubt = in_doubt
        self.groups: dict[type, set[str]] = {}
        self.row: Any = None
        self.is_read = False
        self.ending = False
        self._stored: list[Any] = []

    def read(self, instance: models.Model) -> Any:
        """The row of ``instance``, with one query for all bindings of its model."""
        if not self.is_read:
            self.row = stored_row(instance, self.using)
            self.is_read = True
        return self.row

    def saved(
        self, instance: models.Model, update_fields: Collection[str] | None, *, created: bool
    ) -> Any:
        """``saved`` below, read once for all bindings of the model."""
        if not self._stored:
            self._stored.append(saved(instance, update_fields, created=created))
        return self._stored[0]

    def forget(self) -> None:
        """A receiver changes the instance once more: what was read of it is old."""
        self._stored.clear()


def note(instance: models.Model, using: str | None, *, in_doubt: bool = False) -> None:
    """Note the database of the change now beginning, and whether ``instance`` is to be believed."""
    vars(instance)[_NOTED] = using, in_doubt


def may_have_changes(instance: models.Model, origin: object) -> bool:
    """Whether ``instance``, which is deleted, may have attributes that were never saved.

    ``origin``: of the signal. Only the project's own instance may, and its parents, which Django
    makes of it: what a queryset or a cascade deletes, Django has just read.
    """
    if origin is instance or not isinstance(origin, models.Model):
        return origin is instance
    model, other = instance._meta.concrete_model, origin._meta.concrete_model
    return other is not model and model is not None and isinstance(origin, model)


def load_deferred(instance: models.Model, using: str | None) -> None:
    """Read what was deferred of an instance that is about to be deleted."""
    deferred = instance.get_deferred_fields()
    if deferred:
        with suppress(ObjectDoesNotExist):
            instance.refresh_from_db(using=using, fields=deferred)


def begin(instance: models.Model, binding: type) -> Change:
    """The change that ``binding`` learns of now: the one other bindings just did, or a new one."""
    changes: list[Change] = vars(instance).setdefault(_ATTRIBUTE, [])
    noted = vars(instance).pop(_NOTED, ())
    if not changes or changes[-1].ending or binding in changes[-1].groups:
        for outer in changes:
            outer.forget()
        changes.append(Change(*noted))
    change = changes[-1]
    # Now, not with its names: a binding that raises must not leave it open for the next save.
    change.groups[binding] = set()
    return change


def end(instance: models.Model, binding: type) -> tuple[Iterable[str] | None, Change]:
    """What ``binding`` had said, and the change. None: it was not asked before."""
    changes: list[Change] = vars(instance).get(_ATTRIBUTE, [])
    for change in reversed(changes):
        if binding in change.groups:
            change.ending = True
            names = change.groups.pop(binding)
            if not change.groups:
                changes.remove(change)
            if not changes:
                del vars(instance)[_ATTRIBUTE]
            return names, change
    return None, Change()


def is_held(instance: models.Model) -> bool:
    """Whether the instance is not whole yet: inside of ``held``."""
    return _HELD in vars(instance)


def hold(instance: models.Model, send: Callable[[], None]) -> None:
    """Keep ``send`` until the instance is whole."""
    vars(instance)[_HELD].append(send)


@contextmanager
def held(instance: models.Model) -> Iterator[None]:
    """Send the changes of ``instance`` at the end of the block; none of them if it raises."""
    waiting: list[Callable[[], None]] = []
    vars(instance)[_HELD] = waiting
    try:
        yield
    finally:
        del vars(instance)[_HELD]
    for send in waiting:
        send()


def saved(instance: models.Model, update_fields: Collection[str] | None, *, created: bool) -> Any:
    """``instance`` with the values that its save has stored, and no others.

    The instance itself where it has them all. Otherwise a copy: attributes that
    ``update_fields`` left out, results of expressions and values of another type (the text "7" of
    a number) are read in one query; a generated field and what was prefetched of a relation are
    read when they are used. None: the row is gone already.
    """
    unsaved, computed = [], []
    values = vars(instance)
    for field in instance._meta.concrete_fields:
        if field.attname not in values:
            continue  # Deferred: Django reads it.
        if hasattr(values[field.attname], "resolve_expression"):
            unsaved.append(field.attname)
        elif getattr(field, "generated", False):
            if not created:
                computed.append(field.attname)
        elif not (_was_saved(field, update_fields) and _is_as_read(field, values[field.attname])):
            unsaved.append(field.attname)
    if not (unsaved or computed or values.get(PREFETCHED)):
        return instance
    stored = snapshot(instance)
    vars(stored).pop(PREFETCHED, None)
    for name in computed:
        del vars(stored)[name]
    if unsaved:
        try:
            stored.refresh_from_db(using=instance._state.db, fields=unsaved)
        except ObjectDoesNotExist:
            return None  # Another receiver deleted it, and that was sent.
    return stored


def snapshot(instance: Model) -> Model:
    """A copy with the attributes that ``instance`` has now, and none of ours."""
    copied = copy.copy(instance)
    for name in (_ATTRIBUTE, _NOTED, _HELD):
        vars(copied).pop(name, None)
    return copied


def _was_saved(
    field: "models.Field[object, object]", update_fields: Collection[str] | None
) -> bool:
    if update_fields is None or field.primary_key:
        return True
    return field.name in update_fields or field.attname in update_fields


def _is_as_read(field: "models.Field[object, object]", value: object) -> bool:
    """Whether the database gives ``value`` back as it is, as far as its field can tell."""
    try:
        read = field.to_python(value)
        return read is value or (type(read) is type(value) and bool(read == value))
    except (TypeError, ValueError, ValidationError):
        return False


def stored_row(instance: models.Model, using: str | None = None) -> Any:
    """The instance as it is in the database, or None. No query for what cannot be there."""
    model = type(instance)
    fields = model._meta.pk_fields
    if any(getattr(instance, field.attname) is None for field in fields):
        return None
    if instance._state.adding and all(f.has_default() or f.has_db_default() for f in fields):
        # A key that was made up just now; Django does not look for its row either.
        return None
    using = using or router.db_for_write(model, instance=instance)
    return model._base_manager.using(using).filter(pk=instance.pk).first()
