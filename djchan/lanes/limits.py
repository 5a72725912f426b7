"""How long a consumer may run, and what is said of one that ran for longer.

From ``lanes.monitor`` (threads) and ``lanes.loop`` (tasks), which look; on to the log. A
consumer of a socket's or a request's message has somebody waiting for it, so it has a limit;
one of a custom channel has none.
"""

import asyncio
import logging
import sys
import traceback
from types import FrameType
from typing import Any

from djchan.delivery import Work
from djchan.dispatch import Found
from djchan.lanes.options import WorkerOptions
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.operations import GiveUp
from djchan.log import Lines, Seconds, escaping, fields_of, name_of
from djchan.message import Message
from djchan.outcomes import Outcome

logger = escaping(logging.getLogger(__name__))

# A look that comes so much later than it should (seconds): this process stood still.
STANDSTILL = 1.0

REASON = "stuck"

Frame = tuple[Message, Found | Outcome]


def limit_of(channel: str, options: WorkerOptions) -> float:
    """Seconds that one message of ``channel`` may run; 0: as long as it likes."""
    if channel.startswith("websocket."):
        return options.run_limit
    if channel.startswith("http."):
        return options.http_run_limit
    return 0.0


def got_on(work: Work, layer: BaseChannelLayer) -> float:
    """When the response that this delivery sends in parts got on (monotonic); 0: it sends none.

    A consumer that waits for its client is not stuck: the interface decides how long that is.
    """
    return 0.0 if work.response is None else layer.flow.moved_at(work.response)


def stack_of(thread: int | None) -> str:
    """Where the thread with this identifier is, as in a traceback."""
    frame = None if thread is None else sys._current_frames().get(thread)
    return "(it has ended)" if frame is None else "".join(traceback.format_stack(frame))


def task_stack(task: asyncio.Task[Any]) -> str:
    """Where a task waits, as in a traceback: Task.get_stack() has its outermost frame only."""
    frames: list[tuple[FrameType, int]] = []
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return "".join(traceback.StackSummary.extract(frames).format())


def describe(frame: Frame | None) -> str:
    """A consumer and its message, by their names."""
    if frame is None:
        return "A consumer"
    message, found = frame
    name = name_of(found.consumer) if isinstance(found, Found) else "A consumer"
    return f"{name}, for {message},"


def give_up(work: Work, worker: str) -> GiveUp:
    """The end of a delivery that was stuck."""
    return work.give_up(worker, REASON, status=codec.STUCK)


def say_blocked(frame: Frame | None, *, seconds: float, limit: float, stack: str) -> None:
    """The log line for a consumer that blocks the event loop."""
    logger.error(
        "%s has blocked the event loop of the async consumers for %.1f s, longer than run_limit "
        "(%g s): the loop is left to itself%s, the other messages there go back to their "
        "channels.%s It is here:\n%s",
        describe(frame),
        Seconds(seconds),
        limit,
        "" if frame is None else f", this message is kept as a dead letter ({REASON})",
        "" if frame is None else _order_of_frames(frame[0].channel.name),
        Lines(stack),
        extra=_fields(frame),
    )


def say_stuck(
    frame: Frame | None, work: Work, *, seconds: float, limit: float, stack: str, left: str
) -> None:
    """The log line; ``left``: what becomes of its thread or task."""
    setting = "http_run_limit" if work.channel.startswith("http.") else "run_limit"
    logger.error(
        "%s has run for %.1f s, longer than %s (%g s): %s, its message is kept as a dead letter "
        "(%s), and its client is told. Slow work belongs on a channel of its own.%s It is "
        "here:\n%s",
        describe(frame),
        Seconds(seconds),
        setting,
        limit,
        left,
        REASON,
        _order_of_frames(work.channel, work.behind),
        Lines(stack),
        extra=_fields(frame),
    )


def _order_of_frames(channel: str, behind: int = 0) -> str:
    """The remedy for a consumer of a socket that waits for what its client sends next."""
    if not channel.startswith("websocket."):
        return ""
    waiting = f" ({behind} waited here)" if behind else ""
    return (
        " If it waits for a later frame of its own socket, that is why: the frames of a socket run "
        f"one after the other, so that a later one{waiting} does not run before this consumer has "
        "returned; nor is what it sends sent before. Keep what it knows in message.channel_session "
        "and return; the consumer of the later frame goes on from there."
    )


def _fields(frame: Frame | None) -> dict[str, object]:
    if frame is None:
        return {}
    message, found = frame
    return fields_of(message, name_of(found.consumer) if isinstance(found, Found) else None)
