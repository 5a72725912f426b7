"""What a consumer sends to another layer: its delivery does not end before that layer answered."""

from typing import Any

import pytest

from djchan import Channel, outcomes
from djchan.exceptions import BrokerUnavailable
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import DeadLetters, Length, Operation, Push, Send
from djchan.routing import route
from tests.lanes.site import PATIENCE, Inbox, Site, delivery
from tests.support.waiting import wait_for


class OtherEngine(MemoryEngine):
    """``down``: nothing reaches it. ``lost``: so many answers to sends are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.lost = self.tries = 0

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, Send):
            self.tries += 1
            if self.down:
                raise BrokerUnavailable(sent=False)
            if self.lost:
                self.lost -= 1
                super().perform(operation)
                raise BrokerUnavailable
        return super().perform(operation)


@pytest.fixture
def engine() -> OtherEngine:
    return OtherEngine()


@pytest.fixture
def other(engine: OtherEngine) -> BaseChannelLayer:
    return BaseChannelLayer(engine=engine, capacity=1000, stream_retry=0.2)


@pytest.fixture
def start(site: Site, other: BaseChannelLayer, on: Any) -> Any:
    """Start a worker whose consumer of ``x`` sends the number of its message to both layers."""

    def consumer(message: Any) -> None:
        site.ran.append((message["n"], message.attempt))
        Channel("there", channel_layer=other).send({"n": message["n"]})
        Channel("here", channel_layer=site.layer).send({"n": message["n"]})

    return lambda: site.worker(route("x", on(consumer)))


def sent(layer: BaseChannelLayer, channel: str) -> list[int]:
    found: list[int] = []
    while (got := layer.receive([channel]))[1] is not None:
        found.append(got[1]["n"])
    return found


def until(site: Site, channel: str, count: int) -> None:
    wait_for(
        lambda: site(Length(channel)) == count,
        timeout=PATIENCE,
        what=f"{count} messages are on {channel}",
    )


def test_lost_answers_neither_lose_nor_double(
    site: Site, engine: OtherEngine, other: BaseChannelLayer, start: Any
) -> None:
    engine.lost = 3
    site.numbers("x", 20)
    start()
    until(site, "here", 20)
    assert sorted(sent(other, "there")) == sorted(sent(site.layer, "here")) == [*range(20)]
    assert len(site.ran) == 20


def test_a_delivery_waits_for_a_layer_that_is_away(
    site: Site, engine: OtherEngine, other: BaseChannelLayer, start: Any
) -> None:
    engine.down = True
    site.numbers("x", 3)
    start()
    wait_for(lambda: engine.tries > 3, timeout=PATIENCE, what="it is tried again")
    assert site(Length("here")) == 0
    engine.down = False
    until(site, "here", 3)
    assert set(sent(other, "there")) == set(sent(site.layer, "here")) == {0, 1, 2}


def test_it_runs_again_when_the_layer_stays_away(
    site: Site, engine: OtherEngine, other: BaseChannelLayer, start: Any
) -> None:
    engine.down = True
    site.numbers("x", 1)
    start()
    wait_for(lambda: len(site.ran) > 1, timeout=PATIENCE, what="it runs again")
    assert site(Length("here")) == 0
    engine.down = False
    until(site, "here", 1)
    assert (sent(other, "there"), sent(site.layer, "here")) == ([0], [0])
    assert site(DeadLetters("x")) == []


def test_in_the_end_it_is_a_dead_letter(
    site: Site, engine: OtherEngine, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "UNSENT_RUNS", 1)
    engine.down = True
    site.numbers("x", 1)
    start()
    wait_for(lambda: site(DeadLetters("x")), timeout=PATIENCE, what="there is a dead letter")
    (letter,) = site(DeadLetters("x"))
    assert (letter.reason, len(site.ran), site(Length("here"))) == ("unsent", 2, 0)


def test_a_request_that_may_not_run_again_ends_and_is_kept(
    site: Site, inbox: Inbox, engine: OtherEngine, other: BaseChannelLayer, on: Any
) -> None:
    def consumer(message: Any) -> None:
        site.ran.append(message["method"])
        Channel("there", channel_layer=other).send({})
        message.reply_channel.send({"status": 200, "content": b"done"})

    engine.down = True
    site.worker(route("http.request", on(consumer)))
    push = delivery(1, {"method": "POST", "path": "/"})
    envelope = codec.decode_envelope(push.payload)
    envelope.channel = "http.request"
    site(Send("", 0, (Push("http.request", codec.encode_envelope(envelope)),)))
    assert inbox.wait(1)[0][:5] == [codec.ANSWER, "1-abc", 1, [], codec.POISON]
    (letter,) = site(DeadLetters("http.request"))
    assert (letter.reason, site.ran) == ("unsent", ["POST"])
