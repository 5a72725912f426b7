"""What performs operations: the contract between the layers and their stores.

From ``layers.local``, ``layers.calls`` and ``lanes``; on to ``layers.memory`` or
``layers.redis``. A link is one connection: operations of one call travel together, are
applied in order, and their answers come back together. Links do not retry: a lost answer
means that the outcome of the whole call is unknown, and only the caller knows what may be
said twice.
"""

from typing import Any, Protocol

from djchan.layers.operations import Operation


class Link(Protocol):
    """A connection for one thread at a time."""

    def perform(self, *operations: Operation) -> list[Any]:
        """Do ``operations`` in one round trip; the answers, in order.

        Raises BrokerUnavailable (while its ``sent`` is True, any of them may or may not have
        been applied), BrokerRefused and BrokerUnsupported (the one that was refused, and those
        behind it perhaps, were not); the next call connects again.
        """
        ...

    def client_id(self) -> str:
        """The id of this connection at the broker; "" while there is none."""
        ...

    def close(self) -> None: ...


class AsyncLink(Protocol):
    """A connection for one event loop; calls may overlap, they are queued."""

    async def perform(self, *operations: Operation) -> list[Any]: ...

    def client_id(self) -> str: ...

    async def aclose(self) -> None: ...


class InboxReader(Protocol):
    """Reads one process's inbox by cursor: an entry leaves only after it was applied."""

    async def read(self, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        """Entries after ``cursor`` in order, waiting at most 5 seconds for the first.

        With ``trim``, entries up to and with ``cursor`` are dropped first.
        """
        ...

    def client_id(self) -> str: ...

    async def aclose(self) -> None: ...


class Engine(Protocol):
    local_only: bool  # Only processes on this interpreter share it.
    name: str  # Of the layer in its store, where several may lie side by side.

    @property
    def history(self) -> str:
        """The run of the store that the newest connection has found; "" while unknown."""
        ...

    def link(self, name: str) -> Link: ...

    def alink(self, name: str) -> AsyncLink: ...

    def inbox(self, process: str) -> InboxReader: ...

    def entry_size(self, entry: bytes, /) -> int:
        """Bytes that an entry which an InboxReader read takes in the store."""
        ...
