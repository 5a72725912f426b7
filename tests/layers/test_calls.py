"""How a layer reaches its engine: links for threads, one end for each event loop."""

import asyncio
import threading

import pytest

from djchan.layers.base import BaseChannelLayer


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

        assert len(layer._links) == 32

    def test_a_child_does_not_use_its_parents_connections(
        self, layer: BaseChannelLayer, monkeypatch: pytest.MonkeyPatch
    ):
        layer.send("a", {"n": 1})
        (parents,) = layer._links
        with monkeypatch.context() as patched:
            patched.setattr("djchan.layers.calls.os.getpid", lambda: -1)
            layer.send("a", {"n": 2})
            assert parents not in layer._links

        parents.close()

    @pytest.mark.asyncio
    async def test_a_loop_has_one_end(self, layer: BaseChannelLayer):
        local = layer.local()

        assert layer.local() is local
        assert await asyncio.to_thread(asyncio.run, self.local_of(layer)) is not local

    async def local_of(self, layer: BaseChannelLayer) -> object:
        return layer.local()
