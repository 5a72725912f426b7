"""djchan.outcomes: the rules for a consumer that raised, without a worker around it."""

from typing import Any

import pytest

from djchan.asgi import ChannelLayerWrapper
from djchan.delivery import WAITS
from djchan.exceptions import (
    BrokerRefused,
    BrokerUnavailable,
    BrokerUnsupported,
    ConsumeLater,
    DenyConnection,
    InvalidFrame,
    ProcessGone,
    SessionUnavailable,
)
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.outbox import Outbox, opened
from djchan.outcomes import UNSENT_RUNS, Outcome, retries_of, settle, settle_unsent

ONCE = {"delivery": {"once": "at-most-once"}}


def consumer(message: Message) -> None:
    """Stands for the one that raised."""


def message(channel: str, **content: Any) -> Message:
    return Message(content, channel, ChannelLayerWrapper(InMemoryChannelLayer(**ONCE), "d", []))


@pytest.mark.parametrize(
    ("channel", "content", "error", "outcome"),
    [
        ("jobs", {}, ConsumeLater(), Outcome.LATER),
        ("jobs", {"__retries__": 2}, ConsumeLater(), Outcome.LATER),
        ("jobs", {"__retries__": 3}, ConsumeLater(), Outcome.EXHAUSTED),
        ("jobs", {}, BrokerUnavailable(), Outcome.WAITING),
        ("jobs", {}, BrokerRefused(), Outcome.WAITING),
        ("jobs", {}, BrokerUnsupported(), Outcome.FAILED),
        ("once", {}, BrokerUnavailable(), Outcome.FAILED),
        ("once", {}, SessionUnavailable(), Outcome.WAITING),
        ("http.request", {"method": "GET"}, BrokerUnavailable(), Outcome.WAITING),
        ("http.request", {"method": "POST"}, BrokerUnavailable(), Outcome.FAILED),
        ("jobs", {}, DenyConnection(), Outcome.FAILED),
        ("websocket.receive", {}, InvalidFrame("no JSON"), Outcome.FAILED),
        ("http.request", {}, ProcessGone(), Outcome.FAILED),
        ("jobs", {}, SystemExit(1), Outcome.FAILED),
    ],
    ids=str,
)
def test_what_becomes_of_a_message_whose_consumer_raised(
    channel: str, content: dict[str, Any], error: BaseException, outcome: Outcome
):
    assert settle(message(channel, **content), consumer, error, 3) is outcome


def test_what_a_client_causes_is_no_error(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="djchan")
    settle(message("http.request"), consumer, ProcessGone(), 3)  # It left.
    settle(message("websocket.receive"), consumer, InvalidFrame("no JSON"), 3)
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [
        ("INFO", None),
        ("INFO", None),
    ]


@pytest.mark.parametrize(
    ("channel", "waits", "begun", "outcome"),
    [
        ("jobs", 0, False, Outcome.WAITING),
        ("jobs", "no number", False, Outcome.WAITING),
        ("jobs", UNSENT_RUNS - 1, False, Outcome.WAITING),
        ("jobs", UNSENT_RUNS, False, Outcome.UNSENT),
        ("once", 0, False, Outcome.FAILED),
        ("http.request", 0, False, Outcome.UNSENT),  # No method is no safe one.
        ("jobs", 1, True, Outcome.UNSENT),
    ],
)
def test_what_becomes_of_a_message_whose_sends_another_layer_did_not_take(
    monkeypatch: pytest.MonkeyPatch, channel: str, waits: Any, begun: bool, outcome: Outcome
):
    it = message(channel, **{WAITS: waits})
    monkeypatch.setattr(Outbox, "has_begun", begun)
    with opened(it.channel_layer.channel_layer) as outbox:
        found = settle_unsent(outbox, it, consumer, BrokerUnavailable(), 3)

    assert found is outcome
    assert outbox.words == []


def test_a_layer_that_is_full_is_tried_as_often_as_consume_later():
    outcomes = []
    for waits in (2, 3):
        it = message("jobs", **{WAITS: waits})
        with opened(it.channel_layer.channel_layer) as outbox:
            outcomes.append(settle_unsent(outbox, it, consumer, ValueError("full"), 3))

    assert outcomes == [Outcome.WAITING, Outcome.UNSENT]


@pytest.mark.parametrize("count", [None, "3", 1.5, [3]])
def test_a_count_of_retries_that_is_none_counts_as_zero(count: Any):
    assert retries_of({"__retries__": count}) == 0
