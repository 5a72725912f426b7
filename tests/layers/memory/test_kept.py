"""What is kept in memory does not grow by what nobody asks for any more."""

from djchan.layers.memory.kept import KeptValues
from djchan.layers.operations import Drop, Keep, Kept, Recall


def recalled(kept: Kept | None) -> bytes | None:
    return None if kept is None else kept.value


def test_what_is_over_is_taken_off_by_those_that_come():
    kept = KeptValues()
    for number in range(1000):
        assert kept.keep(Keep(f"old {number}", b"", 1000), 0)
    assert len(kept) == 1000

    for number in range(600):
        kept.keep(Keep(f"new {number}", b"", 1000), 1000)

    assert len(kept) == 600
    assert recalled(kept.recall(Recall("new 0"), 1000)) == b""


def test_with_many_that_come_and_go_there_are_hardly_more_than_live():
    kept, most = KeptValues(), 0
    for now in range(20_000):
        kept.keep(Keep(str(now), b"", 100), now)
        if now % 3 == 0:
            kept.drop(Drop(str(now)), now)
        most = max(most, len(kept))

    assert most <= 200


def test_what_is_over_is_none_though_it_is_still_there():
    kept = KeptValues()
    kept.keep(Keep("k", b"1", 10), 0)

    assert recalled(kept.recall(Recall("k", 100), 9)) == b"1"
    assert recalled(kept.recall(Recall("k"), 108)) == b"1"
    assert kept.recall(Recall("k", 100), 109) is None
    assert not kept.drop(Drop("k"), 109)
    assert len(kept) == 0
