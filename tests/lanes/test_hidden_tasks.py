"""Consumers that cancel every task of their event loop, as ``asyncio.all_tasks()`` allows."""

import asyncio
from typing import Any

from djchan import route
from tests.lanes.site import PATIENCE, Site


def test_a_consumer_that_cancels_all_tasks_cancels_its_own_alone(site: Site) -> None:
    """The runs of other messages go on, and are committed."""

    async def hold(message: Any) -> None:
        site.ran.append("held")
        async with asyncio.timeout(PATIENCE):
            while not site.gate.is_set():
                await asyncio.sleep(0.01)
        site.ran.append("released")

    async def cancel(message: Any) -> None:
        child = asyncio.create_task(asyncio.sleep(PATIENCE))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.wait([child])
        site.ran.append(child.cancelled())
        site.gate.set()

    worker = site.worker(route("hold", hold), route("cancel", cancel), route("note", site.anote))
    site.numbers("hold", 1)
    site.wait(1)
    site.numbers("cancel", 1)
    site.wait(3)
    site.numbers("note", 3)
    assert site.wait(6) == ["held", True, "released", 0, 1, 2]
    site.stop(worker)
    assert [site.length(name) for name in ("hold", "cancel", "note")] == [0, 0, 0]
