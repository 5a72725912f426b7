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
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import router

_ATTRIBUTE = "_djchan_binding_changes"
_USING = "_djchan_binding_using"
_HELD = "_djchan_binding_held"


class Change:
    """One save or delete. ``groups``: the names that each binding has said before it.

    ``row``: the instance as it is in the database, once ``read`` was called; None: not there.
    """

    __slots__ = ("ending", "groups", "is_read", "row", "using")

    def __init__(self, using: str | None = None) -> None:
        self.using = using
        self.groups: dict[type, set[str]] = {}
        self.row: Any = None
        self.is_read = False
        self.ending = False

    def read(self, instance: Any) -> Any:
        """The row of ``instance``, with one query for all bindings of its model."""
        if not self.is_read:
            self.row = stored_row(instance, self.using)
            self.is_read = True
        return self.row


def announce(instance: Any, using: str | None) -> None:
    """Note the database that the save now beginning goes to."""
    instance.__dict__[_USING] = using


def begin(instance: Any, binding: type) -> Change:
    """The change that ``binding`` learns of now: the one other bindings just did, or a new one."""
    changes: list[Change] = instance.__dict__.setdefault(_ATTRIBUTE, [])
    using = instance.__dict__.pop(_USING, None)
    if not changes or changes[-1].ending or binding in changes[-1].groups:
        changes.append(Change(using))
    change = changes[-1]
    # Now, not with its names: a binding that raises must not leave it open for the next save.
    change.groups[binding] = set()
    return change


def end(instance: Any, binding: type) -> tuple[Iterable[str] | None, Any]:
    """What ``binding`` had said, and the row if it was read. None: it was not asked before."""
    changes: list[Change] = instance.__dict__.get(_ATTRIBUTE, [])
    for change in reversed(changes):
        if binding in change.groups:
            change.ending = True
            names = change.groups.pop(binding)
            if not change.groups:
                changes.remove(change)
            if not changes:
                del instance.__dict__[_ATTRIBUTE]
            return names, change.row
    return None, None


def hold(instance: Any, send: Callable[[], None]) -> bool:
    """Keep ``send`` until the instance is whole, inside of ``held``; False outside of it."""
    waiting: list[Callable[[], None]] | None = instance.__dict__.get(_HELD)
    if waiting is None:
        return False
    waiting.append(send)
    return True


@contextmanager
def held(instance: Any) -> Iterator[None]:
    """Send the changes of ``instance`` at the end of the block; none of them if it raises."""
    waiting: list[Callable[[], None]] = []
    instance.__dict__[_HELD] = waiting
    try:
        yield
    finally:
        del instance.__dict__[_HELD]
    for send in waiting:
        send()


def saved(instance: Any, update_fields: Collection[str] | None, *, created: bool) -> Any:
    """``instance`` with the values that its save has stored, and no others.

    The instance itself where it has them all. Otherwise a copy: attributes that
    ``update_fields`` left out and results of expressions are read in one query; a generated
    field is read when it is used. None: the row is gone already.
    """
    unsaved, computed = [], []
    values = instance.__dict__
    for field in instance._meta.concrete_fields:
        if field.attname not in values:
            continue  # Deferred: Django reads it.
        if hasattr(values[field.attname], "resolve_expression"):
            unsaved.append(field.attname)
        elif getattr(field, "generated", False):
            if not created:
                computed.append(field.attname)
        elif update_fields is not None and not (
            field.primary_key or field.name in update_fields or field.attname in update_fields
        ):
            unsaved.append(field.attname)
    if not unsaved and not computed:
        return instance
    stored = copy.copy(instance)
    for name in computed:
        del stored.__dict__[name]
    if unsaved:
        try:
            stored.refresh_from_db(using=instance._state.db, fields=unsaved)
        except ObjectDoesNotExist:
            return None  # Another receiver deleted it, and that was sent.
    return stored


def stored_row(instance: Any, using: str | None = None) -> Any:
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
