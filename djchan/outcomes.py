"""What becomes of a message whose consumer has raised, or whose sends were not taken.

``dispatch`` runs the consumer and asks here::

    raised DenyConnection for a websocket.connect ──► DENIED
           ChannelSocketException: its run() ───────► INTERRUPTED
           ConsumeLater ────────────────────────────► LATER, or EXHAUSTED
           no answer of the layer, or a refusal ────► WAITING
           anything else, or run() did ─────────────► FAILED (logged)
    another layer does not take what was sent to it ► WAITING; in the end, UNSENT
"""

import enum
import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation

from djchan.delivery import HTTP as REQUEST
from djchan.delivery import SAFE_METHODS, WAITS
from djchan.exceptions import (
    BrokerRefused,
    BrokerUnavailable,
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    DjchanError,
    InvalidFrame,
    ProcessGone,
    SessionUnavailable,
)
from djchan.log import escaping, name_of
from djchan.message import Message
from djchan.outbox import Outbox
from djchan.throttling import BURST, throttled
from djchan.utils import name_that_thing

logger = escaping(logging.getLogger(__name__))

CONNECT = "websocket.connect"
UNSENT_RUNS = 300  # Runs, a second apart, that wait for another layer's answer.

# What a consumer may raise. A KeyboardInterrupt is for the process itself.
RAISED = (Exception, SystemExit)


class Outcome(enum.Enum):
    DONE = "done"
    UNROUTED = "unrouted"  # No route matched; the message is dropped.
    DENIED = "denied"  # The WebSocket was refused.
    INTERRUPTED = "interrupted"  # A ChannelSocketException acted on the socket.
    LATER = "later"  # The consumer asked to see it again.
    WAITING = "waiting"  # The layer refused, or had no answer: it runs again until it has.
    UNSENT = "unsent"  # Another layer did not take what it sent; it becomes a dead letter.
    EXHAUSTED = "exhausted"  # It asked too often; the message is dropped.
    FAILED = "failed"  # The consumer raised; logged, and dropped.


# The message is put off.
RUNS_AGAIN = frozenset({Outcome.LATER, Outcome.WAITING})


def settle(
    message: Message, consumer: Callable[..., object], error: BaseException, retries: int
) -> Outcome:
    """The outcome of a message whose consumer raised ``error``: every rule is here."""
    name = name_of(consumer)
    if isinstance(error, ConsumeLater):
        if retries_of(message.content) < retries:
            return Outcome.LATER
        throttled(
            logger,
            logging.ERROR,
            f"exhausted {name}",
            "%s raised ConsumeLater for %s %d times (message_retries): the message is dropped.",
            name,
            message,
            retries + 1,
            burst=BURST,
        )
        return Outcome.EXHAUSTED
    if isinstance(error, BrokerUnavailable | BrokerRefused) and _may_run_again(message, error):
        throttled(
            logger,
            logging.WARNING,
            f"waits {name}",
            "%s has to wait for the channel layer. %s runs again until the layer takes what it "
            "does: %s",
            name,
            message,
            error,
            burst=BURST,
        )
        return Outcome.WAITING
    if isinstance(error, DenyConnection):
        if message.channel.name == CONNECT and message.reply_channel:
            return refuse(message, {"close": True})
        logger.error(
            "%s raised DenyConnection for %s: only a consumer of websocket.connect can refuse "
            "a connection. To close one that is open, raise WebsocketCloseException.",
            name,
            message,
            exc_info=error,
        )
        return Outcome.FAILED
    if isinstance(error, ChannelSocketException):
        try:
            error.run(message)
        except RAISED:
            logger.exception(
                "%s.run() failed for %s, which %s raised.",
                name_that_thing(error),
                message,
                name,
            )
            return Outcome.FAILED
        return Outcome.INTERRUPTED
    if isinstance(error, InvalidFrame):
        throttled(
            logger,
            logging.INFO,
            f"frame of {name}",
            "%s cannot take what a client has sent: %.200s (%s)",
            name,
            error,
            message,
            burst=BURST,
        )
        return Outcome.FAILED
    if isinstance(error, ProcessGone) and message.channel.name == REQUEST:
        throttled(
            logger,
            logging.INFO,
            f"reader of {name}",
            "%s ended before its response: nobody reads that any more, most often because the "
            "client has left (%s).",
            name,
            message,
            burst=BURST,
        )
        return Outcome.FAILED
    throttled(
        logger,
        logging.ERROR,
        f"error in {name}: {_place(error)}",
        "Error in consumer %s, for %s:%s",
        name,
        message,
        _REMEDY if isinstance(error, SynchronousOnlyOperation) else "",
        exc_info=error,
        burst=BURST,
    )
    return Outcome.FAILED


def _may_run_again(message: Message, error: Exception) -> bool:
    """Whether a message whose consumer ended with ``error`` may run a second time."""
    if isinstance(error, SessionUnavailable):
        return True  # It has not begun.
    channel = message.channel.name
    if channel == REQUEST and message.content.get("method") not in SAFE_METHODS:
        return False
    at_most_once = getattr(layer_of(message), "at_most_once", None)
    return at_most_once is None or not at_most_once(channel)


def _place(error: BaseException) -> str:
    """The exception and the line that raised it, which do not depend on the client."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__qualname__} at {place}"


# Added to Django's own error, whose advice is for authors of views.
_REMEDY = (
    " it is async, and has called what is synchronous, such as the ORM. Make it a plain `def` "
    "(it then runs in one of the worker's --threads), or await the ORM's async methods (aget, "
    "acreate, `async for`), or wrap the call: await sync_to_async(function)(…)."
)


def retries_of(content: dict[str, Any]) -> int:
    """How often ConsumeLater was raised for a message with this content."""
    count = content.get("__retries__", 0)
    return count if isinstance(count, int) else 0


def refuse(message: Message, reply: dict[str, Any]) -> Outcome:
    if message.reply_channel:
        try:
            message.reply_channel.send(reply)
        except DjchanError:
            # Not from an interface: a consumer sent it, with an invalid name.
            logger.exception("The refusal of %s cannot be delivered.", message)
            return Outcome.FAILED
    return Outcome.DENIED


def layer_of(message: Message) -> Any:
    """The layer itself, where the message has a wrapper around it."""
    return getattr(message.channel_layer, "channel_layer", message.channel_layer)


def settle_unsent(
    outbox: Outbox,
    message: Message,
    consumer: Callable[..., Any],
    error: Exception,
    retries: int,
) -> Outcome:
    """The outcome when another layer did not take what was sent to it."""
    limit = UNSENT_RUNS if isinstance(error, BrokerUnavailable | BrokerRefused) else retries
    waits = message.content.get(WAITS, 0)
    waited = waits if isinstance(waits, int) else 0
    if _may_run_again(message, error) and not outbox.has_begun and waited < limit:
        outcome, what_follows = Outcome.WAITING, "It runs again in a second."
    elif message.channel.name == REQUEST or waited:
        outcome, what_follows = Outcome.UNSENT, "It is kept as a dead letter (unsent)."
    else:
        outcome, what_follows = Outcome.FAILED, "It is lost: its channel is at-most-once."
    outbox.clear(sessions=True)
    name = name_of(consumer)
    throttled(
        logger,
        logging.WARNING if outcome is Outcome.WAITING else logging.ERROR,
        f"unsent {name} {outcome.value}",
        "Another channel layer does not take what %s sent to it, for %s: %s %s",
        name,
        message,
        error,
        what_follows,
        burst=BURST,
    )
    return outcome
