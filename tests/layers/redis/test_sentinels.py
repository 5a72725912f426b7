"""Which master counts when sentinels do not agree."""

import asyncio
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from hypothesis import given
from hypothesis import strategies as st
from redis.sentinel import MasterNotFoundError

from djchan.layers.redis.sentinels import AsyncSentinel, Sentinel, State, newest_master

HOSTS = [("one", 26379), ("two", 26379), ("three", 26379)]


def state(port: int, epoch: int, *, down: str = "", master: bool = True) -> State:
    return {
        "ip": "10.0.0.1",
        "port": port,
        "config-epoch": epoch,
        "is_master": master,
        "is_sdown": down == "sdown",
        "is_odown": down == "odown",
    }


STATES = st.builds(
    lambda epoch, down: state(1000 + epoch, epoch, down=down),
    st.integers(0, 3),
    st.sampled_from(["", "", "sdown", "odown"]),
)


class TestNewestMaster:
    @given(st.lists(STATES, max_size=5))
    def test_only_that_of_the_last_failover(self, states: list[Any]):
        found = newest_master(states)

        last = max((each["config-epoch"] for each in states), default=0)
        up = [
            s for s in states if s["config-epoch"] == last and not (s["is_sdown"] or s["is_odown"])
        ]
        assert found == (("10.0.0.1", 1000 + last) if up else None)

    @given(st.permutations([state(1, 7), state(2, 8), state(1, 7)]))
    def test_one_that_knows_better_is_enough(self, states: list[Any]):
        assert newest_master(states) == ("10.0.0.1", 2)

    def test_the_old_master_does_not_stand_in_for_one_that_is_down(self):
        assert newest_master([state(1, 7), state(2, 8, down="odown")]) is None

    def test_one_that_cannot_reach_the_master_does_not_count_for_all(self):
        assert newest_master([state(2, 8, down="sdown"), state(2, 8)]) == ("10.0.0.1", 2)

    def test_what_is_no_master(self):
        assert newest_master([state(1, 7, master=False)]) is None


ANSWERS = [
    {"main": state(1, 7)},
    redis.ConnectionError("gone"),
    {"other": state(3, 9), "main": state(2, 8)},
]


def answering(answer: Any) -> Any:
    def masters() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return masters


def sync(answers: list[Any]) -> Any:
    sentinel = Sentinel(HOSTS)
    for each, answer in zip(sentinel.sentinels, answers, strict=True):
        each.sentinel_masters = answering(answer)
    return sentinel.discover_master("main")


def on_a_loop(answers: list[Any]) -> Any:
    async def found() -> Any:
        sentinel = AsyncSentinel(HOSTS)
        for each, answer in zip(sentinel.sentinels, answers, strict=True):
            each.sentinel_masters = sync_to_async(answering(answer))
        return await sentinel.discover_master("main")

    return asyncio.run(found())


@pytest.mark.parametrize("discover", [sync, on_a_loop])
class TestDiscover:
    def test_all_are_asked(self, discover: Any):
        assert discover(ANSWERS) == ("10.0.0.1", 2)

    def test_nobody_answers(self, discover: Any):
        gone = [redis.TimeoutError(f"silent {n}") for n in range(3)]
        with pytest.raises(MasterNotFoundError, match="three:26379: TimeoutError silent 2"):
            discover(gone)

    def test_nobody_knows_it(self, discover: Any):
        with pytest.raises(MasterNotFoundError, match="3 sentinels answered and know none"):
            discover([{"other": state(3, 9)}] * 3)

    def test_an_error_of_another_kind_is_not_hidden(self, discover: Any):
        with pytest.raises(redis.ResponseError, match="NOPERM"):
            discover([ANSWERS[0], redis.ResponseError("NOPERM"), ANSWERS[2]])
