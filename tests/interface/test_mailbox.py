import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from djchan.interface.mailbox import Delivery, Mailbox
from djchan.interface.pace import Budget


def make(frames=8, size=1000, batch=4, total=None):
    total = total or Budget(10**6)
    return Mailbox(frames=frames, size=size, batch=batch, total=total)


def test_one_delivery_is_in_flight_and_the_rest_waits():
    box = make()
    assert box.put("r", b"1")
    assert box.next() == Delivery(1, "r", [b"1"])
    assert box.put("r", b"2")
    assert box.put("r", b"3")
    assert box.next() is None
    assert box.answer(1)
    assert box.next() == Delivery(2, "r", [b"2", b"3"])


def test_only_the_answer_to_the_delivery_in_flight_releases():
    box = make()
    box.put("r", b"1")
    box.next()
    assert not box.answer(0)
    assert not box.answer(2)
    assert box.in_flight == Delivery(1, "r", [b"1"])
    assert box.answer(1)
    assert not box.answer(1)


def test_a_batch_ends_where_the_channel_changes():
    box = make()
    for channel, frame in (("c", b"1"), ("r", b"2"), ("r", b"3"), ("d", b"4")):
        box.put(channel, frame)
    taken = []
    while (delivery := box.next()) is not None:
        taken.append(delivery)
        box.answer(delivery.seq)
    assert taken == [
        Delivery(1, "c", [b"1"]),
        Delivery(2, "r", [b"2", b"3"]),
        Delivery(3, "d", [b"4"]),
    ]


def test_a_batch_has_a_limit():
    box = make(batch=2)
    for frame in (b"1", b"2", b"3"):
        box.put("r", frame)
    assert box.next() == Delivery(1, "r", [b"1", b"2"])


def test_frames_are_bounded():
    box = make(frames=2)
    assert [box.put("r", b"x") for _ in range(3)] == [True, True, False]
    assert len(box) == 2


def test_bytes_are_bounded_but_one_frame_of_any_size_fits():
    box = make(size=10)
    assert box.put("r", bytes(100))
    assert not box.put("r", b"1")
    box.next()
    assert box.put("r", bytes(10))
    assert not box.put("r", b"1")


def test_the_last_frame_has_a_place_of_its_own():
    box = make(frames=1)
    box.put("r", b"1")
    box.put_last("d", b"bye")
    assert not box.put("r", b"2"), "nothing comes after the last one"
    with pytest.raises(ValueError, match="last frame"):
        box.put_last("d", b"again")
    assert box.next() == Delivery(1, "r", [b"1"])
    box.answer(1)
    assert box.next() == Delivery(2, "d", [b"bye"])


def test_again_puts_it_back_and_takes_half():
    box = make()
    for frame in (b"1", b"2", b"3", b"4"):
        box.put("r", frame)
    assert box.next() == Delivery(1, "r", [b"1", b"2", b"3", b"4"])
    box.again()
    assert box.in_flight is None
    assert box.next() == Delivery(1, "r", [b"1", b"2"]), "the number was not used"
    box.again()
    assert box.next() == Delivery(1, "r", [b"1"])
    box.answer(1)
    assert box.next() == Delivery(2, "r", [b"2", b"3"]), "it grows again"


def test_again_needs_a_delivery():
    with pytest.raises(ValueError, match="No delivery"):
        make().again()


def test_drop_leaves_the_last_one():
    box = make()
    box.put("r", b"1")
    box.put("x", b"2")
    box.put_last("d", b"bye")
    assert box.drop("r") == 1
    assert box.drop() == 1
    assert box.next() == Delivery(1, "d", [b"bye"])


def test_nearly_full():
    box = make(frames=4, size=100)
    assert not box.nearly_full
    box.put("r", bytes(70))
    assert not box.nearly_full
    box.put("r", bytes(5))
    assert box.nearly_full, "by size"
    box = make(frames=4)
    for _ in range(3):
        box.put("r", b"")
    assert box.nearly_full, "by number"


def test_all_mailboxes_together_have_a_limit_and_what_is_in_flight_counts():
    total = Budget(10)
    one, two = make(total=total), make(total=total)
    assert one.put("r", bytes(6))
    one.next()

    assert not two.put("r", bytes(5))
    assert two.put("r", bytes(2)) and two.nearly_full
    one.answer(1)
    assert two.put("r", bytes(8))


def test_a_mailbox_that_is_closed_leaves_nothing_in_the_total():
    total = Budget(100)
    box = make(total=total)
    for _ in range(3):
        box.put("r", b"frame")
    box.next()
    box.put("r", b"more")
    box.put_last("d", b"bye")

    box.close()

    assert total.used == 0


class MailboxMachine(RuleBasedStateMachine):
    """Order is kept, one delivery is in flight, it is bounded, nothing taken is lost."""

    FRAMES, SIZE, BATCH = 5, 40, 3

    def __init__(self):
        super().__init__()
        self.total = Budget(10**6)
        self.box = Mailbox(frames=self.FRAMES, size=self.SIZE, batch=self.BATCH, total=self.total)
        self.counter = 0
        self.taken = []  # What put() took, in order.
        self.answered = []  # What was answered, in order.
        self.flying = None
        self.ended = False
        self.last_seq = 0

    @rule(channel=st.sampled_from("ab"), size=st.integers(0, 60))
    def put(self, channel, size):
        self.counter += 1
        frame = b"%d:" % self.counter + bytes(size)
        before = len(self.box)
        if self.box.put(channel, frame):
            assert not self.ended
            self.taken.append((channel, frame))
        else:
            assert before or self.ended, "an empty mailbox takes anything"

    @precondition(lambda self: not self.ended)
    @rule()
    def put_last(self):
        self.ended = True
        self.box.put_last("d", b"bye")
        self.taken.append(("d", b"bye"))

    @rule()
    def next(self):
        delivery = self.box.next()
        if self.flying is not None:
            assert delivery is None, "one at a time"
            return
        assert (delivery is None) == (len(self.taken) == len(self.answered))
        if delivery is not None:
            assert 1 <= len(delivery.frames) <= self.BATCH
            assert delivery.seq > self.last_seq
            self.flying = delivery

    @rule(off=st.sampled_from([-1, 0, 1]))
    def answer(self, off):
        seq = self.flying.seq + off if self.flying else self.last_seq
        released = self.box.answer(seq)
        assert released == (self.flying is not None and off == 0)
        if released:
            self.last_seq = seq
            self.answered += [(self.flying.channel, frame) for frame in self.flying.frames]
            self.flying = None

    @precondition(lambda self: self.flying is not None)
    @rule()
    def again(self):
        self.box.again()
        self.flying = None

    @invariant()
    def in_order(self):
        assert self.answered == self.taken[: len(self.answered)]
        if self.flying is not None:
            flying = [(self.flying.channel, frame) for frame in self.flying.frames]
            end = len(self.answered) + len(flying)
            assert flying == self.taken[len(self.answered) : end]

    @invariant()
    def counted_in_total(self):
        not_answered = self.taken[len(self.answered) :]
        assert self.total.used == sum(len(frame) for _, frame in not_answered)

    def teardown(self):
        self.box.close()
        assert self.total.used == 0

    @invariant()
    def bounded(self):
        # What was put back was in flight before: it may come on top.
        assert len(self.box) <= self.FRAMES + self.BATCH + 1
        waiting = len(self.taken) - len(self.answered)
        assert len(self.box) == waiting - (len(self.flying.frames) if self.flying else 0)


MailboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestMailboxMachine = MailboxMachine.TestCase
