import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lanes.site import Flaky, Inbox, RedisSite, Site, running
from tests.support.servers import Server


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """In memory; where a test asks for it, over a Redis too."""
    if getattr(request, "param", "memory") == "memory":
        yield from running()
        return
    server: Server = request.getfixturevalue("redis_server")
    server.start()
    site = RedisSite(server)
    yield from running(site)
    site.close()


@pytest.fixture
def inbox(site: Site) -> Inbox:
    return Inbox(site)


@pytest.fixture
def flaky(site: Site) -> Iterator[Any]:
    site.layer.engine = Flaky(site.layer.engine)  # type: ignore[assignment]
    yield site.layer.engine
    site.layer.engine.down = False


@pytest.fixture(params=["thread", "loop"])
def on(request: pytest.FixtureRequest) -> Any:
    """Makes a consumer run on a lane's thread, or on the event loop's."""

    def wrap(consumer: Any) -> Any:
        if request.param == "thread":
            return consumer

        async def aconsumer(message: Any) -> None:
            await asyncio.to_thread(consumer, message)

        return aconsumer

    return wrap
