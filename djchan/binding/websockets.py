"""Bindings of WebSockets: JSON, on a stream of a multiplexed socket.

From ``binding.base``, with an instance, or from a demultiplexer
(``djchan.generic.websockets``), with a frame's payload; on to the groups, or to the model::

    out  {"stream": …, "payload": {"action": …, "pk": …, "data": {field: value}, "model": …}}
    in   {"stream": …, "payload": {"action": …, "pk": …, "data": {field: value}}}

Both ways ``fields`` and ``exclude`` say which fields travel. What a client sends beyond them
is left out, on create as on update, and it can never give an instance another primary key.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, ClassVar

from django.core import serializers
from django.core.exceptions import ObjectDoesNotExist
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, router, transaction

from djchan import strict_json
from djchan.binding.base import CREATE, UPDATE, Binding
from djchan.binding.changes import PREFETCHED, held, snapshot
from djchan.binding.rows import BAD_KEY, field_of, objects_of
from djchan.exceptions import InvalidFrame
from djchan.generic.websockets import WebsocketMultiplexer
from djchan.log import escaping
from djchan.sessions import enforce_ordering
from djchan.throttling import throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))


class WebsocketBinding(Binding):
    """Implement ``group_names`` to send, ``has_permission`` to receive.

    ``create_fields``: the fields that a client may give on create, if not those of ``fields``
    and ``exclude``; ``"__all__"`` for all, as in Channels 1.x.
    ``strict_ordering``: decorate with ``enforce_ordering``; ``slight_ordering`` is refused.
    """

    model: Any = None

    create_fields: Iterable[str] | None = None
    strict_ordering = False
    slight_ordering = False

    # ------------------------------------------------------ outbound

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        return {
            "action": action,
            "pk": instance.pk,
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The fields that may travel, by name, as JSON has them."""
        listed = self.fields
        if _is_all(listed):
            listed = [field.name for field in instance._meta.get_fields()]
        # By the name that Django's serializer has for it: owner, which may be listed as owner_id.
        keys = {getattr(self._field(name), "name", name): name for name in listed or ()}
        names = keys.keys() - self._excluded()
        rows = [_with_relations(row, names) for row in (*_parents(instance, names), instance)]
        text = serializers.serialize("json", rows, fields=names)
        data: dict[str, Any] = {}
        # A number that JSON lacks is null, as in a browser.
        for serialized in json.loads(text, parse_constant=lambda name: None):
            for name, value in serialized["fields"].items():
                data[keys[name]] = value
        return data

    # ------------------------------------------------------ inbound

    @classmethod
    def get_handler(cls) -> Callable[..., Any]:
        handler = super().get_handler()
        if cls.strict_ordering or cls.slight_ordering:
            ordered: Callable[..., Any] = enforce_ordering(handler, slight=not cls.strict_ordering)
            return ordered
        return handler

    @classmethod
    def trigger_inbound(cls, message: Any, **kwargs: Any) -> None:
        # A demultiplexer calls us at connect and disconnect, too.
        if message.channel.name == "websocket.receive":
            super().trigger_inbound(message, **kwargs)

    def deserialize(self, message: Any) -> tuple[Any, Any, Any]:
        try:
            body = strict_json.loads(message["text"])
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidFrame("The payload of a binding is JSON, and this is none.") from error
        if not isinstance(body, dict) or "action" not in body:
            raise InvalidFrame(
                "The payload of a binding is a JSON object with the key action, and pk and data "
                f"as it needs them, not {body!r:.80}."
            )
        return body["action"], body.get("pk"), body.get("data")

    def create(self, data: Any) -> None:
        data = self._accepted(data, CREATE)
        # A new instance, not the deserialized one: that may be an existing row, found by its
        # natural key.
        instance = self.model()
        # And a primary key that was given must not be that of one.
        insert = any(self._field(name) in _identity(self.model) for name in data)
        how = {"force_insert": (models.Model,)} if insert else {}
        self._save(instance, self._hydrate(None, data), data, **how)

    def update(self, pk: Any, data: Any) -> None:
        data = self._accepted(data, UPDATE)
        try:
            instance = objects_of(self.model).get(pk=pk)
        except (ObjectDoesNotExist, *BAD_KEY) as error:
            raise InvalidFrame(f"To update, pk is that of an instance, not {pk!r:.80}.") from error
        self._save(instance, self._hydrate(pk, data), data)

    def _hydrate(self, pk: Any, data: dict[str, Any]) -> Any:
        """``data`` as Python's values, in a DeserializedObject."""
        serialized = {"model": self.model_label, "fields": data}
        if pk is not None:
            serialized["pk"] = pk
        try:
            (hydrated,) = serializers.deserialize("python", [serialized])
        except serializers.base.DeserializationError as error:
            raise _refused(data) from error
        for name in data:
            # Django takes the text "NaN" for a number.
            value = vars(hydrated.object).get(self._field(name).attname)
            if isinstance(value, float) and not math.isfinite(value):
                raise _refused([name])
        return hydrated

    def _save(self, instance: Any, hydrated: Any, data: dict[str, Any], **how: Any) -> None:
        """Give ``instance`` the values, and save it by its own ``save``."""
        related = hydrated.m2m_data or {}
        for name in data:
            field = self._field(name)
            if field.name not in related:
                setattr(instance, field.attname, getattr(hydrated.object, field.attname))
        using = router.db_for_write(self.model, instance=instance)
        with transaction.atomic(using=using), held(instance) if related else nullcontext():
            instance.save(**how)
            for name, values in related.items():
                getattr(instance, name).set(values)

    def _accepted(self, data: Any, action: str) -> dict[str, Any]:
        """What of ``data`` the client may set."""
        if not isinstance(data, dict):
            raise InvalidFrame(
                f"To {action}, data is a JSON object of field names to values, not {data!r:.80}."
            )
        names, excluded = self.fields, self._excluded()
        if action == CREATE and self.create_fields is not None:
            names, excluded = self.create_fields, set()
        if _is_all(names):
            allowed = {field.name for field in _fields(self.model) if _is_serialized(field)}
        else:
            # A name of something else is for serialize_data.
            allowed = {name for name in names or () if self._field(name) is not None}
        allowed = {name for name in allowed if self._field(name).name not in excluded}
        if action == UPDATE:
            identity = _identity(self.model)
            allowed = {name for name in allowed if self._field(name) not in identity}
        ignored = data.keys() - allowed
        if ignored:
            throttled(
                logger,
                logging.INFO,
                f"ignored {name_that_thing(type(self))}",
                "%s: a client may not set %.200s on %s: left out.",
                name_that_thing(type(self)),
                ", ".join(map(repr, sorted(ignored))),
                action,
            )
        return {name: value for name, value in data.items() if name in allowed}

    def _excluded(self) -> set[str]:
        """The names of the fields that never travel."""
        return {getattr(field_of(self.model, name), "name", name) for name in self.exclude or ()}

    def _field(self, name: str) -> Any:
        """The field of this name or (of a relation) attribute name, or None."""
        for field in _fields(self.model):
            if name in (field.name, field.attname):
                return field
        return None


class WebsocketBindingWithMembers(WebsocketBinding):
    """Sends other members of the instance as well: attributes, properties, methods.

    ``send_members``: their names. ``"author.name"`` is that of the author, and is sent as
    ``author__name``; what can be called is called. ``encoder``: makes JSON of them.
    """

    model: Any = None

    send_members: ClassVar[Iterable[str]] = []
    encoder: json.JSONEncoder = DjangoJSONEncoder()

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        data = super().serialize_data(instance)
        members = {}
        for path in self.send_members:
            member = instance
            for name in path.split("."):
                member = getattr(member, name)
            members[path.replace(".", "__")] = member() if callable(member) else member
        data.update(json.loads(self.encoder.encode(members), parse_constant=lambda name: None))
        return data


def _refused(names: Iterable[str]) -> InvalidFrame:
    return InvalidFrame(f"A field cannot have the value it was given ({', '.join(names)}).")


def _is_all(names: Iterable[str] | None) -> bool:
    """Whether all fields are meant; None: all that are not excluded."""
    return names is None or names == "__all__" or list(names) == ["__all__"]


def _parents(instance: models.Model, names: set[str]) -> list[models.Model]:
    """The instance as its parents with tables of their own: Django serializes local fields."""
    parents: list[models.Model] = []
    concrete: type[models.Model] = instance._meta.concrete_model or type(instance)
    for parent in reversed(concrete._meta.get_parent_list()):
        fields = parent._meta.concrete_fields
        # Others stay deferred: to read them would cost a query.
        wanted = [f.attname for f in fields if f.primary_key or f.name in names]
        values = [getattr(instance, name) for name in wanted]
        parents.append(parent.from_db(instance._state.db, wanted, values))
    return parents


def _with_relations(row: models.Model, names: set[str]) -> models.Model:
    """``row`` with the many-to-many relations that are sent, as its own database has them.

    Django's serializer takes what was prefetched, and asks a database for reading, which may lag.
    """
    sent = [
        field.name
        for field in row._meta.local_many_to_many
        if field.name in names and _is_serialized(field)
    ]
    if not sent:
        return row
    copied = snapshot(row)
    vars(copied)[PREFETCHED] = {
        name: getattr(row, name).using(row._state.db).only("pk") for name in sent
    }
    return copied


def _fields(model: type[models.Model]) -> list[Any]:
    return [*model._meta.concrete_fields, *model._meta.many_to_many]


def _is_serialized(field: Any) -> bool:
    """Whether "all" means it, from a client: what is sent as data, and not computed."""
    if getattr(field, "generated", False) or not field.serialize:
        return False
    return not field.many_to_many or field.remote_field.through._meta.auto_created


def _identity(model: type[models.Model]) -> list[Any]:
    """The fields that say which row it is, of parents too."""
    keys = [field for field in model._meta.concrete_fields if field.primary_key]
    return [*keys, *model._meta.pk_fields]
