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

from collections.abc import Iterable
from typing import Any

from django.db import router

_ATTRIBUTE = "_djchan_binding_changes"


class Change:
    """One save or delete. ``groups``: the names that each binding has said before it.

    ``row``: the instance as it is in the database, once ``read`` was called; None: not there.
    """

    __slots__ = ("ending", "groups", "is_read", "row")

    def __init__(self) -> None:
        self.groups: dict[type, set[str]] = {}
        self.row: Any = None
        self.is_read = False
        self.ending = False

    def read(self, instance: Any) -> Any:
        """The row of ``instance``, with one query for all bindings of its model."""
        if not self.is_read:
            self.row = stored_row(instance)
            self.is_read = True
        return self.row


def begin(instance: Any, binding: type) -> Change:
    """The change that ``binding`` learns of now: the one other bindings just did, or a new one."""
    changes: list[Change] = instance.__dict__.setdefault(_ATTRIBUTE, [])
    if not changes or changes[-1].ending or binding in changes[-1].groups:
        changes.append(Change())
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


def stored_row(instance: Any) -> Any:
    """The instance as it is in the database, or None. No query for what cannot be there."""
    model = type(instance)
    fields = model._meta.pk_fields
    if any(getattr(instance, field.attname) is None for field in fields):
        return None
    if instance._state.adding and all(f.has_default() or f.has_db_default() for f in fields):
        # A key that was made up just now; Django does not look for its row either.
        return None
    using = router.db_for_write(model, instance=instance)
    return model._base_manager.using(using).filter(pk=instance.pk).first()
