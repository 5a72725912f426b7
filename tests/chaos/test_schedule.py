"""The same seed gives the same schedule; every fault that was ordered is in it."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.chaos.schedule import KINDS, LOSABLE, SHORT, Profile, schedule, sentinel, soak

PROFILES = [SHORT, soak(20), soak(1), sentinel(3)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_that_was_ordered_comes_in_time_and_order(profile: Profile, seed: int) -> None:
    faults = schedule(seed, profile)
    assert Counter(fault.kind for fault in faults) == dict(profile.counts)
    assert faults == sorted(faults)
    assert all(0 < fault.at < profile.seconds for fault in faults)
    assert all(0 <= fault.target < max(profile.workers, profile.interfaces) for fault in faults)


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, SHORT) == schedule(7, SHORT)
    assert schedule(7, SHORT) != schedule(8, SHORT)


def test_a_zombie_sleeps_for_longer_than_the_silence_limit_and_wakes_before_the_end() -> None:
    for seed in range(20):
        for fault in schedule(seed, SHORT):
            if fault.kind == "worker.stop":
                assert fault.seconds > SHORT.silence + 1
                assert fault.at + fault.seconds < SHORT.seconds + 1


def test_store_faults_do_not_begin_together() -> None:
    for seed in range(20):
        times = [
            f.at
            for f in schedule(seed, soak(20))
            if not f.kind.startswith(("worker", "interface", "other"))
        ]
        gaps = [b - a for a, b in pairwise(times)]
        assert min(gaps) >= 0.9, min(gaps)


def test_calm_times_are_calm() -> None:
    for seed in range(20):
        for fault in schedule(seed, soak(20)):
            if not fault.kind.startswith(("worker", "interface", "other")):
                assert fault.at % 60 >= 22


def test_every_kind_of_answer_is_lost() -> None:
    words = Counter(fault.word for fault in schedule(3, SHORT) if fault.kind == "proxy.lose")
    assert words == dict.fromkeys(LOSABLE, 2)


def test_the_long_run_has_what_the_issue_asks_for() -> None:
    counts = Counter(fault.kind for fault in schedule(1, soak(20)))
    assert counts["worker.kill"] >= 100
    assert counts["store.kill"] + counts["store.older"] >= 10 and counts["store.kill"] >= 10
    assert counts["worker.stop"] >= 20
    assert set(counts) == set(KINDS) - {"store.failover"}


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="is no fault"):
        schedule(1, Profile(seconds=10, counts={"worker.hug": 1}))
