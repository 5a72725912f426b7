"""``Binding``: changes of a model are sent to groups, and messages change the model.

From Django's signals; on to the groups that may see the instance, when it is committed::

    pre_save ──► who could see the row as it was ─┐
    post_save ─► who can see it now ──────────────┴─► gone: DELETE, still: UPDATE, new: CREATE
                                                               │
    the groups ◄── Group.send ◄── encode ◄── serialize ◄───────┘

From a consumer, ``Binding.consumer``; on to the model::

    message ──► deserialize ──► has_permission ──► create, update or delete

Signals are connected when the app is ready; those of classes that come later, at once. A
``QuerySet.update()`` and the bulk methods send no signals: ``djchan.binding.bulk`` sends what
they did.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

from django.apps import apps
from django.contrib import auth
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from djchan import names
from djchan.auth import channel_session, channel_session_user
from djchan.binding.changes import (
    begin,
    end,
    hold,
    is_held,
    load_deferred,
    may_have_changes,
    note,
    snapshot,
)
from djchan.binding.rows import BAD_KEY, field_of, objects_of, open_transaction
from djchan.channel import Group
from djchan.exceptions import InvalidFrame
from djchan.log import escaping
from djchan.throttling import throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))

CREATE = "create"
UPDATE = "update"
DELETE = "delete"


class BindingMetaclass(type):
    """Collects the bindings, and registers them.

    ``binding_classes``: all of them. ``register_immediately``: whether apps are ready, so
    that a class is registered when it is declared.
    """

    register_immediately = False
    binding_classes: ClassVar[list[Any]] = []

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **kwargs: Any
    ) -> Any:
        made: Any = super().__new__(mcs, name, bases, body, **kwargs)
        if any(isinstance(base, BindingMetaclass) for base in bases):
            if mcs.register_immediately:
                made.register()
            # Behind that: a class that is refused is nobody's.
            mcs.binding_classes.append(made)
        return made

    @classmethod
    def register_all(mcs) -> None:
        """Register those that were declared so far, and from now on each at once."""
        for binding in mcs.binding_classes:
            binding.register()
        mcs.register_immediately = True


class Binding(metaclass=BindingMetaclass):
    """What is sent of the changes of ``model`` to whom, and who may change it.

    To send, implement ``group_names``, ``serialize`` and ``encode``; to receive,
    ``deserialize``, ``has_permission``, ``create`` and ``update``.

    ``model``: a model or ``"app.Model"``; None in the class body: an abstract class.
    ``fields``, ``exclude``: which fields travel; one of them is needed, ``"__all__"`` is all.
    ``stream``: the name under which it is sent.
    ``channel_session_user``, ``channel_session``: the decorator around inbound messages.
    ``after_commit``: send when the transaction commits; False: as soon as it is saved.
    ``reads_stored_row``: read the row before a save, to know who could see it; False: ask
    the instance, which may be changed already. ``signal_kwargs``: of the signal, while sending.
    """

    model: Any = None
    fields: Iterable[str] | None = None
    exclude: Iterable[str] | None = None
    stream: str | None = None

    channel_session_user = True
    channel_session = False

    after_commit = True
    reads_stored_row = True
    signal_kwargs: dict[str, Any] | None = None

    model_label: str
    instance: Any
    message: Any
    kwargs: dict[str, Any]
    action: Any
    pk: Any
    data: Any
    user: Any

    @classmethod
    def register(cls) -> None:
        """Connect the signals of the model. Raises ValueError for a class without what it needs."""
        for model in cls.get_registered_models():
            pre_save.connect(cls.pre_save_receiver, sender=model)
            post_save.connect(cls.post_save_receiver, sender=model)
            pre_delete.connect(cls.pre_delete_receiver, sender=model)
            post_delete.connect(cls.post_delete_receiver, sender=model)

    @classmethod
    def get_registered_models(cls) -> list[Any]:
        """The model, found by its name if that was given; none for an abstract class."""
        name = name_that_thing(cls)
        if cls.model is None:
            if "model" in cls.__dict__:
                return []
            raise ValueError(
                f"The binding {name} has no model: set it, or model = None in its body if it is "
                "only a base of others."
            )
        if cls.fields is None and cls.exclude is None:
            raise ValueError(
                f"The binding {name} has neither fields nor exclude: list the fields that may "
                'travel, or set fields = "__all__".'
            )
        for attribute, value in (("fields", cls.fields), ("exclude", cls.exclude)):
            if isinstance(value, str) and (attribute, value) != ("fields", "__all__"):
                raise ValueError(
                    f"{attribute} of the binding {name} is the text {value!r}: make it a list of "
                    f"names, [{value!r}]."
                )
        if isinstance(cls.model, str):
            try:
                cls.model = apps.get_model(cls.model)
            except LookupError as error:
                raise LookupError(f"The model of the binding {name}: {error}") from error
        cls.model_label = cls.model._meta.label.lower()
        unknown = {name for name in cls.exclude or () if field_of(cls.model, name) is None}
        if unknown:
            raise ValueError(
                f"exclude of the binding {name} has names that are no fields of "
                f"{cls.model._meta.label}, so that nothing is left out for them: "
                f"{', '.join(map(repr, sorted(unknown)))}. Correct or remove them."
            )
        return [cls.model]

    # ------------------------------------------------------ outbound

    @classmethod
    def pre_save_receiver(cls, instance: models.Model, raw: bool = False, **kwargs: Any) -> None:
        if raw:
            # A fixture: what the row refers to may not be there yet.
            return
        note(instance, kwargs.get("using"))
        cls.pre_change_receiver(instance, CREATE if instance._state.adding else UPDATE)

    @classmethod
    def post_save_receiver(
        cls, instance: models.Model, created: bool, raw: bool = False, **kwargs: Any
    ) -> None:
        if not raw:
            cls.post_change_receiver(instance, CREATE if created else UPDATE, raw=raw, **kwargs)

    @classmethod
    def pre_delete_receiver(cls, instance: models.Model, **kwargs: Any) -> None:
        in_doubt = may_have_changes(instance, kwargs.get("origin"))
        note(instance, kwargs.get("using"), in_doubt=in_doubt)
        cls.pre_change_receiver(instance, DELETE)

    @classmethod
    def post_delete_receiver(cls, instance: models.Model, **kwargs: Any) -> None:
        cls.post_change_receiver(instance, DELETE, **kwargs)

    @classmethod
    def pre_change_receiver(cls, instance: Any, action: str) -> None:
        """Remember who can see the instance before it is changed."""
        change = begin(instance, cls)
        if cls.reads_stored_row and (action != DELETE or change.in_doubt):
            # Also for CREATE: Model(pk=7).save() overwrites a row that is there.
            row = change.read(instance)
            found = () if row is None else cls.group_names(row)
        else:
            if action == DELETE:
                load_deferred(instance, change.using)
            found = cls._names_in_memory(instance, action)
        change.groups[cls] = set(found)

    @classmethod
    def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        """Tell those who cannot see it any more, those who still can, and those who now can."""
        said, change = end(instance, cls)
        old = set(cls._names_in_memory(instance, action) if said is None else said)
        row = change.row if cls.reads_stored_row else None
        now = instance
        if action != DELETE and "signal" in kwargs:
            update_fields = kwargs.get("update_fields")
            now = change.saved(instance, update_fields, created=action == CREATE)
        if now is None:
            return
        if is_held(instance):
            hold(instance, partial(cls.send_change, snapshot(now), action, old, row, **kwargs))
        else:
            cls.send_change(now, action, old, row, **kwargs)

    @classmethod
    def send_change(
        cls,
        instance: models.Model,
        action: str,
        old: set[str],
        row: models.Model | None = None,
        **kwargs: Any,
    ) -> None:
        """Send the messages of one change to those who could see the row, and those who can.

        ``old``: the groups that could see it before; ``row``: the instance as it was then.
        """
        new = set() if action == DELETE else set(cls.group_names(instance))
        # Who lost sight of it is shown what could be seen before, and nothing newer.
        was = instance if row is None else row
        self = cls()
        self.instance = was if action == DELETE else instance
        self.send_messages(was, old - new, DELETE, **kwargs)
        self.send_messages(instance, old & new, UPDATE, **kwargs)
        self.send_messages(instance, new - old, CREATE, **kwargs)

    @classmethod
    def _names_in_memory(cls, instance: models.Model, action: str) -> Iterable[str]:
        return () if action == CREATE else cls.group_names(instance)

    def send_messages(
        self, instance: Any, group_names: Iterable[str], action: str, **kwargs: Any
    ) -> None:
        """Send what ``serialize`` makes of the instance to these groups; {} is not sent."""
        if not group_names:
            return
        self.signal_kwargs = kwargs
        message = self._message(instance, action)
        if message is None:
            return
        on_commit = open_transaction(instance, kwargs.get("using")) if self.after_commit else None
        if on_commit and action != DELETE and instance._meta.many_to_many:
            # A form, the admin and get_or_create() set relations after the save: they are sent as
            # they are at the commit. All else is of now, also what raises.
            for name in group_names:
                names.check_group(name)
            later = partial(self._send_again, snapshot(instance), sorted(group_names), action)
            transaction.on_commit(later, using=on_commit)
            return
        for name in sorted(group_names):
            Group(name).send(message, on_commit=on_commit or False)

    def _send_again(self, instance: models.Model, group_names: Iterable[str], action: str) -> None:
        message = self._message(instance, action)
        if message is not None:
            for name in group_names:
                Group(name).send(message)

    def _message(self, instance: models.Model, action: str) -> dict[str, Any] | None:
        payload = self.serialize(instance, action)
        if payload == {}:
            return None
        if self.stream is None:
            raise AssertionError(
                f"The binding {name_that_thing(type(self))} has no stream: set it to the name "
                "that its messages have on a multiplexed socket."
            )
        return self.encode(self.stream, payload)

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """The groups that may see ``instance``."""
        raise NotImplementedError(f"{name_that_thing(cls)} needs a classmethod group_names.")

    def serialize(self, instance: Any, action: str) -> Any:
        """What is sent of ``instance``."""
        raise NotImplementedError(f"{name_that_thing(type(self))} needs a method serialize.")

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message that carries ``payload`` on ``stream``."""
        raise NotImplementedError(f"{name_that_thing(cls)} needs a classmethod encode.")

    # ------------------------------------------------------ inbound

    @classmethod
    def consumer(cls, message: Any, **kwargs: Any) -> None:
        """The consumer of inbound messages, for a route or a stream of a demultiplexer."""
        cls.get_handler()(message, **kwargs)

    @classmethod
    def get_handler(cls) -> Callable[..., Any]:
        """``trigger_inbound``, inside the decorators that the attributes ask for."""
        if cls.channel_session_user:
            return channel_session_user(cls.trigger_inbound)
        if cls.channel_session:
            return channel_session(cls.trigger_inbound)
        return cls.trigger_inbound

    @classmethod
    def trigger_inbound(cls, message: Any, **kwargs: Any) -> None:
        """Do what ``message`` asks for, if its user may."""
        self = cls()
        self.message = message
        self.kwargs = kwargs
        self.action, self.pk, self.data = self.deserialize(message)
        user = getattr(message, "user", None)
        self.user = _anonymous() if user is None else user
        self.run_action(self.action, self.pk, self.data)

    def deserialize(self, message: Any) -> tuple[Any, Any, Any]:
        """(action, pk, data) of a message; the pk of CREATE and the data of DELETE are None."""
        raise NotImplementedError(f"{name_that_thing(type(self))} needs a method deserialize.")

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Whether ``user`` may do this; ``pk`` is as the client sent it, None for CREATE."""
        raise NotImplementedError(
            f"{name_that_thing(type(self))} needs a method has_permission(user, action, pk): "
            "without it no message changes the model."
        )

    def run_action(self, action: Any, pk: Any, data: Any) -> None:
        """Create, update or delete. What the user may not do is dropped without an answer."""
        # Before the permission, which is written for these three.
        if action not in (CREATE, UPDATE, DELETE):
            raise InvalidFrame(f"Bad action {action!r:.80}: it is create, update or delete.")
        if not self.has_permission(self.user, action, pk):
            throttled(
                logger,
                logging.INFO,
                f"permission {name_that_thing(type(self))}",
                "%s: the user %r may not %s %.80r: dropped.",
                name_that_thing(type(self)),
                getattr(self.user, "pk", None),
                action,
                pk,
            )
        elif action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        else:
            self.delete(pk)

    def create(self, data: Any) -> None:
        """Make an instance of ``data``."""
        raise NotImplementedError(f"{name_that_thing(type(self))} needs a method create.")

    def update(self, pk: Any, data: Any) -> None:
        """Change the instance ``pk`` by ``data``."""
        raise NotImplementedError(f"{name_that_thing(type(self))} needs a method update.")

    def delete(self, pk: Any) -> None:
        """Delete the instance ``pk``, if it is there."""
        try:
            found = objects_of(self.model).filter(pk=pk).values_list("pk", flat=True).first()
        except BAD_KEY as error:
            raise InvalidFrame(f"To delete, pk is that of an instance, not {pk!r:.80}.") from error
        if found is not None:
            objects_of(self.model).filter(pk=found).delete()


def _anonymous() -> Any:
    if not apps.is_installed("django.contrib.auth"):
        return None
    # Django knows the class; to import it needs models, and this module is there before them.
    request: Any = SimpleNamespace(session={})
    return auth.get_user(request)
