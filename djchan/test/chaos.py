"""``ChaosLayer``: a channel layer that makes faults, so that a project can test its consumers.

From CHANNEL_LAYERS, or a test that makes one; on to the engine of the layer that is wrapped.
Which fault happens is decided in ``test.faults``, what it does to an operation in
``test.tamper``; here is what asks them, at each call of a link.

What a project finds with it: a consumer that does twice what it should do once (``repeat``),
one that takes for granted that messages come in the order in which they were sent
(``reorder``, ``delay``), senders that do not expect ChannelFull (``full``) or OutcomeUnknown
(``unanswered``), pages that never ask what they have missed (``drop``).
"""

import logging
import secrets
import threading
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from djchan.exceptions import InvalidChannelLayer, OutcomeUnknown
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import AsyncLink, Engine, InboxReader, Link
from djchan.layers.operations import Operation
from djchan.log import escaping
from djchan.test.call import Call
from djchan.test.clock import move_clock
from djchan.test.faults import Fault, Faults, Rate
from djchan.test.tamper import Tamper

logger = escaping(logging.getLogger(__name__))

IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"


class ChaosLayer(BaseChannelLayer):
    """The layer ``backend`` (a dotted path, a class, or a layer), with faults.

    ``options``: of the backend. ``seed``: the same one, and the same calls, give the same
    faults; without one there is a new one each time, which the log names.

    Each rate is a number from 0 (never, the default) to 1, or a dict of pattern to number;
    patterns match channels, ``group:NAME``, and ``reply:`` for replies to sockets. All of
    these happen in real life:

    ``repeat``: a consumer runs to its end, but what it sent is dropped and it is run again,
    with ``message.redelivered``, at most ``max_repeats`` times more. Real: its worker was
    killed, or taken for dead, before it could commit. (What real life does not run again it
    does not here: a POST gets its 503, an at-most-once message is gone.)

    ``delay``: a message reaches its consumer up to ``max_delay`` seconds late, others
    overtake it. Real: its worker was busy. ``reorder``: the same, until another message went
    before it. Messages of one socket stay in order with both, as djchan promises.

    ``full``: a direct send gets ChannelFull. Real: workers fell behind.

    ``unanswered``: a direct send, or a part of a streamed response, gets OutcomeUnknown; it
    was applied, or it was not. Real: the connection to Redis broke.

    ``drop``: a message on an at-most-once channel disappears (its worker died), a message
    to a group does not reach sockets, which are told of the gap (their process was behind).
    With ``lossy`` messages on any channel of yours and replies to sockets disappear too, as
    when Redis crashes and loses its last second. Never a socket's or a request's own.

    djchan keeps all else that it promises. ``faults`` are the last ``keep`` that were made,
    ``counts`` how many of each kind, ``wrapped`` the layer without faults. Each process makes
    its own.
    """

    def __init__(
        self,
        backend: str | type[BaseChannelLayer] | BaseChannelLayer = IN_MEMORY,
        options: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        drop: Rate = 0.0,
        delay: Rate = 0.0,
        repeat: Rate = 0.0,
        reorder: Rate = 0.0,
        full: Rate = 0.0,
        unanswered: Rate = 0.0,
        max_delay: float = 1.0,
        max_repeats: int = 2,
        lossy: bool = False,
        keep: int = 1000,
    ) -> None:
        for name, value in (("max_delay", max_delay), ("max_repeats", max_repeats), ("keep", keep)):
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise InvalidChannelLayer(
                    f"{name} of a ChaosLayer is a number above 0, not {value!r}."
                )
        self.wrapped = _layer(backend, dict(options or {}))
        self.seed = secrets.randbits(32) if seed is None else seed
        rates = {
            "drop": drop,
            "delay": delay,
            "repeat": repeat,
            "reorder": reorder,
            "full": full,
            "unanswered": unanswered,
        }
        self._faults = Faults(self.seed, rates, keep=int(keep))
        tamper = Tamper(
            self._faults, self, lossy=lossy, max_delay=max_delay, max_repeats=int(max_repeats)
        )
        super().__init__(engine=ChaosEngine(self.wrapped.engine, tamper, seed=self.seed))
        # What holds for the channels is what the wrapped layer says.
        self.follow(self.wrapped)
        self._in_memory = partial(
            type(self),
            seed=self.seed,
            drop=drop,
            delay=delay,
            repeat=repeat,
            reorder=reorder,
            full=full,
            unanswered=unanswered,
            max_delay=max_delay,
            max_repeats=max_repeats,
            lossy=lossy,
            keep=keep,
        )
        said = ", ".join(f"{kind} {rate}" for kind, rate in rates.items() if rate)
        logger.warning(
            "This channel layer makes faults on purpose: %s (seed %d).", said or "none", self.seed
        )

    @property
    def faults(self) -> list[Fault]:
        """The last faults that were made, oldest first."""
        return list(self._faults.made)

    @property
    def counts(self) -> dict[str, int]:
        """How many faults of each kind were made."""
        return dict(self._faults.counts)

    def in_memory(self) -> "ChaosLayer":
        """The same faults over a layer in memory: for tests (``djchan.stand_ins``)."""
        return self._in_memory()

    def move_clock(self, milliseconds: float) -> None:
        """As of a layer in memory. Raises ValueError over another one."""
        move_clock(self.wrapped, milliseconds)
        self.set_clock(self.wrapped.now())

    def begin_test(self) -> None:
        """As of a layer in memory."""
        getattr(self.wrapped, "begin_test", self.wrapped.flush)()
        self.set_clock(self.wrapped.now())

    def close(self) -> None:
        super().close()
        self.wrapped.close()

    async def aclose(self) -> None:
        await super().aclose()
        await self.wrapped.aclose()


class ChaosEngine:
    """Implements ``layers.engine.Engine`` over another one."""

    def __init__(self, engine: Engine, tamper: Tamper, *, seed: int) -> None:
        self.local_only = engine.local_only
        self.name = engine.name
        self._engine = engine
        self._tamper = tamper
        self._seed = seed
        self._lock = threading.Lock()

    @property
    def history(self) -> str:
        return self._engine.history

    def link(self, name: str) -> "ChaosLink":
        return ChaosLink(self, self._engine.link(name))

    def alink(self, name: str) -> "AsyncChaosLink":
        return AsyncChaosLink(self, self._engine.alink(name))

    def inbox(self, process: str) -> InboxReader:
        return self._engine.inbox(process)

    def entry_size(self, entry: bytes, /) -> int:
        return self._engine.entry_size(entry)

    def begin(self, operations: tuple[Operation, ...]) -> Call:
        """What to say instead. Raises OutcomeUnknown for a call that is lost on its way."""
        with self._lock:
            call = self._tamper.begin(operations)
        if call.lost == "before":
            raise self._unavailable()
        return call

    def end(self, call: Call, raw: list[Any]) -> list[Any]:
        """What is answered. Raises OutcomeUnknown when that is lost on its way back."""
        with self._lock:
            answers = call.answers(raw)
        if call.lost:
            raise self._unavailable()
        return answers

    def _unavailable(self) -> OutcomeUnknown:
        # Not BrokerUnavailable, which the layer would ask again about.
        return OutcomeUnknown(
            f"The answer of the channel layer was lost (a ChaosLayer, seed {self._seed})."
        )


class ChaosLink:
    """Implements ``layers.engine.Link``."""

    def __init__(self, engine: ChaosEngine, link: Link) -> None:
        self._engine = engine
        self._link = link

    def perform(self, *operations: Operation) -> list[Any]:
        call = self._engine.begin(operations)
        return self._engine.end(call, self._link.perform(*call.operations) if call.asks else [])

    def client_id(self) -> str:
        return self._link.client_id()

    def close(self) -> None:
        self._link.close()


class AsyncChaosLink:
    """Implements ``layers.engine.AsyncLink``."""

    def __init__(self, engine: ChaosEngine, link: AsyncLink) -> None:
        self._engine = engine
        self._link = link

    async def perform(self, *operations: Operation) -> list[Any]:
        call = self._engine.begin(operations)
        return self._engine.end(
            call, await self._link.perform(*call.operations) if call.asks else []
        )

    def client_id(self) -> str:
        return self._link.client_id()

    async def aclose(self) -> None:
        await self._link.aclose()


def _layer(backend: Any, options: dict[str, Any]) -> BaseChannelLayer:
    if isinstance(backend, BaseChannelLayer):
        if options:
            raise InvalidChannelLayer(
                "A ChaosLayer over a layer that is made already takes no options: give them to "
                "that layer."
            )
        return backend
    kind = _imported(backend) if isinstance(backend, str) else backend
    if not (isinstance(kind, type) and issubclass(kind, BaseChannelLayer)):
        raise InvalidChannelLayer(
            f"backend of a ChaosLayer is the dotted path of a djchan layer, such as {IN_MEMORY!r}, "
            f"not {backend!r}."
        )
    return kind(**options)


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidChannelLayer(
            f"backend of a ChaosLayer cannot be imported: {path!r} ({error})."
        ) from error
