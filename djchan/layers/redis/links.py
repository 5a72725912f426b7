"""Connections to Redis: commands out, replies in.

From ``layers.local``, ``layers.calls`` and ``lanes``, through the contract in
``layers.engine``; ``commands`` says what to send and what replies mean.

A connection whose reading was interrupted, by an error, a timeout or a cancellation, is
closed and never read again: what is left in it belongs to somebody else's question. One that
was idle is looked at before anything is written to it (``idle``)::

    idle ──look──► usable ──────────────────► write, read ──► idle
             │                                    │
             └──► closed by the other side: close, connect, write, read
                                                  └──► broken: BrokerUnavailable

An error says whether what was asked may have reached Redis (``sent``); ``errors`` knows what
else it means. Nothing is repeated here.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import redis.exceptions
from hiredis import pack_command

from djchan import forks
from djchan.exceptions import BrokerError, BrokerUnavailable
from djchan.layers.operations import Connected, Flush, History, Operation, Pop
from djchan.layers.redis import commands, errors, greeting, idle, replies
from djchan.layers.redis.hosts import Hosts
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

LOST = (
    redis.exceptions.ConnectionError,
    redis.exceptions.InvalidResponse,
    redis.exceptions.TimeoutError,
    OSError,
    EOFError,
    asyncio.IncompleteReadError,
)
PING: commands.Command = ("PING",)


def is_noscript(reply: object) -> bool:
    return isinstance(reply, redis.exceptions.NoScriptError)


class Connecting:
    """The common part of links of threads and of event loops: everything but the I/O."""

    def __init__(self, hosts: Hosts, base: str, name: str) -> None:
        self._hosts = hosts
        self._base = base
        self._name = name
        self._connection: Any = None
        self._client = ""
        self._probe = idle.Probe(bool, bool)
        self._used_at = 0.0  # time.monotonic()
        forks.give_back_in_child(self)

    def client_id(self) -> str:
        return self._client

    def give_back(self) -> None:
        """In a forked child: the connection is the parent's, this is a copy of its socket."""
        raise NotImplementedError

    def _commands(self, operations: Sequence[Operation]) -> list[commands.Command]:
        return [commands.render(self._base, operation) for operation in operations]

    def _results(self, operations: Sequence[Operation], answers: list[Any]) -> list[Any]:
        return [
            replies.parse(op, result(self._hosts, reply, op, sent=index > 0))
            for index, (op, reply) in enumerate(zip(operations, answers, strict=True))
        ]

    def _use(self) -> idle.Use:
        """What to do with the open connection before it is used."""
        return idle.judge(
            time.monotonic() - self._used_at,
            probe=self._probe,
            health_check_interval=self._hosts.health_check_interval,
        )


class RedisLink(Connecting):
    """One synchronous connection (``engine.Link``)."""

    def perform(self, *operations: Operation) -> list[Any]:
        first = operations[0]
        if isinstance(first, Pop):
            return [self._pop(first)]
        if isinstance(first, Flush):
            self._flush()
            return [None]
        answers = self._exchange(self._commands(operations))
        return self._results(operations, answers)

    def give_back(self) -> None:
        """In a forked child: the connection is the parent's, this is a copy of its socket."""
        connection, self._connection, self._client = self._connection, None, ""
        socket = None if connection is None else connection._sock
        if socket is not None:
            forks.close_copy(socket.fileno())

    def close(self) -> None:
        connection, self._connection, self._client = self._connection, None, ""
        if connection is not None:
            connection.disconnect()

    def _exchange(self, batch: Sequence[commands.Command]) -> list[object]:
        """Send ``batch`` in one write; its replies, error replies among them."""
        if not self._is_usable():
            self._connect()
        answers = self._raw(batch)
        again = [index for index, reply in enumerate(answers) if is_noscript(reply)]
        if again:
            # SCRIPT FLUSH, or a failover: none of these was applied, so they are sent again.
            self._raw(greeting.scripts())
            repeated = self._raw([batch[i] for i in again])
            for index, reply in zip(again, repeated, strict=True):
                answers[index] = reply
        return answers

    def _is_usable(self) -> bool:
        """Whether there is a connection that can be used; one that cannot is closed."""
        if self._connection is None:
            return False
        use = self._use()
        if use is idle.Use.REPLACE:
            self.close()
            return False
        if use is idle.Use.PING:
            try:
                self._raw([PING])
            except BrokerUnavailable as error:
                logger.debug("An idle connection was replaced: %s", error)
                return False
        return True

    def _raw(self, batch: Sequence[commands.Command]) -> list[object]:
        connection, hosts = self._connection, self._hosts
        answers: list[Any] = []
        # Redis runs a command when it has all of it.
        sent = len(batch) > 1
        try:
            packed = b"".join([pack_command(command) for command in batch])
            connection.send_packed_command([packed], check_health=False)
            sent = True
            for _ in batch:
                try:
                    answers.append(connection.read_response())
                except redis.exceptions.ResponseError as error:
                    if errors.meaning(error, sentinel=hosts.is_sentinel).leave:
                        self.close()
                        raise translated(hosts, error, sent=bool(answers)) from error
                    answers.append(error)
            self._used_at = time.monotonic()
            return answers
        except BrokerError:
            raise
        except LOST as error:
            self.close()
            raise translated(hosts, error, sent=sent) from error
        except BaseException:
            # Interrupted between command and reply: no later command may get that reply.
            self.close()
            raise

    def _connect(self) -> None:
        hosts = self._hosts
        try:
            connection = hosts.connection()
            try:
                connection.connect()
                self._probe = idle.probe(connection)
            except BaseException:
                connection.disconnect()
                raise
            finally:
                hosts.settle()
        except (*LOST, redis.exceptions.RedisError) as error:
            raise translated(hosts, error, sent=False) from error
        self._connection = connection
        try:
            greeted = self._greet()
            if greeted.run:
                operation = History(greeted.run)
                answers = self._raw([commands.render(self._base, operation)])
                result(hosts, answers[0], operation)
            self._client, hosts.run = greeted
        except BrokerUnavailable as error:
            self.close()
            error.sent = False  # Nothing of what is to be asked.
            raise
        except BaseException:
            self.close()
            raise

    def _greet(self) -> greeting.Greeted:
        try:
            return greeting.check(
                self._raw(greeting.questions(self._base)), self._base, self._hosts.describe()
            )
        except redis.exceptions.RedisError as error:
            raise translated(self._hosts, error, sent=False) from error

    def _pop(self, op: Pop) -> tuple[str, bytes] | None:
        steps = commands.pop(self._base, op, time.monotonic)
        batch, popped = advance(steps, None)
        while batch:
            reply = result(self._hosts, self._exchange(batch)[-1], op)
            batch, popped = advance(steps, reply)
        return popped

    def _flush(self) -> None:
        cursor: Any = 0
        pattern = escape(self._base) + "*"
        while True:
            (reply,) = self._exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
            cursor, keys = result(self._hosts, reply, None)
            if keys:
                self._exchange([("UNLINK", *keys)])
            if int(cursor) == 0:
                return


def advance(
    steps: commands.PopSteps, reply: object
) -> tuple[list[commands.Command], tuple[str, bytes] | None]:
    """The next batch of a Pop after ``reply`` (None: the first); when it is empty, what the Pop
    came to: channel and payload, or None."""
    try:
        return steps.send(reply), None
    except StopIteration as end:
        return [], None if end.value is None else replies.parse_entry(end.value)[-2:]


def result(hosts: Hosts, reply: object, operation: object, *, sent: bool = False) -> Any:
    """``reply``, or the error it is, raised. ``sent``: what was asked before it was applied."""
    if isinstance(reply, Exception):
        if isinstance(operation, Connected):
            return None
        raise translated(hosts, reply, sent=sent) from reply
    return reply


def translated(hosts: Hosts, error: BaseException, *, sent: bool) -> BrokerError:
    hosts.passwords.scrub(error)
    return errors.translate(error, hosts.describe(), sent=sent, sentinel=hosts.is_sentinel)


def escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in text)
