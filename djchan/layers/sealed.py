"""An engine whose store cannot read what it holds: around another one.

From ``layers.calls``, for a layer with ``symmetric_encryption_keys``; on to the links of the
engine below, and to ``layers.seal`` for each payload on its way there and back::

    operation ──seal its payloads──► the link below ──► answer ──open its payloads──► answer

Payloads are opaque to every engine, so this is all there is to it. What an engine works with
stays plain: the names of channels, groups, processes and connections, numbers, times, and the
keys under which values are kept. So does the one entry that an engine writes itself: that
messages of a group are missing.

Each value is sealed for its place in this layer, and opens nowhere else::

    kind             place              what is in it, and so cannot be changed
    m  message       its channel        channel, process, connection and number (an envelope)
    g  to a group    any channel        for members that are plain channels
    e  inbox entry   its process        connection and number
    t  to a group    any inbox          the group
    b  body          its channel
    k  kept          its key            a stamp (``freshness``): an older value does not open
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from djchan import names
from djchan.layers import codec
from djchan.layers.engine import AsyncLink, Engine, InboxReader, Link
from djchan.layers.freshness import SIZE, Stamps
from djchan.layers.operations import (
    Body,
    Claim,
    Claimed,
    Commit,
    DeadLetter,
    DeadLetters,
    Delay,
    Drop,
    GiveUp,
    GroupAdd,
    GroupDiscard,
    GroupSend,
    Keep,
    Kept,
    Oldest,
    Operation,
    Outcome,
    Part,
    Pop,
    Push,
    Recall,
    Record,
    Redrive,
    Resume,
    Send,
    Tell,
)
from djchan.layers.seal import Place, Seal
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

Value = TypeVar("Value", bound=Any)

_GROUP_MESSAGE = Place("g")
_GROUP_ENTRY = Place("t")


def _message(channel: str) -> Place:
    # What is for a process-local channel lies in one queue with all of its process.
    return Place("m", names.non_local(channel))


def _entry(process: str) -> Place:
    return Place("e", process)


def _on(value: Any) -> Place:
    return _message(value.channel)


def _to(value: Any) -> Place:
    return _entry(value.process)


# The fields that are sealed, and for which place: of effects, and of operations that have some.
FIELDS: dict[type[Any], Mapping[str, Callable[[Any], Place]]] = {
    Push: {"payload": _on},
    Record: {"payload": _on},
    Delay: {"payload": _on},
    Body: {"payload": lambda body: Place("b", body.channel)},
    Tell: {"entry": _to},
    GroupAdd: {"entry": _to},
    GroupDiscard: {"entry": _to},
    GroupSend: {"entry": lambda _: _GROUP_ENTRY, "payload": lambda _: _GROUP_MESSAGE},
    Part: {"entry": _to},
    # Without an address there is no interface to answer.
    GiveUp: {"answer": lambda given: _entry(given.address.process if given.address else "")},
    Redrive: {"payload": _on},
}
# What an engine writes into an inbox itself begins with this: an array of two, the kind first.
_GAP = bytes((0x92, codec.GAP))


class SealedEngine:
    """Implements ``layers.engine.Engine``. Raises InvalidChannelLayer for wrong keys."""

    def __init__(self, engine: Engine, keys: object) -> None:
        self.local_only = engine.local_only
        self.name = engine.name
        self.engine = engine  # The one below.
        self._sealing = _Sealing(engine, keys)

    @property
    def history(self) -> str:
        return self.engine.history

    def link(self, name: str) -> "SealedLink":
        return SealedLink(self.engine.link(name), self._sealing)

    def alink(self, name: str) -> "AsyncSealedLink":
        return AsyncSealedLink(self.engine.alink(name), self._sealing)

    def inbox(self, process: str) -> "SealedInbox":
        return SealedInbox(self.engine.inbox(process), self._sealing.seal, process)

    def entry_size(self, entry: bytes, /) -> int:
        return self._sealing.seal.size(entry)


class SealedLink:
    """Implements ``layers.engine.Link``."""

    def __init__(self, link: Link, sealing: "_Sealing") -> None:
        self._link = link
        self._sealing = sealing

    def perform(self, *operations: Operation) -> list[object]:
        answers = self._link.perform(*self._sealing.sealed(operations))
        return self._sealing.opened(operations, answers)

    def client_id(self) -> str:
        return self._link.client_id()

    def close(self) -> None:
        self._link.close()


class AsyncSealedLink:
    """Implements ``layers.engine.AsyncLink``."""

    def __init__(self, link: AsyncLink, sealing: "_Sealing") -> None:
        self._link = link
        self._sealing = sealing

    async def perform(self, *operations: Operation) -> list[object]:
        answers = await self._link.perform(*self._sealing.sealed(operations))
        return self._sealing.opened(operations, answers)

    def client_id(self) -> str:
        return self._link.client_id()

    async def aclose(self) -> None:
        await self._link.aclose()


class SealedInbox:
    """Implements ``layers.engine.InboxReader``."""

    def __init__(self, reader: InboxReader, seal: Seal, process: str) -> None:
        self._reader = reader
        self._seal = seal
        self._places = (_entry(process), _GROUP_ENTRY)

    async def read(self, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        entries = await self._reader.read(cursor, trim=trim)
        return [
            (name, entry if entry.startswith(_GAP) else self._seal.open(entry, *self._places))
            for name, entry in entries
        ]

    def client_id(self) -> str:
        return self._reader.client_id()

    async def aclose(self) -> None:
        await self._reader.aclose()


class _Sealing:
    """Sealing of operations and opening of answers, shared by the links of one engine."""

    def __init__(self, engine: Engine, keys: object) -> None:
        self.seal = Seal(keys, layer=engine.name)
        self._engine = engine
        self._stamps = Stamps()

    # ------------------------------------------------------------- on the way there

    def sealed(self, operations: Sequence[Operation]) -> list[Operation]:
        return [self._operation(operation) for operation in operations]

    def _operation(self, operation: Operation) -> Operation:
        if isinstance(operation, Send):
            return operation._replace(effects=self._effects(operation.effects))
        if isinstance(operation, Commit):
            outcomes = tuple([self._outcome(outcome) for outcome in operation.outcomes])
            return operation._replace(outcomes=outcomes)
        if isinstance(operation, Resume):
            return operation._replace(records=self._effects(operation.records))
        return self._value(operation)

    def _outcome(self, outcome: Outcome) -> Outcome:
        answer, later, address = outcome.answer, outcome.later, outcome.address
        if answer and address is not None:
            answer = self.seal.seal(answer, _entry(address.process))
        if later is not None:
            payload = self.seal.seal(later.payload, _message(later.channel))
            later = later._replace(payload=payload)
        effects = self._effects(outcome.effects)
        return outcome._replace(effects=effects, answer=answer, later=later)

    def _effects(self, effects: Sequence[Value]) -> tuple[Value, ...]:
        return tuple([self._value(effect) for effect in effects])

    def _value(self, value: Value) -> Value:
        """An effect or operation with its fields sealed. No answer stays no answer."""
        kind = type(value)
        if kind is Keep:
            data = self._stamps.next(value.key) + value.value
            kept: Value = value._replace(value=self.seal.seal(data, Place("k", value.key)))
            return kept
        if kind is Drop:
            self._stamps.forget(value.key)
            return value
        places = FIELDS.get(kind)
        if places is None:
            return value
        sealed: Value = value._replace(
            **{
                name: self.seal.seal(data, place(value))
                for name, place in places.items()
                if (data := getattr(value, name)) or name != "answer"
            }
        )
        return sealed

    # ----------------------------------------------------------------- and back

    def opened(self, operations: Sequence[Operation], answers: list[object]) -> list[object]:
        return [
            answer if answer is None or (read := _READ.get(type(operation))) is None
            else read(self, operation, answer)
            for operation, answer in zip(operations, answers, strict=True)
        ]  # fmt: skip

    def _payload(self, payload: bytes, channel: str) -> bytes:
        return self.seal.open(payload, _message(channel), _GROUP_MESSAGE)

    def _claimed(self, _: Claim, claimed: Claimed) -> Claimed:
        deliveries = [
            each._replace(payload=self._payload(each.payload, each.channel))
            for each in claimed.deliveries
        ]
        return claimed._replace(deliveries=tuple(deliveries))

    def _popped(self, _: Pop, popped: tuple[str, bytes]) -> tuple[str, bytes]:
        channel, payload = popped
        places = (_message(channel), _GROUP_MESSAGE, Place("b", channel))
        return channel, self.seal.open(payload, *places)

    def _letters(self, asked: DeadLetters, letters: list[DeadLetter]) -> list[DeadLetter]:
        return [
            letter._replace(payload=self._payload(letter.payload, asked.channel))
            for letter in letters
        ]

    def _oldest(self, asked: Oldest, payload: bytes) -> bytes:
        return self._payload(payload, asked.channel)

    def _kept(self, asked: Recall, kept: Kept) -> Kept | None:
        """Of what no key opens here, or is older than it may be, nothing is kept: a session
        begins anew, as with one of Django's."""
        value = kept.value
        data = self.seal.open(value, Place("k", asked.key))
        if data.startswith(codec.SEALED):
            return None
        if not value.startswith(codec.SEAL):
            data = bytes(SIZE) + data  # A Fernet token: of before there were stamps.
        if self._stamps.is_fresh(asked.key, data[:SIZE], self._engine.history):
            return kept._replace(value=data[SIZE:])
        logger.warning(
            "What is kept under %s is older than what was there before, so it is not used: "
            "somebody who can write to the channel layer's Redis has put it back.",
            asked.key,
        )
        return None


_READ: dict[type[Any], Callable[[_Sealing, Any, Any], Any]] = {
    Claim: _Sealing._claimed,
    Pop: _Sealing._popped,
    DeadLetters: _Sealing._letters,
    Oldest: _Sealing._oldest,
    Recall: _Sealing._kept,
}
