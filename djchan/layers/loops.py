"""Values that belong to an event loop, and end with it.

``asyncio.run``, ``async_to_sync`` and Django under WSGI make an event loop for a single call. A
connection that was opened on such a loop is of no use to any other, so it is closed when the
loop shuts down its asynchronous generators, as all of these do at their end.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class PerLoop(Generic[Thing]):
    """One ``make()`` for each running event loop; ``end(it)`` is awaited when the loop ends."""

    def __init__(
        self, make: Callable[[], Thing], end: Callable[[Thing], Awaitable[object]]
    ) -> None:
        self._make = make
        self._end = end
        # The value may refer to its loop, so weak keys are not enough: see _forget_closed.
        self._things: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Thing] = (
            weakref.WeakKeyDictionary()
        )
        self._endings: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, AsyncGenerator[None, None]
        ] = weakref.WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._things)

    def peek(self) -> Thing | None:
        """The value of the running event loop, if it was made."""
        return self._things.get(asyncio.get_running_loop())

    def get(self) -> Thing:
        """The value of the running event loop, made at first use."""
        loop = asyncio.get_running_loop()
        found = self._things.get(loop)
        if found is None:
            self._forget_closed()
            found = self._things[loop] = self._make()
            if loop not in self._endings:
                ending = self._endings[loop] = self._until_the_end(loop)
                # Its first step, which awaits nothing, is when the loop gets to know it.
                with suppress(StopIteration):
                    ending.__anext__().send(None)
        return found

    async def end(self) -> None:
        """End the value of the running event loop, if there is one."""
        thing = self._things.pop(asyncio.get_running_loop(), None)
        if thing is not None:
            await self._end(thing)
            await asyncio.sleep(0)  # Transports close at the loop's next turn.

    async def _until_the_end(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._endings.pop(loop, None)
            await self.end()

    def _forget_closed(self) -> None:
        """Forget loops that were closed without shutting down: what they had cannot be ended
        any more; it is closed when it is collected as garbage."""
        for reference in self._things.keyrefs():
            loop = reference()
            if loop is not None and loop.is_closed():
                self._things.pop(loop, None)
                self._endings.pop(loop, None)
