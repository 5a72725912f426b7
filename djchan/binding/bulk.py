"""What bulk operations did, sent by the bindings of their model.

``QuerySet.update()``, the bulk methods, raw SQL and fixtures send no signals. From the code that
uses them; on to ``Binding.send_change`` of every binding of the model::

    send_created(Card.objects.bulk_create(cards))

    with send_changes(Card.objects.filter(board=1)):
        Card.objects.filter(board=1).update(board=2)

All values are read from the database: two queries for a change, one for what was created.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import models, router

from djchan.binding.base import CREATE, DELETE, UPDATE, Binding, BindingMetaclass


def send_created(instances: Iterable[models.Model], *, using: str | None = None) -> None:
    """Send ``create`` for each of ``instances``, which were inserted without signals.

    ``using``: their database, if it is not where they say that they were saved. Raises ValueError
    for one without a primary key: which row it became is not known (``ignore_conflicts``).
    """
    found: dict[tuple[type[models.Model], str], list[object]] = {}
    for instance in instances:
        key = instance.pk
        if None in (key if isinstance(key, tuple) else (key,)):
            raise ValueError(
                f"{instance!r:.80} has no primary key, so its row cannot be read. bulk_create() "
                "sets none with ignore_conflicts: query for what you have created, and give that."
            )
        model = type(instance)
        database = using or instance._state.db or router.db_for_write(model, instance=instance)
        found.setdefault((model, database), []).append(key)
    for (model, database), keys in found.items():
        for row in _rows(model, database, keys).values():
            for binding in _bindings_of(model):
                binding.send_change(row, CREATE, set(), using=database)


@contextmanager
def send_changes(queryset: models.QuerySet[models.Model]) -> Iterator[None]:
    """Send what became of the rows of ``queryset`` within the block; nothing if it raises.

    They are read before and after it: groups that cannot see a row any more get ``delete``, as
    after a save. All of them are in memory meanwhile: take many in portions.
    """
    model = queryset.model
    database = getattr(queryset, "_db", None) or router.db_for_write(model)
    keys = list(queryset.using(database).values_list("pk", flat=True))
    before = [
        (key, row, [(binding, set(binding.group_names(row))) for binding in _bindings_of(model)])
        for key, row in _rows(model, database, keys).items()
    ]
    yield
    after = _rows(model, database, keys)
    for key, row, seen_by in before:
        now = after.get(key)
        for binding, groups in seen_by:
            action = DELETE if now is None else UPDATE
            binding.send_change(row if now is None else now, action, groups, row, using=database)


def _rows(
    model: type[models.Model], database: str, keys: list[object]
) -> dict[object, models.Model]:
    """The rows with these primary keys, whatever the model's managers hide."""
    found = model._base_manager.using(database).in_bulk(keys)
    return {key: found[key] for key in keys if key in found}


def _bindings_of(model: type[models.Model]) -> list[type[Binding]]:
    return [binding for binding in BindingMetaclass.binding_classes if binding.model is model]
