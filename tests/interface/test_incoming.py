"""Which socket has to go when all of them together keep too much of unfinished messages."""

from hypothesis import given
from hypothesis import strategies as st

from djchan.interface.incoming import Incoming

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100) | st.none()))


def test_the_socket_with_the_most_goes_and_not_the_one_that_sends():
    incoming = Incoming(1000)
    assert incoming.add("attacker", 990) is None
    assert incoming.add("customer", 10) is None, "the limit itself is allowed"
    assert incoming.add("customer", 1) == "attacker"


@given(STEPS)
def test_what_is_counted_is_what_sockets_keep(steps):
    incoming, kept = Incoming(150), {}
    for socket, size in steps:
        if size is None:
            incoming.drop(socket)
            kept.pop(socket, None)
        else:
            fullest = incoming.add(socket, size)
            kept[socket] = kept.get(socket, 0) + size
            assert (fullest is None) == (sum(kept.values()) <= 150)
            assert fullest is None or kept[fullest] == max(kept.values())
        assert incoming.used == sum(kept.values())
