"""Calls of a layer whose answers get lost: each is repeated under its number, for a while."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from djchan.exceptions import BrokerRefused, BrokerUnavailable, InvalidChannelLayer, OutcomeUnknown
from djchan.layers.base import BaseChannelLayer
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import Operation, Part, Pop, Send
from djchan.layers.repeat import Repeat


class LossyEngine(MemoryEngine):
    """Applies what it is asked, and loses the answers to the first ``lost`` operations."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0
        self.applies = True
        self.asked: list[Operation] = []

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, Pop | Part | Send):
            self.asked.append(operation)
            if self.lost:
                self.lost -= 1
                if self.applies:
                    super().perform(operation)
                raise BrokerUnavailable(sent=self.applies)
        return super().perform(operation)


@pytest.fixture
def engine() -> LossyEngine:
    return LossyEngine()


@pytest.fixture
def layer(engine: LossyEngine) -> Iterator[BaseChannelLayer]:
    layer = BaseChannelLayer(engine=engine, capacity=1000, send_retry=5, stream_retry=5)
    yield layer
    layer.close()


def received(layer: BaseChannelLayer) -> list[int]:
    found = []
    while (got := layer.receive(["x"]))[1] is not None:
        found.append(got[1]["n"])
    return found


class TestThreads:
    def test_a_send_whose_answers_are_lost_arrives_once(
        self, engine: LossyEngine, layer: BaseChannelLayer
    ) -> None:
        for number in range(3):
            engine.lost = number
            layer.send("x", {"n": number})
        assert received(layer) == [0, 1, 2]

    def test_a_receive_whose_answers_are_lost_gets_each_message_once(
        self, engine: LossyEngine, layer: BaseChannelLayer
    ) -> None:
        for number in range(3):
            layer.send("x", {"n": number})
        for number in range(3):
            engine.lost = number
            assert layer.receive(["x"], block=True) == ("x", {"n": number})
        assert received(layer) == []

    def test_a_send_that_did_not_reach_redis_fails_at_once(
        self, engine: LossyEngine, layer: BaseChannelLayer
    ) -> None:
        engine.lost, engine.applies = 1, False
        with pytest.raises(BrokerUnavailable) as failed:
            layer.send("x", {"n": 0})
        assert (failed.type, len(engine.asked)) == (BrokerUnavailable, 1)

    def test_a_receive_waits_for_redis(self, engine: LossyEngine, layer: BaseChannelLayer) -> None:
        layer.send("x", {"n": 0})
        engine.lost, engine.applies = 3, False
        assert layer.receive(["x"]) == ("x", {"n": 0})

    def test_what_a_failed_receive_took_is_what_the_next_one_gets(
        self, engine: LossyEngine, layer: BaseChannelLayer
    ) -> None:
        layer.stream_retry = 0.1
        for number in range(2):
            layer.send("x", {"n": number})
        engine.lost = 1000
        with pytest.raises(OutcomeUnknown):
            layer.receive(["x"])
        engine.lost = 0
        layer.send("y", {"n": 7})
        assert layer.receive(["y"]) == ("y", {"n": 7})
        assert received(layer) == [0, 1]

    def test_threads_have_numbers_of_their_own(self, layer: BaseChannelLayer) -> None:
        def send() -> None:
            for number in range(20):
                layer.send("x", {"n": number})

        threads = [threading.Thread(target=send) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(received(layer)) == sorted([*range(20)] * 5)


@pytest.mark.asyncio
class TestEventLoops:
    async def test_sends_and_receives_whose_answers_are_lost(
        self, engine: LossyEngine, layer: BaseChannelLayer
    ) -> None:
        for number in range(3):
            engine.lost = number
            await layer.asend("x", {"n": number})
        for number in range(3):
            engine.lost = number
            assert await layer.areceive(["x"], block=True) == ("x", {"n": number})
        assert await layer.areceive(["x"]) == (None, None)
        await layer.aclose()

    async def test_a_canceled_receive_loses_nothing(
        self, engine: LossyEngine, layer: BaseChannelLayer
    ) -> None:
        layer.send("x", {"n": 1})
        engine.lost = 1000
        receiving = asyncio.create_task(layer.areceive(["x"], block=True))
        while engine.lost == 1000:
            await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        engine.lost = 0
        assert await layer.areceive(["x"]) == ("x", {"n": 1})
        await layer.aclose()


class TestRepeat:
    def test_it_ends_after_its_time(self) -> None:
        repeat = Repeat(0.05)
        with pytest.raises(OutcomeUnknown):
            while True:
                assert repeat.failed(BrokerUnavailable()) <= 0.05

    def test_the_second_try_comes_at_once(self) -> None:
        repeat = Repeat(5)
        assert repeat.failed(BrokerUnavailable()) == 0
        assert repeat.failed(BrokerUnavailable()) > 0

    def test_the_error_that_left_it_unknown_comes_before_those_since_then(self) -> None:
        repeat = Repeat(0)
        lost = BrokerUnavailable("It was cut.")
        refused = BrokerUnavailable("Nothing listens.", sent=False)
        with pytest.raises(BrokerUnavailable, match="Nothing listens") as raised:
            repeat.failed(refused)
        assert not isinstance(raised.value, OutcomeUnknown)
        repeat = Repeat(0.05)
        repeat.failed(lost)
        with pytest.raises(OutcomeUnknown) as unknown:
            while True:
                repeat.failed(refused)
        assert str(unknown.value) == (
            "It was cut. What was asked then may or may not have been applied. "
            "Since then: Nothing listens."
        )

    def test_what_is_refused_after_a_lost_answer_is_unknown(self) -> None:
        repeat = Repeat(5)
        repeat.failed(BrokerUnavailable())
        with pytest.raises(OutcomeUnknown):
            repeat.failed(BrokerRefused())
        with pytest.raises(BrokerRefused):
            Repeat(5).failed(BrokerRefused())

    def test_a_time_that_the_layer_does_not_remember_is_refused(self) -> None:
        with pytest.raises(InvalidChannelLayer, match="61 seconds; the limit is 30"):
            BaseChannelLayer(engine=MemoryEngine(), send_retry=61)
