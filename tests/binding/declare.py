"""Bindings and listeners for tests."""

from typing import Any

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
