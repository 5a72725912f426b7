"""Connections to Redis: commands out, replies in, nothing decided and nothing repeated.

From ``layers.local``, ``layers.calls`` and ``lanes``, through the contract in
``layers.engine``; ``commands`` says what to send and what replies mean.

A connection whose reading was interrupted, by an error, a timeout or a cancellation, is
closed and never read again: what is left in it belongs to somebody else's question.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any

import redis.exceptions
from hiredis import pack_command

from djchan.layers.operations import Connected, Flush, History, Operation, Pop
from djchan.layers.redis import commands, greeting, replies
from djchan.layers.redis.hosts import Hosts

logger = logging.getLogger(__name__)

READ_COUNT = 256  # Inbox entries of one read.
READ_BLOCK = 5.0  # Seconds that one read waits.

_LOST = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    OSError,
    EOFError,
    asyncio.IncompleteReadError,
)


def _is_noscript(reply: Any) -> bool:
    return isinstance(reply, redis.exceptions.NoScriptError)


class RedisLink:
    """One synchronous connection (``engine.Link``)."""

    def __init__(self, hosts: Hosts, base: str, name: str) -> None:
        self._hosts = hosts
        self._base = base
        self._name = name
        self._connection: Any = None
        self._client = ""

    def perform(self, *operations: Operation) -> list[Any]:
        first = operations[0]
        if isinstance(first, Pop):
            return [self._pop(first)]
        if isinstance(first, Flush):
            self._flush()
            return [None]
        answers = self._exchange([commands.render(self._base, op) for op in operations])
        return [
            replies.parse(op, _result(reply, op))
            for op, reply in zip(operations, answers, strict=True)
        ]

    def client_id(self) -> str:
        return self._client

    def close(self) -> None:
        connection, self._connection, self._client = self._connection, None, ""
        if connection is not None:
            connection.disconnect()

    def _exchange(self, batch: Sequence[commands.Command]) -> list[Any]:
        """Send ``batch`` in one write; its replies, error replies among them."""
        if self._connection is None:
            self._connect()
        answers = self._raw(batch)
        again = [index for index, reply in enumerate(answers) if _is_noscript(reply)]
        if again:
            # SCRIPT FLUSH, or a failover: nothing of these was applied, so say them again.
            self._raw(greeting.scripts())
            for index, reply in zip(again, self._raw([batch[i] for i in again]), strict=True):
                answers[index] = reply
        return answers

    def _raw(self, batch: Sequence[commands.Command]) -> list[Any]:
        connection = self._connection
        try:
            packed = b"".join([pack_command(command) for command in batch])
            connection.send_packed_command([packed], check_health=False)
            answers: list[Any] = []
            for _ in batch:
                try:
                    answers.append(connection.read_response())
                except redis.exceptions.ResponseError as error:
                    if greeting.is_elsewhere(error, sentinel=self._hosts.is_sentinel):
                        self.close()
                        raise greeting.elsewhere(error, self._hosts.describe()) from error
                    answers.append(error)
            return answers
        except _LOST as error:
            self.close()
            raise greeting.unavailable(error, self._hosts.describe()) from error
        except BaseException:
            # Interrupted between question and answer: the answer must reach nobody.
            self.close()
            raise

    def _connect(self) -> None:
        connection = self._hosts.connection()
        try:
            connection.connect()
        except (*_LOST, redis.exceptions.RedisError) as error:
            connection.disconnect()
            raise greeting.unavailable(error, self._hosts.describe()) from error
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._hosts.settle()
        self._connection = connection
        try:
            greeted = greeting.check(self._raw(greeting.questions()), self._hosts.describe())
            if greeted.run:
                operation = History(greeted.run)
                _result(self._raw([commands.render(self._base, operation)])[0], operation)
            self._client, self._hosts.run = greeted
        except BaseException:
            self.close()
            raise

    def _pop(self, op: Pop) -> tuple[str, bytes] | None:
        bell = f"pop-{secrets.token_hex(8)}" if op.timeout else ""
        step = commands.pop(self._base, op.channels, bell)
        entry = _result(self._exchange([step])[0], op)
        if entry is None and bell:
            # The last step takes the bell off again, whether or not it was rung.
            wait = ("BLPOP", f"{self._base}bell:{bell}", f"{op.timeout:.3f}")
            last = commands.pop(self._base, op.channels, "")
            cleanup = [("SREM", f"{self._base}idle:{channel}", bell) for channel in op.channels]
            entry = _result(self._exchange([wait, *cleanup, last])[-1], op)
        return None if entry is None else replies.parse_entry(entry)[2:]

    def _flush(self) -> None:
        cursor: Any = 0
        pattern = _escape(self._base) + "*"
        while True:
            cursor, keys = _result(
                self._exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])[0], None
            )
            if keys:
                self._exchange([("UNLINK", *keys)])
            if int(cursor) == 0:
                return


class RedisAsyncLink:
    """One connection of an event loop (``engine.AsyncLink``)."""

    def __init__(self, hosts: Hosts, base: str, name: str) -> None:
        self._hosts = hosts
        self._base = base
        self._name = name
        self._connection: Any = None
        self._client = ""
        self._lock = asyncio.Lock()

    async def perform(self, *operations: Operation) -> list[Any]:
        first = operations[0]
        async with self._lock:
            if isinstance(first, Pop):
                return [await self._pop(first)]
            if isinstance(first, Flush):
                await self._flush()
                return [None]
            answers = await self.exchange([commands.render(self._base, op) for op in operations])
        return [
            replies.parse(op, _result(reply, op))
            for op, reply in zip(operations, answers, strict=True)
        ]

    def client_id(self) -> str:
        return self._client

    async def aclose(self) -> None:
        """Close it in good order (TLS says goodbye), within the time that connecting has."""
        await self._close(nowait=False)

    async def _close(self, *, nowait: bool = True) -> None:
        connection, self._connection, self._client = self._connection, None, ""
        if connection is None:
            return
        try:
            await connection.disconnect(nowait=nowait)
        except _LOST as error:
            logger.debug("A connection to %s did not close well: %s", self._hosts.describe(), error)

    async def exchange(self, batch: Sequence[commands.Command]) -> list[Any]:
        """Send ``batch`` in one write; its replies, error replies among them."""
        if self._connection is None:
            await self._connect()
        answers = await self._raw(batch)
        again = [index for index, reply in enumerate(answers) if _is_noscript(reply)]
        if again:
            await self._raw(greeting.scripts())
            said = await self._raw([batch[i] for i in again])
            for index, reply in zip(again, said, strict=True):
                answers[index] = reply
        return answers

    async def _raw(self, batch: Sequence[commands.Command]) -> list[Any]:
        connection = self._connection
        try:
            packed = b"".join([pack_command(command) for command in batch])
            answers: list[Any] = []
            # One limit for all of it, and none inside redis-py: its own, one for each write
            # and read, cost a task each and may swallow a cancellation (wait_for, 3.11).
            async with asyncio.timeout(self._hosts.timeout):
                await connection.send_packed_command([packed], check_health=False)
                for _ in batch:
                    try:
                        answers.append(await connection.read_response())
                    except redis.exceptions.ResponseError as error:
                        if greeting.is_elsewhere(error, sentinel=self._hosts.is_sentinel):
                            await self._close()
                            raise greeting.elsewhere(error, self._hosts.describe()) from error
                        answers.append(error)
            return answers
        except _LOST as error:
            await self._close()
            raise greeting.unavailable(error, self._hosts.describe()) from error
        except BaseException:
            # Cancelled between question and answer: the answer must reach nobody.
            await self._close()
            raise

    async def _connect(self) -> None:
        connection = self._hosts.aconnection()
        try:
            async with asyncio.timeout(self._hosts.timeout):
                await connection.connect()
        except (*_LOST, redis.exceptions.RedisError) as error:
            await connection.disconnect(nowait=True)
            raise greeting.unavailable(error, self._hosts.describe()) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._hosts.asettle()
        self._connection = connection
        try:
            answers = await self._raw(greeting.questions())
            greeted = greeting.check(answers, self._hosts.describe())
            if greeted.run:
                operation = History(greeted.run)
                _result((await self._raw([commands.render(self._base, operation)]))[0], operation)
            self._client, self._hosts.run = greeted
        except BaseException:
            await self._close()
            raise

    async def _pop(self, op: Pop) -> tuple[str, bytes] | None:
        bell = f"pop-{secrets.token_hex(8)}" if op.timeout else ""
        step = commands.pop(self._base, op.channels, bell)
        entry = _result((await self.exchange([step]))[0], op)
        if entry is None and bell:
            wait = ("BLPOP", f"{self._base}bell:{bell}", f"{op.timeout:.3f}")
            last = commands.pop(self._base, op.channels, "")
            cleanup = [("SREM", f"{self._base}idle:{channel}", bell) for channel in op.channels]
            entry = _result((await self.exchange([wait, *cleanup, last]))[-1], op)
        return None if entry is None else replies.parse_entry(entry)[2:]

    async def _flush(self) -> None:
        cursor: Any = 0
        pattern = _escape(self._base) + "*"
        while True:
            (reply,) = await self.exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
            cursor, keys = _result(reply, None)
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
        reply = _result((await self._link.exchange(batch))[-1], None)
        if reply is None:
            return []
        return [(entry_id.decode(), fields[1]) for entry_id, fields in reply[0][1]]

    def client_id(self) -> str:
        return self._link.client_id()

    async def aclose(self) -> None:
        await self._link.aclose()


def _result(reply: Any, operation: Any) -> Any:
    """``reply``, or the error it is."""
    if isinstance(reply, Exception):
        if isinstance(operation, Connected):
            return None
        raise greeting.refused(reply) from reply
    return reply


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in text)
