"""An engine whose store cannot read what it holds: around another one.

From ``layers.calls``, for a layer with ``symmetric_encryption_keys``; on to the links of the
engine below, and to ``layers.seal`` for each payload on its way there and back::

    operation ──seal its payloads──► the link below ──► answer ──open its payloads──► answer

Payloads are opaque to every engine, so this is all there is to it. What an engine works with
stays plain: the names of channels, groups, processes and connections, numbers, times, and the
keys under which values are kept. So does the one entry that an engine writes itself: that
messages of a group are missing.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from djchan.layers import codec
from djchan.layers.engine import AsyncLink, Engine, InboxReader, Link
from djchan.layers.operations import (
    Body,
    Claim,
    Claimed,
    Commit,
    DeadLetter,
    DeadLetters,
    Delay,
    GiveUp,
    GroupAdd,
    GroupDiscard,
    GroupSend,
    Keep,
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
from djchan.layers.seal import Seal

Value = TypeVar("Value", bound=Any)

# The fields that are sealed: of effects, and of operations that have some themselves.
FIELDS: dict[type[Any], tuple[str, ...]] = {
    Push: ("payload",),
    Record: ("payload",),
    Delay: ("payload",),
    Body: ("payload",),
    Tell: ("entry",),
    GroupAdd: ("entry",),
    GroupDiscard: ("entry",),
    GroupSend: ("entry", "payload"),
    Part: ("entry",),
    GiveUp: ("answer",),
    Redrive: ("payload",),
    Keep: ("value",),
}
# What an engine writes into an inbox itself begins with this: an array of two, the kind first.
_GAP = bytes((0x92, codec.GAP))


class SealedEngine:
    """Implements ``layers.engine.Engine``. Raises InvalidChannelLayer for wrong keys."""

    def __init__(self, engine: Engine, keys: Any) -> None:
        self.local_only = engine.local_only
        self.engine = engine  # The one below.
        self._seal = Seal(keys)

    def link(self, name: str) -> "SealedLink":
        return SealedLink(self.engine.link(name), self._seal)

    def alink(self, name: str) -> "AsyncSealedLink":
        return AsyncSealedLink(self.engine.alink(name), self._seal)

    def inbox(self, process: str) -> "SealedInbox":
        return SealedInbox(self.engine.inbox(process), self._seal)

    def entry_size(self, entry: bytes, /) -> int:
        return self._seal.size(entry)


class SealedLink:
    """Implements ``layers.engine.Link``."""

    def __init__(self, link: Link, seal: Seal) -> None:
        self._link = link
        self._seal = seal

    def perform(self, *operations: Operation) -> list[Any]:
        answers = self._link.perform(*_sealed(self._seal, operations))
        return _opened(self._seal, operations, answers)

    def client_id(self) -> str:
        return self._link.client_id()

    def close(self) -> None:
        self._link.close()


class AsyncSealedLink:
    """Implements ``layers.engine.AsyncLink``."""

    def __init__(self, link: AsyncLink, seal: Seal) -> None:
        self._link = link
        self._seal = seal

    async def perform(self, *operations: Operation) -> list[Any]:
        answers = await self._link.perform(*_sealed(self._seal, operations))
        return _opened(self._seal, operations, answers)

    def client_id(self) -> str:
        return self._link.client_id()

    async def aclose(self) -> None:
        await self._link.aclose()


class SealedInbox:
    """Implements ``layers.engine.InboxReader``."""

    def __init__(self, reader: InboxReader, seal: Seal) -> None:
        self._reader = reader
        self._seal = seal

    async def read(self, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        entries = await self._reader.read(cursor, trim=trim)
        return [
            (name, entry if entry.startswith(_GAP) else self._seal.open(entry))
            for name, entry in entries
        ]

    def client_id(self) -> str:
        return self._reader.client_id()

    async def aclose(self) -> None:
        await self._reader.aclose()


# --------------------------------------------------------------- on the way there


def _sealed(seal: Seal, operations: Sequence[Operation]) -> list[Operation]:
    return [_operation(seal, operation) for operation in operations]


def _operation(seal: Seal, operation: Operation) -> Operation:
    if isinstance(operation, Send):
        return operation._replace(effects=_effects(seal, operation.effects))
    if isinstance(operation, Commit):
        outcomes = tuple([_outcome(seal, outcome) for outcome in operation.outcomes])
        return operation._replace(outcomes=outcomes)
    if isinstance(operation, Resume):
        return operation._replace(records=_effects(seal, operation.records))
    return _value(seal, operation)


def _outcome(seal: Seal, outcome: Outcome) -> Outcome:
    later = outcome.later
    return outcome._replace(
        effects=_effects(seal, outcome.effects),
        answer=seal.seal(outcome.answer) if outcome.answer else b"",
        later=later and later._replace(payload=seal.seal(later.payload)),
    )


def _effects(seal: Seal, effects: Sequence[Value]) -> tuple[Value, ...]:
    return tuple([_value(seal, effect) for effect in effects])


def _value(seal: Seal, value: Value) -> Value:
    """An effect or operation with the fields in FIELDS sealed. No answer stays no answer."""
    plain = {name: getattr(value, name) for name in FIELDS.get(type(value), ())}
    if not plain:
        return value
    sealed: Value = value._replace(
        **{
            name: seal.seal(data) if data or name != "answer" else data
            for name, data in plain.items()
        }
    )
    return sealed


# ----------------------------------------------------------------- and back


def _opened(seal: Seal, operations: Sequence[Operation], answers: list[Any]) -> list[Any]:
    return [
        answer if answer is None or (read := _READ.get(type(operation))) is None
        else read(seal, answer)
        for operation, answer in zip(operations, answers, strict=True)
    ]  # fmt: skip


def _claimed(seal: Seal, claimed: Claimed) -> Claimed:
    return claimed._replace(
        deliveries=tuple(
            [each._replace(payload=seal.open(each.payload)) for each in claimed.deliveries]
        )
    )


def _popped(seal: Seal, popped: tuple[str, bytes]) -> tuple[str, bytes]:
    return popped[0], seal.open(popped[1])


def _letters(seal: Seal, letters: list[DeadLetter]) -> list[DeadLetter]:
    return [letter._replace(payload=seal.open(letter.payload)) for letter in letters]


def _kept(seal: Seal, value: bytes) -> bytes | None:
    """Of what no key opens, nothing is kept: a session begins anew, as with one of Django's."""
    opened = seal.open(value)
    return None if opened.startswith(codec.SEALED) else opened


_READ: dict[type[Any], Callable[[Seal, Any], Any]] = {
    Claim: _claimed,
    Pop: _popped,
    DeadLetters: _letters,
    Oldest: lambda seal, payload: seal.open(payload),
    Recall: _kept,
}
