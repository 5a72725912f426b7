"""Stamps of kept values: an older one is known where a newer one was read."""

from djchan.layers import freshness
from djchan.layers.freshness import Stamps


def test_a_value_that_was_read_may_be_read_again_and_an_older_one_may_not():
    stamps = Stamps()
    older, newer = stamps.next("k"), (2**62).to_bytes(8, "big")

    assert stamps.is_fresh("k", older, "run")
    assert stamps.is_fresh("k", newer, "run")
    assert stamps.is_fresh("k", newer, "run")
    assert not stamps.is_fresh("k", older, "run")
    assert stamps.is_fresh("another", older, "run")


def test_the_next_stamp_is_above_what_was_read_whatever_the_clock_says():
    stamps = Stamps()
    of_a_fast_clock = (2**62).to_bytes(8, "big")
    assert stamps.is_fresh("k", of_a_fast_clock, "run")

    assert stamps.next("k") > of_a_fast_clock
    assert stamps.is_fresh("k", stamps.next("k"), "run")


def test_what_was_made_but_never_read_makes_nothing_old():
    """Its commit may have come to nothing."""
    stamps = Stamps()
    here = stamps.next("k")
    stamps.next("k")

    assert stamps.is_fresh("k", here, "run")


def test_a_store_that_went_back_in_time_by_itself_may():
    stamps = Stamps()
    older = stamps.next("k")
    assert stamps.is_fresh("k", (2**62).to_bytes(8, "big"), "run 1")

    assert stamps.is_fresh("k", older, "run 2")


def test_what_was_dropped_may_begin_anew():
    stamps = Stamps()
    assert stamps.is_fresh("k", (2**62).to_bytes(8, "big"), "run")
    stamps.forget("k")

    assert stamps.is_fresh("k", stamps.next("k"), "run")


def test_the_keys_are_bounded_and_those_in_use_stay(monkeypatch):
    monkeypatch.setattr(freshness, "REMEMBERED", 3)
    stamps = Stamps()
    older, newer = bytes(8), (2**62).to_bytes(8, "big")
    for key in ("a", "b", "c", "a", "d"):
        assert stamps.is_fresh(key, newer, "run")

    assert [stamps.is_fresh(key, older, "run") for key in "acd"] == [False] * 3
    assert stamps.is_fresh("b", older, "run")
