"""How a layer reaches its engine: links for threads, one end for each event loop."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from djchan.layers.base import BaseChannelLayer
from djchan.layers.calls import IDLE_LINKS, IDLE_RECEIVERS, IDLE_SECONDS
from djchan.layers.channels4 import Channels4Layer
from djchan.layers.redis import RedisChannelLayer
from tests.support.servers import Server
from tests.support.waiting import wait_for


class TestLinks:
    def test_threads_do_not_share_a_connection(self, layer: BaseChannelLayer):
        def send(number: int) -> None:
            for _ in range(20):
                layer.send(f"c{number}", {"n": number})

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        for number in range(8):
            for _ in range(20):
                assert layer.receive([f"c{number}"]) == (f"c{number}", {"n": number})
        assert len(layer._links) <= 8

    def test_idle_ones_are_kept_in_bounds(self, layer: BaseChannelLayer):
        borrowed = [layer._link() for _ in range(40)]
        for link in borrowed:
            link.__enter__()
        for link in borrowed:
            link.__exit__()

        assert len(layer._links) == IDLE_LINKS

    def test_those_that_were_idle_for_long_are_closed(
        self, layer: BaseChannelLayer, monkeypatch: pytest.MonkeyPatch
    ):
        layer.close()
        borrowed = [layer._link() for _ in range(3)]
        _, second, third = [each.__enter__() for each in borrowed]
        clock = iter((100.0, 100.0 + IDLE_SECONDS, 101.0 + IDLE_SECONDS))
        with monkeypatch.context() as patched:
            patched.setattr("djchan.layers.calls.time.monotonic", lambda: next(clock))
            for link in borrowed:
                link.__exit__()

        assert [link for _, link in layer._links] == [second, third]

    def test_a_child_does_not_use_its_parents_connections(self, layer: BaseChannelLayer):
        layer.send("a", {"n": 1})
        ((_, parents),) = layer._links
        with layer._links_lock:  # Another thread holds it, which the child does not have.
            layer.give_back()  # What a forked child calls first.
            layer.send("a", {"n": 2})
        assert parents not in [link for _, link in layer._links]

        parents.close()

    @pytest.mark.asyncio
    async def test_a_loop_has_one_end(self, layer: BaseChannelLayer):
        local = layer.local()

        assert layer.local() is local
        assert await asyncio.to_thread(asyncio.run, self.local_of(layer)) is not local

    async def local_of(self, layer: BaseChannelLayer) -> object:
        return layer.local()


def clients(server: Server) -> int:
    """Connections that the server has, but for the one that asks."""
    return server.command("CLIENT", "LIST", "TYPE", "normal").count(b" addr=") - 1


class TestConnectionsOfEventLoops:
    """asyncio.run, async_to_sync and async views under WSGI make a loop for a single call."""

    async def send(self, layer: BaseChannelLayer) -> None:
        await layer.asend("a", {})

    async def receive(self, layer: BaseChannelLayer) -> None:
        await asyncio.gather(*(layer.areceive([f"c{number}"]) for number in range(20)))
        waiting = asyncio.ensure_future(layer.areceive(["nothing"], block=True))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async def channels4(self, layer: BaseChannelLayer) -> None:
        face = Channels4Layer(layer)
        name = await face.new_channel()
        await face.send(name, {"type": "x"})
        await face.receive(name)
        await face.send("plain", {"type": "x"})
        await face.receive("plain")

    @pytest.mark.parametrize("use", ["send", "receive", "channels4"])
    @pytest.mark.parametrize("run", [asyncio.run, lambda made: async_to_sync(awaited)(made)])
    def test_are_closed_with_it(self, own_broker: Server, use: str, run: Any):
        layer = RedisChannelLayer([own_broker.url])

        for _ in range(5):
            run(getattr(self, use)(layer))

        layer.close()
        wait_for(lambda: clients(own_broker) == 0, timeout=5, what="all connections are closed")
        assert len(layer._loops) == 0

    def test_of_a_loop_that_did_not_shut_down_are_forgotten_when_the_next_one_comes(
        self, own_broker: Server
    ):
        layer = RedisChannelLayer([own_broker.url])
        for _ in range(5):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(layer.asend("a", {}))
            ours = layer._loops._things[loop]
            loop.run_until_complete(ours.aclose())  # So that no garbage warns of it.
            loop.close()
            assert len(layer._loops) == 1

        asyncio.run(layer.asend("a", {}))

        assert len(layer._loops) == 0

    @pytest.mark.asyncio
    async def test_that_receive_are_bounded(self, own_broker: Server):
        layer = RedisChannelLayer([own_broker.url])

        await asyncio.gather(*(layer.areceive([f"c{number}"]) for number in range(30)))

        ours = layer._loops.peek()
        assert ours is not None and len(ours.waiting) == IDLE_RECEIVERS
        await layer.aclose()
        assert layer._loops.peek() is None

    @pytest.mark.asyncio
    async def test_can_be_closed_and_opened_again(self, own_broker: Server):
        layer = RedisChannelLayer([own_broker.url])
        for number in range(3):
            await layer.asend("a", {})
            assert clients(own_broker) == 1, number
            await layer.aclose()


async def awaited(made: Any) -> Any:
    return await made
