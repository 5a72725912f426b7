"""Dead letters on every engine: found, read, sent again, deleted."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from djchan import letters as module
from djchan.delivery import Rules, Work, open_delivery
from djchan.exceptions import UndecodableEnvelope
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import (
    STARTED,
    Address,
    Claim,
    Commit,
    GiveUp,
    Leased,
    Length,
    Outcome,
    Push,
    Register,
    Send,
)
from djchan.layers.redis import RedisChannelLayer
from djchan.letters import Letter, Letters, Selection, detached, read, seconds
from tests.support.servers import Server

RULES = Rules(3, lambda channel: False, 200)


def raw(message: Any) -> msgspec.Raw:
    return msgspec.Raw(codec.encode(message))


def socket(*frames: dict[str, Any], expires: int = 0) -> bytes:
    """A delivery of a connection."""
    return codec.encode_envelope(
        codec.Envelope(
            codec.VERSION,
            "c1",
            "websocket.receive",
            1,
            expires,
            "P",
            "c1",
            7,
            raw({"reply_channel": "websocket.send.P!c1"}),
            [raw(frame) for frame in frames],
        )
    )


@pytest.fixture(params=["memory", "redis", "valkey"])
def layer(request: pytest.FixtureRequest) -> Iterator[BaseChannelLayer]:
    if request.param == "memory":
        yield InMemoryChannelLayer()
        return
    server: Server = request.getfixturevalue(f"{request.param}_server")
    server.start()
    layer = RedisChannelLayer(hosts=[server.url], prefix=f"letters-{secrets.token_hex(4)}")
    yield layer
    layer.flush()
    layer.close()


class Grave:
    """Buries messages in a layer."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.layer = layer
        self.link = layer.engine.link("grave")
        self.worker = "W" * 22
        self.link.perform(Register(self.worker, "worker", b"", ()))
        self.number = 0

    def bury(self, channel: str, *messages: dict[str, Any], reason: str = "poison") -> None:
        for message in messages:
            self.layer.send(channel, message)
            self.bury_next(channel, reason=reason)

    def bury_next(self, channel: str, *, reason: str = "poison", progress: int = 0) -> None:
        (claimed,) = self.link.perform(Claim(self.worker, "bell", (channel,), 1))
        (leased,) = claimed.deliveries
        if progress:
            self.number += 1
            outcome = Outcome(leased.token, progress=progress, address=Address("P", "c1", 7))
            self.link.perform(Commit(self.worker, "grave", self.number, (outcome,)))
        said = self.link.perform(GiveUp(self.worker, leased.token, reason, True))
        assert said == ["done"]

    def close(self) -> None:
        self.link.close()


@pytest.fixture
def grave(layer: BaseChannelLayer) -> Iterator[Grave]:
    grave = Grave(layer)
    yield grave
    grave.close()


@pytest.fixture
def letters(layer: BaseChannelLayer) -> Iterator[Letters]:
    letters = Letters(layer)
    yield letters
    letters.close()


def numbers(found: Any) -> list[int]:
    return [read(letter).messages[0]["n"] for letter in found]


def take(layer: BaseChannelLayer, channel: str, count: int) -> list[Any]:
    """The messages on a channel."""
    return [layer.receive([channel])[1] for _ in range(count)]


# ------------------------------------------------------------------- finding


def test_no_letters(letters):
    assert letters.channels() == {}
    assert list(letters.select(Selection())) == []
    assert list(letters.of("x")) == []


def test_channels_with_their_counts(letters, grave):
    grave.bury("y", {"n": 1})
    grave.bury("x", {"n": 1}, {"n": 2})
    assert list(letters.channels().items()) == [("x", 2), ("y", 1)]


def test_letters_are_newest_first_and_there_after_a_look(letters, grave):
    grave.bury("x", *({"n": n} for n in range(3)))
    for _ in range(2):
        assert numbers(letters.of("x")) == [2, 1, 0]
    assert letters.channels() == {"x": 3}


def test_more_than_one_page(letters, grave, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    for count in (3, 7):
        grave.bury("x", *({"n": n} for n in range(letters.channels().get("x", 0), count)))
        assert numbers(letters.of("x")) == list(reversed(range(count)))


def test_what_a_letter_says(letters, grave, layer):
    before = layer.now()
    grave.bury("x", {"n": 1}, reason="stuck")
    (letter,) = letters.of("x")
    assert (letter.channel, letter.reason, letter.attempt, letter.done) == ("x", "stuck", 1, 0)
    assert before - 5 <= letter.at <= layer.now() + 5
    assert letter.name == f"x/{letter.id}"


class TestSelection:
    letter = Letter("jobs.big", "5-0", "poison", 10_000, 4, 0, b"")

    @pytest.mark.parametrize(
        ("selection", "has"),
        [
            ({}, True),
            ({"channels": ["jobs.*"]}, True),
            ({"channels": ["jobs.small", "jobs.big"]}, True),
            ({"channels": ["jobs"]}, False),
            ({"reasons": ["poi*"]}, True),
            ({"reasons": ["expired"]}, False),
            ({"names": ["5-0"]}, True),
            ({"names": ["jobs.big/5-0"]}, True),
            ({"names": ["jobs/5-0", "6-0"]}, False),
            ({"older_than": 60}, True),
            ({"older_than": 61}, False),
            ({"older_than": timedelta(minutes=1)}, True),
            ({"older_than": timedelta(minutes=1, seconds=1)}, False),
            ({"newer_than": timedelta(minutes=1)}, True),
            ({"newer_than": 60}, True),
            ({"newer_than": 59}, False),
            ({"channels": ["jobs.*"], "reasons": ["expired"]}, False),
        ],
    )
    def test_what_it_has(self, selection, has):
        assert Selection(**selection).has(self.letter, 70_000) is has
        assert Selection(**selection).is_everything is (selection == {})

    def test_over_all_channels(self, letters, grave):
        grave.bury("x", {"n": 1})
        grave.bury("y", {"n": 2}, reason="expired")
        grave.bury("z", {"n": 3}, {"n": 4})
        assert numbers(letters.select(Selection())) == [1, 2, 4, 3]
        assert numbers(letters.select(Selection(reasons=["expired"]))) == [2]
        assert numbers(letters.select(Selection(channels=["z"]))) == [4, 3]


@pytest.mark.parametrize(
    ("text", "is_"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259200), ("1w", 604800), ("1.5h", 5400)],
)
def test_spans(text, is_):
    assert seconds(text) == is_


@pytest.mark.parametrize("text", ["", "10", "m", "-3d", "1y", "1h30m"])
def test_what_is_no_span(text):
    with pytest.raises(ValueError, match="10m"):
        seconds(text)


# --------------------------------------------------------------------- acting


def test_sent_again_it_is_a_message_like_any_other(letters, grave, layer):
    grave.bury("x", {"n": 1}, {"n": 2})
    newest, oldest = letters.of("x")
    assert list(letters.send_again([oldest, newest])) == [(oldest, True), (newest, True)]
    assert letters.channels() == {}
    assert layer.channel_statistics("x")["messages_pending"] == 2
    (claimed,) = grave.link.perform(Claim(grave.worker, "bell", ("x",), 5))
    works = [open_delivery(leased, claimed.now, RULES) for leased in claimed.deliveries]
    assert [work.contents for work in works if isinstance(work, Work)] == [[{"n": 1}], [{"n": 2}]]


@pytest.mark.parametrize(
    ("reason", "attempts", "attempt"),
    [("expired", 1, 1), ("overflow", 1, 1), ("poison", 4, 4), ("stuck", 1, 2), ("error", 2, 3)],
)
def test_sent_again_it_counts_the_runs_that_had_begun(reason, attempts, attempt):
    envelope = codec.Envelope(codec.VERSION, "id", "x", 0, 0, "", "", 0, raw({}), [raw({})])
    letter = Letter("x", "1-0", reason, 0, attempts, 0, codec.encode_envelope(envelope))
    again = open_delivery(Leased(7, 1, 0, "x", detached(letter)), 0, RULES)
    assert isinstance(again, Work)
    assert again.attempt_of({}) == attempt


def test_what_is_not_there_any_more_is_told_and_not_sent_twice(letters, grave, layer):
    grave.bury("x", {"n": 1})
    (letter,) = letters.of("x")
    assert [there for _, there in letters.send_again([letter])] == [True]
    assert [there for _, there in letters.send_again([letter])] == [False]
    assert [there for _, there in letters.delete([letter])] == [False]
    assert layer.channel_statistics("x")["messages_pending"] == 1


def test_deleted_is_deleted(letters, grave, layer):
    grave.bury("x", *({"n": n} for n in range(50)))
    found = list(letters.of("x"))
    assert [there for _, there in letters.delete(found[:49])] == [True] * 49
    assert numbers(letters.of("x")) == [0]
    assert layer.channel_statistics("x")["messages_pending"] == 0


def test_sent_again_in_their_order_over_many_batches(letters, grave, layer):
    grave.bury("x", *({"n": n} for n in range(50)))
    found = list(letters.of("x"))
    assert len(list(letters.send_again(reversed(found)))) == 50
    assert [message["n"] for message in take(layer, "x", 50)] == list(range(50))


def test_an_expired_one_does_not_expire_again(letters, grave, layer):
    envelope = socket({"n": 1}, expires=1)
    grave.link.perform(Send("", 0, (Push("x", envelope, expires=1),)))
    grave.bury_next("x", reason="expired")
    (letter,) = letters.of("x")
    list(letters.send_again([letter]))
    (claimed,) = grave.link.perform(Claim(grave.worker, "bell", ("x",), 5))
    (leased,) = claimed.deliveries
    assert isinstance(open_delivery(leased, claimed.now, RULES), Work)


def test_of_a_socket_only_what_is_not_done_is_sent_again_and_answers_nobody(letters, grave, layer):
    frames = [{"text": name, "order": order} for order, name in enumerate("abc", 4)]
    push = Push("websocket.receive", socket(*frames), frames=3, owner=("P", "c1"))
    grave.link.perform(Register("P", "interface", b""))
    grave.link.perform(Send("P", 1, (push,), link="out", begin=("c1",)))
    grave.bury_next("websocket.receive", progress=1)
    (letter,) = letters.of("websocket.receive")
    contents = read(letter)
    assert (contents.frames, contents.done) == (3, 1)
    assert contents.ids == ["P.c1.5", "P.c1.6"]

    list(letters.send_again([letter]))
    (claimed,) = grave.link.perform(Claim(grave.worker, "bell", ("websocket.receive",), 5))
    (leased,) = claimed.deliveries
    work = open_delivery(leased, claimed.now, RULES)
    assert isinstance(work, Work)
    assert work.address is None
    assert [content["text"] for content in work.contents] == ["b", "c"]
    # Idempotent consumers know them again.
    assert [work.id_of(content) for content in work.contents] == contents.ids
    grave.link.perform(Commit(grave.worker, "grave", 99, (work.outcome(),)))
    assert grave.link.perform(Length("websocket.receive")) == [0]


# -------------------------------------------------------------------- reading


def test_a_response_that_had_begun_is_one_whole_frame():
    letter = Letter("http.request", "1-0", "stuck", 1, 1, STARTED, socket({"path": "/"}))
    assert (read(letter).frames, read(letter).done) == (1, 0)
    assert len(codec.decode_envelope(detached(letter)).frames) == 1


@pytest.mark.parametrize("payload", [b"", b"\xc1", codec.encode([99, "of", "the", "future"])])
def test_what_cannot_be_read_says_so(payload):
    letter = Letter("x", "1-0", "error", 1, 1, 0, payload)
    for look in (read, detached):
        with pytest.raises(UndecodableEnvelope):
            look(letter)


def test_messages_that_are_no_dicts_say_so():
    envelope = msgspec.structs.replace(codec.decode_envelope(socket({"n": 1})), common=raw(3))
    with pytest.raises(UndecodableEnvelope):
        read(Letter("x", "1-0", "error", 1, 1, 0, codec.encode_envelope(envelope)))
