"""The connections of event loops to Redis, and the reader of an inbox. See ``links``."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import redis.exceptions
from hiredis import pack_command

from djchan import forks
from djchan.exceptions import BrokerError, BrokerUnavailable
from djchan.layers.operations import Flush, History, Operation, Pop
from djchan.layers.redis import commands, errors, greeting, idle
from djchan.layers.redis.hosts import Hosts
from djchan.layers.redis.links import (
    LOST,
    PING,
    Connecting,
    advance,
    escape,
    is_noscript,
    result,
    translated,
)
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

READ_COUNT = 256  # Inbox entries of one read.
READ_BLOCK = 5.0  # Seconds that one read waits.


class RedisAsyncLink(Connecting):
    """One connection of an event loop (``engine.AsyncLink``)."""

    def __init__(self, hosts: Hosts, base: str, name: str) -> None:
        super().__init__(hosts, base, name)
        self._lock = asyncio.Lock()

    async def perform(self, *operations: Operation) -> list[object]:
        first = operations[0]
        async with self._lock:
            if isinstance(first, Pop):
                return [await self._pop(first)]
            if isinstance(first, Flush):
                await self._flush()
                return [None]
            answers = await self.exchange(self._commands(operations))
        return self._results(operations, answers)

    def give_back(self) -> None:
        """In a forked child: the connection is the parent's, this is a copy of its socket."""
        connection, self._connection, self._client = self._connection, None, ""
        writer = None if connection is None else connection._writer
        if writer is not None:
            forks.close_copy(writer.get_extra_info("socket").fileno())

    async def aclose(self) -> None:
        """Close it gracefully (TLS sends close_notify), within the timeout for connecting."""
        await self._close(nowait=False)

    async def _close(self, *, nowait: bool = True) -> None:
        connection, self._connection, self._client = self._connection, None, ""
        if connection is None:
            return
        try:
            await connection.disconnect(nowait=nowait)
        except LOST as error:
            logger.debug("A connection to %s did not close well: %s", self._hosts.describe(), error)

    def result(self, reply: object) -> Any:
        """``reply``, or the error it is, raised."""
        return result(self._hosts, reply, None)

    async def exchange(self, batch: Sequence[commands.Command]) -> list[Any]:
        """Send ``batch`` in one write; its replies, error replies among them."""
        if not await self._is_usable():
            await self._connect()
        answers = await self._raw(batch)
        again = [index for index, reply in enumerate(answers) if is_noscript(reply)]
        if again:
            await self._raw(greeting.scripts())
            repeated = await self._raw([batch[i] for i in again])
            for index, reply in zip(again, repeated, strict=True):
                answers[index] = reply
        return answers

    async def _is_usable(self) -> bool:
        """Whether there is a connection that can be used; one that cannot is closed."""
        if self._connection is None:
            return False
        use = self._use()
        if use is idle.Use.REPLACE:
            await self._close()
            return False
        if use is idle.Use.PING:
            try:
                await self._raw([PING])
            except BrokerUnavailable as error:
                logger.debug("An idle connection was replaced: %s", error)
                return False
        return True

    async def _raw(self, batch: Sequence[commands.Command]) -> list[object]:
        connection, hosts = self._connection, self._hosts
        answers: list[Any] = []
        try:
            packed = b"".join([pack_command(command) for command in batch])
            # One limit for all of it, and none inside redis-py: its own, one for each write
            # and read, cost a task each and may swallow a cancellation (wait_for, 3.11).
            async with asyncio.timeout(hosts.timeout):
                await connection.send_packed_command([packed], check_health=False)
                for _ in batch:
                    try:
                        answers.append(await connection.read_response())
                    except redis.exceptions.ResponseError as error:
                        if errors.meaning(error, sentinel=hosts.is_sentinel).leave:
                            await self._close()
                            raise translated(hosts, error, sent=bool(answers)) from error
                        answers.append(error)
            self._used_at = time.monotonic()
            return answers
        except BrokerError:
            raise
        except LOST as error:
            await self._close()
            raise translated(hosts, error, sent=True) from error
        except BaseException:
            # Canceled between command and reply: no later command may get that reply.
            await self._close()
            raise

    async def _connect(self) -> None:
        hosts = self._hosts
        try:
            connection = hosts.aconnection()
            try:
                async with asyncio.timeout(hosts.timeout):
                    await connection.connect()
                self._probe = idle.probe_async(connection)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            finally:
                await hosts.asettle()
        except (*LOST, redis.exceptions.RedisError) as error:
            raise translated(hosts, error, sent=False) from error
        self._connection = connection
        try:
            greeted = await self._greet()
            if greeted.run:
                operation = History(greeted.run)
                answers = await self._raw([commands.render(self._base, operation)])
                result(hosts, answers[0], operation)
            self._client, hosts.run = greeted
        except BrokerUnavailable as error:
            await self._close()
            error.sent = False  # Nothing of what is to be asked.
            raise
        except BaseException:
            await self._close()
            raise

    async def _greet(self) -> greeting.Greeted:
        try:
            return greeting.check(
                await self._raw(greeting.questions(self._base)), self._base, self._hosts.describe()
            )
        except redis.exceptions.RedisError as error:
            raise translated(self._hosts, error, sent=False) from error

    async def _pop(self, op: Pop) -> tuple[str, bytes] | None:
        steps = commands.pop(self._base, op, time.monotonic)
        batch, popped = advance(steps, None)
        while batch:
            reply = result(self._hosts, (await self.exchange(batch))[-1], op)
            batch, popped = advance(steps, reply)
        return popped

    async def _flush(self) -> None:
        cursor: Any = 0
        pattern = escape(self._base) + "*"
        while True:
            (reply,) = await self.exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
            cursor, keys = result(self._hosts, reply, None)
            if keys:
                await self.exchange([("UNLINK", *keys)])
            if int(cursor) == 0:
                return


class RedisInboxReader:
    """Reads a process's inbox by cursor (``engine.InboxReader``)."""

    def __init__(self, link: RedisAsyncLink, base: str, process: str) -> None:
        self._link = link
        self._base = base
        self._process = process

    async def read(self, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        block = int(READ_BLOCK * 1000)
        batch = [commands.read_inbox(self._base, self._process, cursor, block, READ_COUNT)]
        if trim:
            batch.insert(0, commands.trim_inbox(self._base, self._process, cursor))
        try:
            answers = await self._link.exchange(batch)
        except BrokerUnavailable as error:
            if not error.cut:
                raise
            # Reading and trimming may be done twice, so this is no outage yet.
            logger.info("A connection that waited for messages was closed: %s", error)
            answers = await self._link.exchange(batch)
        reply = self._link.result(answers[-1])
        if reply is None:
            return []
        return [(entry_id.decode(), fields[1]) for entry_id, fields in reply[0][1]]

    def client_id(self) -> str:
        return self._link.client_id()

    async def aclose(self) -> None:
        await self._link.aclose()
