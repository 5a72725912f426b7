"""Frames that nobody took yet: in order, and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from djchan.sockets.backlog import Backlog

FRAMES = st.lists(st.text(max_size=8) | st.binary(max_size=8), max_size=30)


class TestBacklog:
    @given(FRAMES, st.integers(1, 10), st.integers(1, 40))
    def test_is_a_queue_that_knows_when_it_is_full(self, frames, limit, size):
        backlog = Backlog(frames=limit, size=size)
        held = []
        for frame in frames:
            while backlog.full:
                assert backlog.take() == held.pop(0)
            backlog.put(frame)
            held.append(frame)
            assert len(backlog) == len(held) <= limit
            assert backlog.size == sum(map(len, held)) < size + 8
        while held:
            assert backlog.take() == held.pop(0)
        assert (len(backlog), backlog.size, backlog.full) == (0, 0, False)

    def test_can_be_cleared(self):
        backlog = Backlog(frames=1, size=1)
        backlog.put(b"12")
        assert backlog.full
        backlog.clear()
        assert not backlog.full
