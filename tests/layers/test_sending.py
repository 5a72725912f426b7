"""What is sent, under which fence, and what a lost answer means."""

from typing import Any

import pytest

from djchan.exceptions import (
    BrokerUnavailable,
    Fenced,
    InvalidChannelName,
    InvalidGroupName,
    OutcomeUnknown,
    ProcessGone,
)
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.operations import Address, Claim, Push, Register, Send


class BrokenEngine:
    """An engine whose answers get lost."""

    local_only = False

    def __init__(self) -> None:
        self.said: list[Any] = []

    def link(self, name: str) -> Any:
        return self

    def perform(self, *operations: Any) -> Any:
        self.said.append(operations)
        raise BrokerUnavailable("Redis at nowhere did not answer.")

    def alink(self, name: str) -> Any:
        return _BrokenAsync()

    def inbox(self, process: str) -> Any:
        raise AssertionError

    def close(self) -> None: ...


class _BrokenAsync:
    async def perform(self, *operations: Any) -> Any:
        raise BrokerUnavailable("Redis at nowhere did not answer.")

    async def aclose(self) -> None: ...


class TestTrouble:
    def test_a_send_is_repeated_under_its_number_for_a_while_and_then_unknown(self):
        engine = BrokenEngine()
        layer = BaseChannelLayer(engine=engine, send_retry=0.1)

        with pytest.raises(OutcomeUnknown, match="may or may not have been applied"):
            layer.send("a", {})

        assert len(engine.said) > 1
        assert len({said for (said,) in engine.said}) == 1

    @pytest.mark.asyncio
    async def test_on_an_event_loop_too(self):
        with pytest.raises(OutcomeUnknown, match="may or may not have been applied"):
            await BaseChannelLayer(engine=BrokenEngine()).asend("a", {})

    def test_what_is_sent_from_a_lost_delivery_is_fenced(self, layer: BaseChannelLayer):
        results = layer.apply([layer.word("a", {})], fence=("W", 12345))

        assert results == ("fenced",)
        with pytest.raises(Fenced):
            layer.raise_for(results, "a")
        assert layer.receive(["a"]) == (None, None)

    def test_other_results_raise_nothing(self, layer: BaseChannelLayer):
        layer.raise_for(("ok", "gone", "unserved"), "a")


class TestParts:
    """A response that goes out while its consumer still runs."""

    address = Address("PROC", "c1", 1)

    def leased(self, layer: BaseChannelLayer) -> tuple[str, int]:
        layer._performs(
            Register("W", "worker", b"", ("http.request",)),
            Register("PROC", "interface", b""),
            Send("", 0, (Push("http.request", b"x"),)),
        )
        claimed = layer._perform(Claim("W", "W.1", ("http.request",), 1))
        return "W", claimed.deliveries[0].token

    def test_a_part_is_sent_under_the_fence_of_its_run(self, layer: BaseChannelLayer):
        fence = self.leased(layer)

        layer.part(fence, self.address, 0, codec.encode({"status": 200, "more_content": True}))

        with pytest.raises(Fenced):
            layer.part(("W", fence[1] + 1), self.address, 1, codec.encode({}))

    def test_a_client_that_left_is_told(self, layer: BaseChannelLayer):
        fence = self.leased(layer)
        layer._perform(Send("PROC", 1, (), (), ("c1",), link="out"))

        with pytest.raises(ProcessGone):
            layer.part(fence, self.address, 0, codec.encode({}))

    @pytest.mark.asyncio
    async def test_its_twin(self, layer: BaseChannelLayer):
        fence = self.leased(layer)

        await layer.apart(fence, self.address, 0, codec.encode({"status": 200}))
        with pytest.raises(Fenced):
            await layer.apart(("W", fence[1] + 1), self.address, 1, codec.encode({}))
        await layer.aclose()

    def test_an_answer_that_got_lost(self):
        with pytest.raises(OutcomeUnknown):
            BaseChannelLayer(engine=BrokenEngine()).part(("W", 1), self.address, 0, b"\x80")


def test_a_word_checks_names_and_message_at_the_call(layer: BaseChannelLayer):
    word = layer.word("a", {"n": 1}, admission=False)

    assert isinstance(word, Push)
    assert word.capacity == 0
    with pytest.raises(InvalidChannelName):
        layer.word("a b", {})
    with pytest.raises(InvalidGroupName):
        layer.group_word("g!", {})
    assert layer._perform(Send("", 0, (word,))).results == ("ok",)
