"""Database connections between two messages: stale and changed ones are closed.

``djchan.signals`` calls these before and after each consumer. A worker lives for weeks between
two messages, so connections that the database may have closed meanwhile are closed, as Django
does around each request. What a consumer changed on one (an open transaction, autocommit,
``SET``) would be in force for the next message as well: it is undone, or the connection closed.

::

    started ──► close what is stale ──► the consumer ──► roll back what it left open
                                                     ──► close what it changed, or is stale
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

# Types of Django's wrappers around the execution of statements.
Context = dict[str, Any]
Execute = Callable[[str, Any, bool, Context], Any]

# Depths of the transactions that were open when the consumer was called, by alias: in a test,
# around it. None: no consumer runs here.
_open_before: ContextVar[dict[str, int] | None] = ContextVar("djchan_transactions", default=None)


class _Connections(threading.local):
    """The connections that were opened in one thread, and those that its consumers changed.

    Django's own list is looked up through asgiref: several microseconds, twice a message.
    """

    def __init__(self) -> None:
        self.opened: list[BaseDatabaseWrapper] = []
        self.changed: set[BaseDatabaseWrapper] = set()


_of_thread = _Connections()

# Statements whose effect outlives the transaction, at PostgreSQL, MySQL, Oracle or SQLite: at the
# start, or behind the semicolon of another one, with comments before them.
_OF_SESSION = (
    r"(?:\s|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*"
    r"(?:SET\b(?!\s+(?:LOCAL|CONSTRAINTS?|TRANSACTION)\b)|RESET\b|BEGIN\b|START\s+TRANSACTION\b"
    r"|PRAGMA\b|LISTEN\b|UNLISTEN\b|PREPARE\b|DEALLOCATE\b|LOCK\s+TABLES\b|FLUSH\b|USE\b"
    r"|ATTACH\b|DETACH\b|ALTER\s+SESSION\b|DECLARE\b[^;]*\bWITH\s+HOLD\b"
    r"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:LOCAL\s+|GLOBAL\s+)?TEMP)"
)
_FIRST = re.compile(_OF_SESSION, re.IGNORECASE | re.DOTALL)
_BEHIND = re.compile(rf";{_OF_SESSION}", re.IGNORECASE | re.DOTALL)
_FUNCTIONS = ("set_config(", "advisory_lock", "get_lock(", "setseed(", "dblink_connect", ":=")


def close_stale_connections(**kwargs: object) -> None:
    """Close this thread's database connections that are past CONN_MAX_AGE, failed, or changed.

    The same decisions as ``django.db.close_old_connections``, without a query to the database:
    this runs twice for each message. Inside an atomic block nothing is closed, so that a
    consumer can run in a TestCase.
    """
    for connection in _of_thread.opened:
        if connection.queries_log:
            connection.queries_log.clear()
        if connection.connection is None or connection.in_atomic_block:
            continue
        connection.health_check_done = False  # type: ignore[attr-defined]
        if connection.errors_occurred and connection.is_usable():
            connection.errors_occurred = False
        if (
            connection.errors_occurred
            or connection.autocommit != connection.settings_dict["AUTOCOMMIT"]
            or (connection.close_at is not None and time.monotonic() >= connection.close_at)
            or connection in _of_thread.changed
        ):
            connection.close()
            _of_thread.changed.discard(connection)


def note_transactions(**kwargs: object) -> None:
    """Remember which transactions are open around the consumer that is about to run."""
    _open_before.set(
        {
            connection.alias: len(connection.atomic_blocks)
            for connection in _of_thread.opened
            if connection.in_atomic_block
        }
    )


def end_transactions(*, message: object = None, **kwargs: object) -> None:
    """Roll back the transactions that a consumer has begun and not ended."""
    before = _open_before.get()
    if before is None:
        return
    _open_before.set(None)
    for connection in _of_thread.opened:
        if connection.in_atomic_block:
            depth = before.get(connection.alias, 0)
            if len(connection.atomic_blocks) > depth:
                _end(connection, depth, message)


def close_connections(*, message: object = None) -> None:
    """Close the connections of this thread, which was made for one message and ends with it.

    Not in a test's transaction: its thread goes on.
    """
    end_transactions(message=message)
    for connection in _of_thread.opened:
        if not connection.in_atomic_block:
            connection.close()


def _end(connection: BaseDatabaseWrapper, depth: int, message: object) -> None:
    logger.error(
        "The consumer of %s left a transaction of the database %r open: it is rolled back. "
        "Use transaction.atomic() in a with statement, or as a decorator.",
        message,
        connection.alias,
    )
    error = RuntimeError("The consumer has ended.")
    while len(connection.atomic_blocks) > depth:
        connection.atomic_blocks[-1].__exit__(RuntimeError, error, None)


def _opened(*, connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    of_thread = _of_thread
    of_thread.changed.discard(connection)
    if connection not in of_thread.opened:
        of_thread.opened.append(connection)
    if _open_before.get() is not None and _watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(_watch)


def _watch(execute: Execute, sql: str, params: object, many: bool, context: Context) -> object:
    if _open_before.get() is not None and _is_of_session(_text_of(sql, context["connection"])):
        _of_thread.changed.add(context["connection"])
    return execute(sql, params, many, context)


def _text_of(sql: object, connection: BaseDatabaseWrapper) -> str:
    # psycopg's Composable is no text: str() of one is how it was made.
    compose = getattr(sql, "as_string", None)
    return str(sql) if compose is None else str(compose(connection.connection))


def _is_of_session(text: str) -> bool:
    if _FIRST.match(text) or (";" in text and _BEHIND.search(text)):
        return True
    lower = text.lower()
    return any(name in lower for name in _FUNCTIONS)


# The parent process's own connections: freeing them here would end them there.
_of_parent: list[Any] = []


def _forked() -> None:
    """In a child that a consumer forked: its next query opens a connection of its own."""
    if _open_before.get() is None:
        return
    for connection in _of_thread.opened:
        in_memory = getattr(connection, "is_in_memory_db", None)
        if connection.connection is not None and not (in_memory and in_memory()):
            _of_parent.append(connection.connection)
            connection.connection = None


connection_created.connect(_opened)
os.register_at_fork(after_in_child=_forked)
