"""Tasks of djchan's own, on an event loop that runs the project's code too."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")


def hidden(coroutine: Coroutine[object, object, Result]) -> asyncio.Task[Result]:
    """Run ``coroutine`` as a task that is hidden. The caller keeps a reference to it."""
    task = asyncio.get_running_loop().create_task(coroutine)
    hide(task)
    return task


def hide(task: asyncio.Task[Result]) -> None:
    """Let ``asyncio.all_tasks()`` not return ``task``.

    A consumer that cancels all other tasks of its loop means those that it has begun: it does not
    know that other messages run there, and what commits them.
    """
    asyncio.tasks._unregister_task(task)
