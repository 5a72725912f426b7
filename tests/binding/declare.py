"""Bindings and listeners for tests."""

from collections.abc import Sequence
from typing import Any

from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from djchan.binding.base import BindingMetaclass
from djchan.binding.websockets import WebsocketBinding
from djchan.test import WSClient
from tests.binding.models import Card


def declare(base: Any = WebsocketBinding, **attributes: Any) -> Any:
    """A binding of Card whose group is the card's room, with other attributes."""
    body = {
        "model": Card,
        "stream": "cards",
        "fields": ("room", "title"),
        "group_names": classmethod(lambda cls, card: [f"room-{card.room}"]),
        "has_permission": lambda self, user, action, pk: True,
        "__module__": __name__,
        **attributes,
    }
    return type(base)("CardBinding", (base,), body)


def undeclare(keep: Sequence[Any] = ()) -> None:
    """Disconnect and forget the bindings that tests have declared; ``keep`` stays."""
    for binding in BindingMetaclass.binding_classes:
        if binding not in keep and binding.model is not None:
            for signal, receiver in (
                (pre_save, binding.pre_save_receiver),
                (post_save, binding.post_save_receiver),
                (pre_delete, binding.pre_delete_receiver),
                (post_delete, binding.post_delete_receiver),
            ):
                signal.disconnect(receiver, sender=binding.model)
    BindingMetaclass.binding_classes[:] = keep


class Listener:
    """One that is in a group, or several, and says what it heard there."""

    def __init__(self, *groups: str) -> None:
        self.client = WSClient()
        for group in groups:
            self.client.join_group(group)

    def heard(self) -> list[tuple[Any, ...]]:
        """(action, pk, data) of each message since the last time."""
        payloads = []
        while (message := self.client.receive()) is not None:
            payloads.append(message["payload"])
        return [(each["action"], each["pk"], each["data"]) for each in payloads]

    def actions(self) -> list[str]:
        return [action for action, _, _ in self.heard()]
