"""Run one message: find its consumer, call it, settle what became of it.

From ``djchan.lanes`` (or the test client), which made the message; on to the router, the
project's consumer, and back with an Outcome and the words that are to be committed.

::

    find ──► no route ─────────────────────────────────────► UNROUTED
      │
      ▼
    foreign Origin or Host (security.admission) ───────────► DENIED
      │
      ▼
    consumer ──► returned ─────────────────────────────────► DONE
                 raised DenyConnection, likewise ──────────► DENIED
                 raised ChannelSocketException: its run() ─► INTERRUPTED
                 raised ConsumeLater ──────────────────────► LATER, or EXHAUSTED
                 had no answer of the layer, or a refusal ─► WAITING
                 raised anything else, or run() did ───────► FAILED (logged)
      │
      ▼
    another layer does not take what was sent to it ───────► WAITING; in the end, UNSENT

As in Channels 1.x, what a consumer had sent before it raised is kept; not so for LATER and
WAITING, where another run will send it. Nothing that a consumer raises gets out of here, but for
the cancellation of an async one, which comes from the loop and not from the consumer.
"""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from asgiref.sync import _restore_context, async_to_sync, iscoroutinefunction, sync_to_async

from djchan import forks
from djchan.contexts import fresh, fresh_for_task, within
from djchan.handler import ViewConsumer
from djchan.hidden import hidden_keys
from djchan.layers.effects import Words
from djchan.layers.operations import Address
from djchan.legible import TEXT, masked
from djchan.log import escaping, name_of
from djchan.message import Message
from djchan.outbox import Outbox, Uncommitted, adopted, current, opened
from djchan.outcomes import (
    RAISED,
    RUNS_AGAIN,
    Outcome,
    layer_of,
    refuse,
    settle,
    settle_unsent,
)
from djchan.security.admission import refusal
from djchan.signals import consumer_finished, consumer_started
from djchan.throttling import BURST, throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))

MESSAGE_RETRIES = 10  # Runs after the first that ConsumeLater can have.

_OF_CLIENTS = ("http.", "websocket.")  # Channels whose messages clients cause.


class Found(NamedTuple):
    """The consumer of a message, with the arguments its route found."""

    consumer: Callable[..., Any]
    kwargs: dict[str, Any]
    is_async: bool


class Run(NamedTuple):
    """The outcome of a message, its pending sends, and the consumer with what it returned."""

    outcome: Outcome
    words: list[Words]
    value: Any = None
    consumer: Callable[..., Any] | None = None


class Suspended(NamedTuple):
    """A synchronous consumer has returned this, to be awaited in the context of its message."""

    awaitable: Awaitable[Any]
    context: contextvars.Context


Fence = tuple[str, int] | None


def dispatch(
    message: Message,
    *,
    router: object,
    sender: object,
    fence: Fence = None,
    response: Address | None = None,
    uncommitted: Uncommitted | None = None,
    retries: int = MESSAGE_RETRIES,
) -> Run:
    """Find the consumer of ``message`` and run it. An async one is run to its end.

    ``sender``: of the consumer signals. ``fence``: the (worker, token) of its delivery.
    ``response``: where the response goes, if it is an HTTP request. ``uncommitted``: what
    earlier messages of its delivery keep, and this one may add to.
    """
    found = find(message, router)
    if isinstance(found, Outcome):
        return Run(found, [])
    return run(
        message,
        found,
        sender=sender,
        fence=fence,
        response=response,
        uncommitted=uncommitted,
        retries=retries,
    )


async def adispatch(
    message: Message,
    *,
    router: object,
    sender: object,
    fence: Fence = None,
    response: Address | None = None,
    uncommitted: Uncommitted | None = None,
    retries: int = MESSAGE_RETRIES,
) -> Run:
    """``dispatch`` for an event loop."""
    found = find(message, router)
    if isinstance(found, Outcome):
        return Run(found, [])
    return await arun(
        message,
        found,
        sender=sender,
        fence=fence,
        response=response,
        uncommitted=uncommitted,
        retries=retries,
    )


def find(message: Message, router: Any) -> Found | Outcome:
    """The consumer of ``message``, or the outcome UNROUTED or FAILED (both logged)."""
    try:
        match = router.match(message)
        if match is not None:
            consumer, kwargs = match
            if isinstance(consumer, ViewConsumer):
                consumer = consumer.on_loop(message) or consumer
            return Found(consumer, kwargs, is_async(consumer))
    except RAISED:
        # A route of the project's own.
        logger.exception("The routing failed for %s.", message)
        return Outcome.FAILED
    channel = message.channel.name
    # If routes exist and none matches, a client has asked for an unknown path.
    is_routed = channel.startswith(_OF_CLIENTS) and channel in router.channels
    throttled(
        logger,
        logging.INFO if is_routed else logging.ERROR,
        f"no consumer on {channel}",
        "No consumer for %s: no route matches%s.",
        message,
        _looked_at(message, router),
        burst=BURST,
    )
    return Outcome.UNROUTED


def _looked_at(message: Message, router: Any) -> str:
    """The values that the routes of its channel compared, for the log; clients choose them."""
    names = dict.fromkeys(["path", *router.filters(message.channel.name)])
    content = message.content
    # Cut first: a client may have sent megabytes, and 80 characters of it are shown.
    shown = masked({name: _cut(content[name]) for name in names if name in content}, hidden_keys())
    values = [f"{name}={shown[name]!r:.80}" for name in shown]
    return f" ({', '.join(values)})" if values else ""


def _cut(given: object) -> object:
    return given[:TEXT] if isinstance(given, str | bytes) else given


def is_async(consumer: Callable[..., object]) -> bool:
    """Whether calling it gives something to await."""
    if iscoroutinefunction(consumer):
        return True
    if isinstance(consumer, FunctionType | MethodType | type):
        return False
    return iscoroutinefunction(type(consumer).__call__)


def run(
    message: Message,
    found: Found,
    *,
    sender: object,
    fence: Fence = None,
    response: Address | None = None,
    uncommitted: Uncommitted | None = None,
    retries: int = MESSAGE_RETRIES,
    may_suspend: bool = False,
) -> Run:
    """Run the consumer that was found, in this thread and in a context of its own.

    ``may_suspend``: what a consumer returns to be awaited is not awaited here; it is the value of
    the answer, Suspended, and the caller lets ``rest_of`` it run on an event loop.
    """
    return fresh(message.channel.name, message.content).run(
        _run, message, found, sender, fence, response, uncommitted, retries, may_suspend
    )


def rest_of(found: Found, ran: Run) -> Found:
    """The rest of a suspended run, as an async consumer."""
    suspended: Suspended = ran.value

    async def rest(message: Message) -> object:
        outbox = current()
        assert outbox is not None
        outbox.words[:0] = ran.words
        return await within(suspended.context, adopted(outbox, _rehomed(suspended.awaitable)))

    rest.__module__, _, rest.__qualname__ = name_that_thing(found.consumer).rpartition(".")
    return Found(rest, {}, True)


def _run(
    message: Message,
    found: Found,
    sender: object,
    fence: Fence,
    response: Address | None,
    uncommitted: Uncommitted | None,
    retries: int,
    may_suspend: bool,
) -> Run:
    value = None
    layer = layer_of(message)
    with opened(layer, fence=fence, response=response, uncommitted=uncommitted) as outbox:
        refused = refusal(message, found.consumer)
        if refused is not None:
            outcome = refuse(message, refused)
        else:
            before = forks.seen
            try:
                consumer_started.send(sender=sender, environ={}, message=message)
                value = found.consumer(message, **found.kwargs)
                if value is not None and inspect.isawaitable(value):
                    # An asynchronous stream, or async behind a decorator that does not show it.
                    if may_suspend:
                        value = Suspended(value, contextvars.copy_context())
                    else:
                        value = async_to_sync(_finish)(value, message, found.consumer)
                outcome = Outcome.DONE
            except (*RAISED, asyncio.CancelledError) as error:
                outcome = settle(message, found.consumer, error, retries)
            finally:
                if forks.seen != before:
                    _end_child(message, found.consumer)
            try:
                consumer_finished.send(sender=sender, message=message)
            except RAISED:
                logger.exception("A receiver of consumer_finished failed for %s.", message)
        if outcome in RUNS_AGAIN:
            outbox.clear(sessions=outcome is Outcome.WAITING)
        elif outbox.others:
            outcome = _send_others(outbox, message, found.consumer, outcome, retries)
    return Run(outcome, outbox.words, value, found.consumer)


async def arun(
    message: Message,
    found: Found,
    *,
    sender: object,
    fence: Fence = None,
    response: Address | None = None,
    uncommitted: Uncommitted | None = None,
    retries: int = MESSAGE_RETRIES,
    ends: Callable[[], bool] | None = None,
) -> Run:
    """Run the consumer that was found, on this event loop; a synchronous one in a thread.

    In a context of its own, within the task that awaits this. ``ends``: whether a cancellation of
    that task is the caller's, and ends this; None: each one is. Any other has come from the
    project, and is a failure of the consumer.
    """
    context = fresh_for_task(message.channel.name, message.content)
    return await within(
        context, _arun(message, found, sender, fence, response, uncommitted, retries, ends)
    )


async def _arun(
    message: Message,
    found: Found,
    sender: object,
    fence: Fence,
    response: Address | None,
    uncommitted: Uncommitted | None,
    retries: int,
    ends: Callable[[], bool] | None,
) -> Run:
    value = canceled = None
    outcome = Outcome.FAILED  # Until it is settled.
    layer = layer_of(message)
    with opened(layer, fence=fence, response=response, uncommitted=uncommitted) as outbox:
        refused = refusal(message, found.consumer)
        if refused is not None:
            outcome = refuse(message, refused)
        else:
            call = found.consumer if found.is_async else sync_to_async(_in_thread(found))
            before = forks.seen
            try:
                await consumer_started.asend(sender=sender, environ={}, message=message)
                value = await call(message, **found.kwargs)
                if value is not None and inspect.isawaitable(value):
                    value = await value
                outcome = Outcome.DONE
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling() and (ends is None or ends()):
                    canceled = error
                else:
                    forget_cancellations()
                    outcome = settle(message, found.consumer, error, retries)
            except RAISED as error:
                outcome = settle(message, found.consumer, error, retries)
            finally:
                if forks.seen != before:
                    _end_child(message, found.consumer)
            try:
                await consumer_finished.asend(sender=sender, message=message)
            except RAISED:
                logger.exception("A receiver of consumer_finished failed for %s.", message)
            if canceled is not None:
                raise canceled
        if outcome in RUNS_AGAIN:
            outbox.clear(sessions=outcome is Outcome.WAITING)
        elif outbox.others:
            outcome = await _asend_others(outbox, message, found.consumer, outcome, retries)
    return Run(outcome, outbox.words, value, found.consumer)


def forget_cancellations() -> None:
    """Let the running task go on, although the project has canceled it: it is ours."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


async def _rehomed(awaitable: Awaitable[object]) -> object:
    # asgiref hides its Locals (the language …) from threads that it did not move them to itself.
    _restore_context(contextvars.copy_context())
    return await awaitable


def _in_thread(found: Found) -> Callable[..., object]:
    """The consumer for a thread of its own, where a forked child would hang."""

    def consumer(message: Message, **kwargs: object) -> object:
        before = forks.seen
        try:
            return found.consumer(message, **kwargs)
        finally:
            if forks.seen != before:
                _end_child(message, found.consumer)

    return consumer


def _end_child(message: Message, consumer: Callable[..., object]) -> None:
    forks.end_child(name_of(consumer), message)


def _send_others(
    outbox: Outbox,
    message: Message,
    consumer: Callable[..., Any],
    outcome: Outcome,
    retries: int,
) -> Outcome:
    """Send what other layers are to get; ``outcome``, or what a failure makes of it."""
    try:
        outbox.send_others()
    except Exception as error:
        return settle_unsent(outbox, message, consumer, error, retries)
    return outcome


async def _asend_others(
    outbox: Outbox,
    message: Message,
    consumer: Callable[..., Any],
    outcome: Outcome,
    retries: int,
) -> Outcome:
    """``_send_others`` for an event loop."""
    try:
        await outbox.asend_others()
    except Exception as error:
        return settle_unsent(outbox, message, consumer, error, retries)
    return outcome


async def _finish(
    value: Awaitable[Any], message: Message, consumer: Callable[..., object]
) -> object:
    before = forks.seen
    try:
        return await value
    finally:
        if forks.seen != before:
            _end_child(message, consumer)
