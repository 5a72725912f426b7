"""Sources that take turns, without an engine around them."""

from collections import Counter, deque
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from djchan.layers.memory.turns import RoundRobin


class Item(NamedTuple):
    source: str
    number: int
    frames: int = 1
    size: int = 10


def waiting(*items: Item, plain: int = 0) -> RoundRobin[Item]:
    turns = RoundRobin(deque(Item("", number) for number in range(plain)))
    for item in items:
        turns.add(item, head=False)
    return turns


def test_a_source_with_much_waiting_leaves_the_others_their_share() -> None:
    turns = waiting(*(Item("a", n) for n in range(100)), Item("b", 0), Item("c", 0))

    assert sorted(item.source for item in turns.take(6)) == [*"aaaabc"]


def test_what_is_given_back_has_the_next_turn() -> None:
    turns = waiting(Item("a", 0), Item("b", 0))
    turns.add(Item("c", 0), head=True)
    assert turns.next() == Item("c", 0)


def test_the_head_of_a_source_can_be_taken_alone() -> None:
    turns = waiting(Item("a", 0), Item("a", 1, frames=3, size=7), Item("b", 0))

    assert turns.take_head("a") == Item("a", 0)
    assert turns.head("a") == Item("a", 1, frames=3, size=7)
    assert turns.held("a") == (3, 7)
    turns.take_head("a")
    assert (len(turns), turns.head("a"), turns.held("a")) == (1, None, (0, 0))


@given(
    st.lists(st.sampled_from("abc"), max_size=40),
    st.integers(0, 8),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_all_are_taken_once_and_each_source_keeps_its_order(
    sources: list[str], plain: int, wanted: list[int]
) -> None:
    turns = waiting(*(Item(source, number) for number, source in enumerate(sources)), plain=plain)
    left = Counter(sources)
    taken: list[Item] = []
    step = 0
    while part := turns.take(wanted[step % len(wanted)]):
        assert len(part) <= wanted[step % len(wanted)]
        taken += part
        left.subtract(item.source for item in part if item.source)
        assert all(turns.held(source) == (count, 10 * count) for source, count in left.items())
        step += 1

    assert (len(turns), turns.next()) == (0, None)
    assert len(taken) == len(sources) + plain
    for source in {item.source for item in taken}:
        numbers = [item.number for item in taken if item.source == source]
        assert numbers == sorted(numbers)
