"""Consumers that fork, in all the ways that Python has."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async

from app.consumers import mark
from djchan import Channel, Group
from djchan.message import Message
from djchan.routing import route

FORK = multiprocessing.get_context("fork")


def send(tag: str) -> None:
    Channel("arrived").send({"tag": tag})


def send_to_group(tag: str) -> None:
    Group("members").send({"tag": tag})


def send_async(tag: str) -> None:
    async def main() -> None:
        await sync_to_async(os.getpid)()
        await Channel("arrived").asend({"tag": tag})

    asyncio.run(main())


def process(child: Callable[[str], None], tag: str) -> None:
    started = FORK.Process(target=child, args=(tag,))
    started.start()
    started.join()


def bare(child: Callable[[str], None], tag: str) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            child(tag)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def pool(child: Callable[[str], None], tag: str) -> None:
    with FORK.Pool(2) as workers:
        workers.map(child, [tag])


WAYS = {each.__name__: each for each in (process, bare, pool)}
CHILDREN = {each.__name__: each for each in (send, send_to_group, send_async)}


def fork(message: Message) -> None:
    # Nothing of this waits in the child for a commit that never comes, or is sent twice.
    Channel("arrived").send({"tag": "of the consumer"})
    Group("members").add("arrived")
    for name, way in WAYS.items():
        way(CHILDREN[message["child"]], name)


async def afork(message: Message) -> None:
    fork(message)


def terminate(message: Message) -> None:
    started = FORK.Process(target=time.sleep, args=(30,))
    started.start()
    started.terminate()
    started.join(10)
    mark(f"exit {started.exitcode}")


def linger(message: Message) -> None:
    """Leave a child behind that outlives this worker."""
    if message.redelivered:
        mark("again")
        return
    if os.fork() == 0:
        time.sleep(14)
        os._exit(0)
    mark("forked")
    time.sleep(30)


KEPT: list[object] = []


def leave_running(message: Message) -> None:
    """Return, and leave work behind that outlasts ``grace``."""
    child = FORK.Process(target=time.sleep, args=(60,))
    child.start()
    pool = ProcessPoolExecutor(1, mp_context=FORK)
    KEPT.extend([child, pool, pool.submit(time.sleep, 60), pool.submit(time.sleep, 60)])
    mark(f"left {child.pid} {' '.join(str(pid) for pid in pool._processes)}")


async def aleave_running(message: Message) -> None:
    KEPT.append(asyncio.get_running_loop().run_in_executor(None, time.sleep, 60))
    mark("left")


def arrived(message: Message) -> None:
    mark(message["tag"])


def member(message: Message) -> Any:
    Group("members").add("arrived")
    mark("member")


routing = [
    route("fork", fork),
    route("afork", afork),
    route("terminate", terminate),
    route("linger", linger),
    route("member", member),
    route("arrived", arrived),
    route("leave_running", leave_running),
    route("aleave_running", aleave_running),
]
