"""The order of a connection's messages, where no interface keeps it.

From ``test.client``, around each message that it has run; on to ``djchan.sessions``, whose
``enforce_ordering`` refuses what is ``early``, and back to the channel of what had to wait::

    consume ──► early? ──► enforce_ordering: OutOfTurn ──► park
                  │                                          │
                  └── no, or nobody minds ──► run ──► passed ──► on its channel again

In a site a message is never early: the interface hands over one after the other. A test sends
what it likes, and one of Channels 1.x may hold its consumers to their order.
"""

from typing import Any
from weakref import WeakKeyDictionary

from djchan.message import Message


class Turns:
    """The messages of one connection. Those without a number in ``order`` have no turn."""

    def __init__(self) -> None:
        self.next = 0
        self._parked: dict[int, Message] = {}

    def is_early(self, message: Message) -> bool:
        """Whether one in front of it was not run yet."""
        order = _order(message)
        return order is not None and order > self.next

    def park(self, message: Message) -> None:
        """Keep a message until those in front of it have passed."""
        order = _order(message)
        assert order is not None
        self._parked[order] = message

    def passed(self, message: Message) -> None:
        """A message was run: what is not early any more goes back to its channel."""
        order = _order(message)
        if order is None or order < self.next:
            return
        self.next = order + 1
        for order in sorted(number for number in self._parked if number <= self.next):
            waited = self._parked.pop(order)
            waited.channel_layer.send(waited.channel.name, waited.content)


# By layer, since each test has a new one, and then by reply channel: one client may consume
# what another has sent.
_turns: WeakKeyDictionary[Any, dict[str, Turns]] = WeakKeyDictionary()


def turns_of(message: Message) -> Turns:
    """Those of the connection that ``message`` came from."""
    if not message.reply_channel:
        return Turns()
    turns = _turns.setdefault(message.channel_layer, {})
    return turns.setdefault(message.reply_channel.name, Turns())


def _order(message: Message) -> int | None:
    order = message.content.get("order")
    return order if isinstance(order, int) and message.reply_channel else None
