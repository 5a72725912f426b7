"""The clock's page, and its socket: ``websocket("ws/clock/", clock)`` in ``realtime/urls.py``.

For a stream that nobody would want to get late: it never crosses a queue. What it costs: it
ends with the server, and code that blocks here would stop every socket of the process.
"""

import asyncio
import os
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from djchan.exceptions import InvalidJSON, UnexpectedFrame
from djchan.urls import Socket

SLOWEST, FASTEST = 5.0, 0.1  # seconds between two ticks


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "clock/page.html", {"fastest": FASTEST, "slowest": SLOWEST})


async def clock(socket: Socket) -> None:
    """Tell the time; how often, the client says at any time: ``{"every": 0.5}``."""
    await socket.accept()
    socket.state.every = 1.0
    # When the client leaves, both end.
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen(socket))
        tasks.create_task(tick(socket))


async def tick(socket: Socket) -> None:
    while True:
        await socket.send_json({"now": timezone.now(), "process": os.getpid()})
        await asyncio.sleep(socket.state.every)


async def listen(socket: Socket) -> None:
    while True:
        try:
            socket.state.every = seconds(await socket.receive_json())
        except (InvalidJSON, UnexpectedFrame, ValueError):
            await socket.send_json(
                {"refused": f'Send {{"every": seconds}}, from {FASTEST} to {SLOWEST}.'}
            )


def seconds(wish: Any) -> float:
    """The seconds between two ticks that a client wishes; ValueError for any other wish."""
    every = wish.get("every") if isinstance(wish, dict) else None
    if isinstance(every, bool) or not isinstance(every, int | float):
        raise ValueError("no number")
    if not FASTEST <= every <= SLOWEST:
        raise ValueError("out of range")
    return float(every)
