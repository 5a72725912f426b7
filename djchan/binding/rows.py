"""The rows of a model, for both ways of a binding: which a client may name, what a field is called,
and the transaction that they are saved in."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError, connections, models, router

# What a query raises for a primary key from a client that is none.
BAD_KEY = (ValidationError, TypeError, ValueError, OverflowError, DataError)


def objects_of(model: type[models.Model]) -> models.Manager[models.Model]:
    """What messages may reach of a model: its ``objects``, if it has them."""
    found: models.Manager[models.Model] = getattr(model, "objects", model._default_manager)
    return found


def field_of(model: type[models.Model], name: str) -> Any:
    """The field of this name or (of a relation) attribute name, or None."""
    for field in model._meta.get_fields():
        if name in (field.name, getattr(field, "attname", None)):
            return field
    return None


def open_transaction(instance: models.Model, using: str | None) -> str | None:
    """The database whose transaction is open and will be committed; None without one.

    The transaction around a test of Django's TestCase never is: what was saved in it is sent
    at once, as tests written for Channels 1.x expect.
    """
    using = using or router.db_for_write(type(instance), instance=instance)
    connection = connections[using]
    if not connection.in_atomic_block:
        return None
    blocks: Any = connection.atomic_blocks
    return None if blocks and getattr(blocks[0], "_from_testcase", False) else using
