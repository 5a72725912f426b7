from typing import Any

import msgspec
import pytest

from djchan.delivery import Refusal, Rules, Work, next_wait, open_delivery
from djchan.exceptions import UndecodableEnvelope
from djchan.layers import codec
from djchan.layers.effects import Reply
from djchan.layers.operations import STARTED, Address, Delay, GiveUp, Leased, Outcome, Push, Tell

NOW = 1_000_000
ADDRESS = Address("PROCESS", "1-abc", 4)
OURS = Reply("PROCESS", "1-abc", codec.encode({"text": "hi"}))
THEIRS = Reply("PROCESS", "2-def", codec.encode({"text": "hi"}))
PUSH = Push("x", b"payload")


def rules(*at_most_once: str) -> Rules:
    return Rules(3, lambda channel: channel in at_most_once, 200)


def leased(
    *frames: dict[str, Any],
    channel: str = "websocket.receive",
    common: dict[str, Any] | None = None,
    seq: int = ADDRESS.seq,
    expires: int = 0,
    attempt: int = 1,
    done: int = 0,
    runs: int = 0,
    version: int = codec.VERSION,
) -> Leased:
    envelope = codec.Envelope(
        version,
        "the-id",
        channel,
        NOW - 1000,
        expires,
        ADDRESS.process if seq else "",
        ADDRESS.connection if seq else "",
        seq,
        msgspec.Raw(codec.encode(common or {})),
        [msgspec.Raw(codec.encode(frame)) for frame in frames or ({"text": "hello"},)],
        runs,
    )
    return Leased(77, attempt, done, channel, codec.encode_envelope(envelope))


def work(*frames: dict[str, Any], **options: Any) -> Work:
    opened = open_delivery(leased(*frames, **options), NOW, rules())
    assert isinstance(opened, Work)
    return opened


def refusal(*frames: dict[str, Any], given: Rules | None = None, **options: Any) -> Refusal:
    opened = open_delivery(leased(*frames, **options), NOW, given or rules())
    assert isinstance(opened, Refusal)
    return opened


def answer(outcome: Any) -> list[Any]:
    return list(codec.decode(outcome.answer))


# ------------------------------------------------------------------ opening


def test_each_message_has_the_common_keys_and_its_own():
    opened = work({"text": "a"}, {"text": "b"}, common={"path": "/", "headers": [[b"a", b"b"]]})
    assert [content["text"] for content in opened.contents] == ["a", "b"]
    assert [content["path"] for content in opened.contents] == ["/", "/"]


def test_messages_share_nothing_that_a_consumer_could_change():
    first, second = work({}, {}, common={"headers": [[b"a", b"b"]]}).contents
    first["headers"].append("mine")
    assert second["headers"] == [[b"a", b"b"]]


def test_a_frame_s_id_is_that_of_its_place_on_its_connection():
    opened = work({"order": 7}, {"order": 8})
    assert [opened.id_of(content) for content in opened.contents] == [
        "PROCESS.1-abc.7",
        "PROCESS.1-abc.8",
    ]


def test_a_custom_message_s_id_is_its_envelope_s():
    assert work({}, seq=0).id_of({}) == "the-id"


def test_frames_that_were_committed_are_not_run_again():
    opened = work({"text": "a"}, {"text": "b"}, {"text": "c"}, done=2, attempt=2)
    assert [content["text"] for content in opened.contents] == ["c"]
    assert opened.first == 2


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1garbage", codec.encode({"not": "an envelope"}), leased(version=9).payload],
)
def test_what_cannot_be_read_says_so(payload):
    with pytest.raises(UndecodableEnvelope):
        open_delivery(Leased(1, 1, 0, "x", payload), NOW, rules())


@pytest.mark.parametrize("common", [{}, {"path": "/"}])
def test_messages_that_are_no_dicts_cannot_be_read(common):
    with pytest.raises(UndecodableEnvelope):
        work(5, common=common)  # type: ignore[arg-type]


# ------------------------------------------------------------------ refusing


def test_an_expired_custom_message_becomes_a_dead_letter():
    refused = refusal(channel="thumbnails", seq=0, expires=NOW - 1)
    assert (refused.reason, refused.bury, refused.address) == ("expired", True, None)
    assert refused.give_up("w") == ("w", 77, "expired", True, None, b"", 0)


def test_an_expired_at_most_once_message_is_dropped():
    refused = refusal(channel="t", seq=0, expires=NOW - 1, given=rules("t"))
    assert (refused.reason, refused.bury) == ("expired", False)


def test_an_expired_delivery_of_a_connection_is_answered():
    refused = refusal(channel="websocket.connect", expires=NOW - 1)
    assert (refused.reason, refused.bury) == ("expired", False)
    giveup = refused.give_up("w")
    assert giveup.address == ADDRESS
    assert codec.decode(giveup.answer) == [codec.ANSWER, "1-abc", 4, [], codec.EXPIRED]


@pytest.mark.parametrize(
    "options",
    [
        {"expires": NOW},
        {"expires": NOW - 1, "attempt": 2},
        {"expires": NOW - 1, "done": 1},
    ],
)
def test_expiry_counts_at_the_first_run_only(options):
    assert work({}, {}, **options)


def test_a_message_that_was_put_off_does_not_expire():
    assert work({"__retries__": 1}, expires=NOW - 1)


def test_after_three_crashes_it_is_poison():
    assert work(attempt=3)
    refused = refusal(attempt=4)
    assert (refused.reason, refused.bury) == ("poison", True)
    assert codec.decode(refused.give_up("w").answer)[4] == codec.POISON


def test_at_most_once_is_lost_at_the_second_run():
    refused = refusal(attempt=2, given=rules("websocket.receive"))
    assert (refused.reason, refused.bury, refused.status) == ("lost", False, codec.LOST)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_runs_again(method):
    assert work({"method": method}, channel="http.request", attempt=2)


@pytest.mark.parametrize(
    "options",
    [
        {"frames": {"method": "POST"}},
        {"frames": {}},
        {"frames": {"method": "GET"}, "done": STARTED},
    ],
)
def test_an_unsafe_or_started_request_does_not(options):
    frame = options.pop("frames")
    refused = refusal(frame, channel="http.request", attempt=2, **options)
    assert (refused.reason, refused.bury, refused.status) == ("lost", False, codec.LOST)


@pytest.mark.parametrize(
    ("frame", "channel"), [({"method": "POST"}, "http.request"), ({}, "websocket.receive")]
)
def test_what_may_run_once_is_lost_when_it_was_sent_again(frame, channel):
    """Its first copy may have run."""
    refused = refusal(frame, channel=channel, runs=1, given=rules("websocket.receive"))
    assert (refused.reason, refused.bury, refused.status) == ("lost", False, codec.LOST)


def test_a_dead_letter_that_was_sent_again_runs_all_the_same():
    assert work({"method": "POST"}, channel="http.request", seq=0, runs=3)


@pytest.mark.parametrize(
    ("attempt", "runs", "content", "which"),
    [
        (1, 0, {}, 1),
        (3, 0, {}, 3),
        (1, 2, {}, 3),
        (2, 1, {"__retries__": 4, "__waits__": 5}, 12),
        (1, 0, {"__retries__": "x"}, 1),
    ],
)
def test_each_run_that_may_have_begun_counts(attempt, runs, content, which):
    opened = work(content, attempt=attempt, runs=runs)
    assert opened.attempt_of(content) == which
    # One by one they are committed only if a worker has died with them.
    assert opened.crashed == (attempt > 1)


def test_what_is_left_goes_on_behind_what_has_run_as_one_that_has_begun():
    opened = work({"n": 0}, {"n": 1}, {"n": 2})
    opened.keep([PUSH])
    left = opened.left("w1")
    assert isinstance(left, Outcome) and left.later is not None
    assert (left.token, left.effects, left.since) == (77, (PUSH,), 0)
    assert (left.later.delay, left.later.done) == (0, 1)
    again = open_delivery(Leased(78, 1, 1, "websocket.receive", left.later.payload), NOW, rules())
    assert isinstance(again, Work)
    assert [again.attempt_of(content) for content in again.contents] == [2, 2]


@pytest.mark.parametrize(
    ("frame", "channel"), [({"method": "POST"}, "http.request"), ({}, "websocket.receive")]
)
def test_what_may_run_once_is_lost_when_it_is_left(frame, channel):
    opened = open_delivery(leased(frame, channel=channel), NOW, rules("websocket.receive"))
    assert isinstance(opened, Work)
    left = opened.left("w1")
    assert isinstance(left, GiveUp)
    assert (left.reason, left.bury) == ("lost", False)


def test_an_unsafe_request_runs_once():
    assert work({"method": "POST"}, channel="http.request")


# ------------------------------------------------------------------ the end


def test_replies_to_its_own_connection_ride_with_the_answer():
    opened = work({})
    opened.keep([PUSH, OURS])
    outcome = opened.outcome()
    assert outcome.token == 77
    assert outcome.address == ADDRESS
    assert outcome.effects == (PUSH,)
    assert answer(outcome) == [codec.ANSWER, "1-abc", 4, [{"text": "hi"}], codec.DONE]


def test_words_of_all_frames_are_kept_in_order():
    opened = work({}, {}, {})
    opened.keep([PUSH])
    opened.keep([OURS], failed=True)
    opened.keep([THEIRS])
    outcome = opened.outcome()
    assert [type(effect) for effect in outcome.effects] == [Push, Tell, Tell]
    assert answer(outcome)[3:] == [[], codec.FAILED]


@pytest.mark.parametrize("words", [[OURS], [PUSH], []])
def test_the_answer_names_the_consumer_that_left_a_request_unanswered(words):
    opened = work({"method": "GET"}, channel="http.request")
    opened.keep(words, consumer=test_one_routed_frame_makes_it_done)
    named = answer(opened.outcome())[5:]
    assert named == ([] if OURS in words else [f"{__name__}.test_one_routed_frame_makes_it_done"])


def test_unrouted_is_said_when_no_frame_was_routed():
    opened = work({}, {})
    opened.keep([], routed=False)
    opened.keep([], routed=False)
    assert answer(opened.outcome())[4] == codec.UNROUTED


def test_one_routed_frame_makes_it_done():
    opened = work({}, {})
    opened.keep([], routed=False)
    opened.keep([])
    assert answer(opened.outcome())[4] == codec.DONE


def test_a_custom_message_answers_nobody():
    opened = work({}, seq=0)
    opened.keep([PUSH, OURS])
    outcome = opened.outcome()
    assert (outcome.address, outcome.answer) == (None, b"")
    assert [type(effect) for effect in outcome.effects] == [Push, Tell]


def test_a_frame_that_is_put_off_holds_up_those_behind_it():
    opened = work({"order": 1}, {"order": 2, "text": "b"}, {"order": 3})
    opened.keep([PUSH, OURS])
    assert opened.put_off(1) is False
    outcome = opened.outcome()
    assert outcome.address == ADDRESS
    assert codec.decode(outcome.answer) == [codec.PROGRESS, "1-abc", 4, 1, [{"text": "hi"}]]
    assert [type(effect) for effect in outcome.effects] == [Push]
    assert outcome.later is not None
    assert outcome.later[:2] == (200, 1)
    again = open_delivery(
        Leased(78, 1, outcome.later.done, "websocket.receive", outcome.later.payload), NOW, rules()
    )
    assert isinstance(again, Work)
    assert again.contents == [{"order": 2, "text": "b", "__retries__": 1}, {"order": 3}]
    assert again.put_off(0) is False
    later = again.outcome().later
    assert later is not None
    assert later.done == 1
    assert codec.decode(codec.decode_envelope(later.payload).frames[1])["__retries__"] == 2


def test_a_custom_message_that_is_put_off_goes_to_the_tail():
    opened = work({"n": 1}, seq=0, channel="thumbnails", expires=NOW + 50)
    assert opened.put_off(0) is True
    (delay,) = opened.outcome().effects
    assert isinstance(delay, Delay)
    assert (delay.channel, delay.delay) == ("thumbnails", 200)
    envelope = codec.decode_envelope(delay.payload)
    assert (envelope.id, envelope.expires) == ("the-id", NOW + 250)
    assert codec.decode(envelope.frames[0]) == {"n": 1, "__retries__": 1}


def test_what_could_not_be_settled_is_kept_and_answered():
    giveup = work({}).give_up("w")
    assert (giveup.reason, giveup.bury) == ("error", True)
    assert codec.decode(giveup.answer)[4] == codec.FAILED


def test_one_that_was_stuck_is_kept_and_answered_as_such():
    giveup = work({}).give_up("w", "stuck", status=codec.STUCK)
    assert (giveup.reason, giveup.bury, giveup.address) == ("stuck", True, ADDRESS)
    assert codec.decode(giveup.answer)[4] == codec.STUCK


# ------------------------------------------------------------------ in parts


def test_frames_that_are_done_can_be_told_before_the_rest():
    opened = work({}, {}, {})
    assert opened.progress() is None
    opened.keep([PUSH, OURS])
    assert opened.unsaid
    told = opened.progress()
    assert told is not None
    assert told[:3] == (77, (PUSH,), ADDRESS)
    assert (told.later, told.progress, told.since) == (None, 1, 0)
    assert codec.decode(told.answer) == [codec.PROGRESS, "1-abc", 4, 1, [{"text": "hi"}]]


def test_nothing_is_told_twice():
    opened = work({}, {}, {})
    opened.keep([PUSH])
    opened.progress()
    assert not opened.unsaid
    assert opened.progress() is None
    opened.keep([OURS])
    told = opened.progress()
    assert told is not None
    assert (told.effects, told.progress, told.since) == ((), 2, 1)
    assert codec.decode(told.answer) == [codec.PROGRESS, "1-abc", 4, 2, [{"text": "hi"}]]
    opened.keep([THEIRS], failed=True)
    outcome = opened.outcome()
    assert [type(effect) for effect in outcome.effects] == [Tell]
    assert outcome.since == 2
    assert answer(outcome)[3:] == [[], codec.FAILED]


def test_when_all_have_run_there_is_no_progress_but_an_end():
    opened = work({}, {})
    opened.keep([PUSH])
    opened.keep([PUSH])
    assert opened.over
    assert opened.progress() is None
    assert opened.outcome().effects == (PUSH, PUSH)


def test_a_frame_that_is_put_off_ends_the_progress():
    opened = work({"order": 1}, {"order": 2}, {"order": 3})
    opened.keep([PUSH])
    opened.put_off(1)
    assert opened.over
    assert opened.progress() is None
    outcome = opened.outcome()
    assert outcome.effects == (PUSH,)
    assert outcome.later is not None and outcome.later.done == 1


def test_progress_counts_the_frames_of_earlier_runs():
    opened = work({"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}, done=1, attempt=2)
    assert [content["n"] for content in opened.contents] == [1, 2, 3]
    opened.keep([PUSH])
    told = opened.progress()
    assert told is not None and told.progress == 2


def test_frames_of_an_earlier_run_had_their_consumers():
    opened = work({}, {}, done=1)
    opened.keep([], routed=False)
    assert answer(opened.outcome())[4] == codec.DONE


@pytest.mark.parametrize(
    ("due", "seconds"),
    [(0, 5.0), (NOW + 60_000, 5.0), (NOW + 1500, 1.5), (NOW, 0.005), (NOW - 9, 0.005)],
)
def test_the_wait_for_work_ends_when_something_is_due(due, seconds):
    assert next_wait(NOW, due, 5.0) == seconds
