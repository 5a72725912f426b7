"""A TCP proxy in front of Redis that can do what networks do.

From ``faults``, which tells it what; between djchan's processes and the ``store``. What
matters most: it can forward a request and lose its answer, so that Redis has done
something of which its client does not know::

    client ──request──► proxy ──request──► Redis      applied
    client ◄──reset──── proxy ◄──answer─── Redis      nobody heard

It runs on an event loop in a thread of its own; every method may be called from any thread.
"""

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

CHUNK = 65536


class _Loss:
    """An answer to be lost: to a request with ``pattern``, and of ``least`` bytes."""

    def __init__(self, pattern: bytes, least: int) -> None:
        self.pattern = pattern
        self.least = least


class Proxy:
    """Listens on a free loopback port, ``port``, from ``start()`` to ``stop()``."""

    def __init__(self, target: int, *, seed: int = 0) -> None:
        self.target = target
        self.port = 0
        self.lost = 0  # Answers that were lost so far.
        self.connections = 0  # That were accepted so far.
        self._rng = random.Random(seed)
        self._armed: list[_Loss] = []
        self._chance = 0.0
        self._delay = 0.0
        self._refusing = False
        self._open: set[_Pair] = set()
        self._passing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chaos-proxy", daemon=True)

    # -------------------------------------------------------------- from outside

    def start(self) -> None:
        self._thread.start()
        self._call(self._listen)

    def stop(self) -> None:
        """Close everything; the thread ends."""
        if self._thread.is_alive():
            self._call(self._close)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._loop.close()

    def cut(self) -> None:
        """End every connection, at once."""
        self._call(self._cut)

    def refuse(self, on: bool) -> None:
        """Let nobody connect, and end every connection; or let them again."""
        self._refusing = on
        if on:
            self.cut()

    def hold(self) -> None:
        """Let nothing pass; connections stay."""
        self._call(self._hold)

    def release(self) -> None:
        self._call(self._release)

    def slow(self, seconds: float) -> None:
        """Let each piece pass so much later; 0: at once."""
        self._delay = seconds

    def lose(self, pattern: bytes, times: int = 1, *, least: int = 0) -> None:
        """Lose the next answers to requests that contain ``pattern``, if they are so long:
        short ones may say that there is nothing, and nobody would miss them."""
        self._armed = [*self._armed, *(_Loss(pattern, least) for _ in range(times))]

    def lossy(self, chance: float) -> None:
        """Lose the answer to each request with this chance; 0: to none."""
        self._chance = chance

    def disarm(self) -> int:
        """Lose no answers any more; how many that were to be lost never came."""
        left, self._armed = len(self._armed), []
        self._chance = 0.0
        return left

    # --------------------------------------------------------------- on the loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, function: Callable[[], Any]) -> None:
        async def call() -> None:
            result = function()
            if result is not None:
                await result

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    async def _listen(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._release()
        self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _cut(self) -> None:
        for pair in list(self._open):
            pair.abort()

    def _hold(self) -> None:
        self._passing.clear()

    def _release(self) -> None:
        self._passing.set()

    def _doom(self, data: bytes) -> _Loss | None:
        """What is to be lost of the answer to this request."""
        if self._chance and self._rng.random() < self._chance:
            return _Loss(b"", 0)
        return next((loss for loss in self._armed if loss.pattern in data), None)

    def _is_lost(self, loss: _Loss | None, data: bytes) -> bool:
        if loss is None or len(data) < loss.least:
            return False
        if loss.pattern:
            if loss not in self._armed:
                return False  # Somebody else has lost it meanwhile.
            self._armed = [other for other in self._armed if other is not loss]
        elif not self._chance:
            return False
        self.lost += 1
        return True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, up_writer)
        self._open.add(pair)
        try:
            await asyncio.gather(
                self._pump(pair, reader, up_writer, requests=True),
                self._pump(pair, up_reader, writer, requests=False),
            )
        finally:
            self._open.discard(pair)
            pair.abort()

    async def _pump(
        self,
        pair: "_Pair",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        requests: bool,
    ) -> None:
        """Copy one direction until it ends; the other one ends with it."""
        try:
            while data := await reader.read(CHUNK):
                await self._passing.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                if requests:
                    pair.loss = self._doom(data)
                elif self._is_lost(pair.loss, data):
                    return  # Redis has answered: it has done what it was asked.
                writer.write(data)
                await writer.drain()
        except OSError:
            return  # One of the two is gone: so is this connection.
        finally:
            pair.abort()


class _Pair:
    """One connection, in two halves."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.loss: _Loss | None = None  # Its next answer is to be lost.
        self._halves = near, far

    def abort(self) -> None:
        for half in self._halves:
            half.transport.abort()
