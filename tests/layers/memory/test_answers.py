"""The last answers of callers: kept for a while, one for each."""

from hypothesis import given
from hypothesis import strategies as st

from djchan.layers.memory.answers import Answers
from djchan.layers.operations import REMEMBERED


def test_an_answer_is_forgotten_after_its_time() -> None:
    answers = Answers()
    answers.note("caller", 1, "an answer", 1000)
    assert answers.find("caller", 1, 999 + REMEMBERED) == (True, "an answer")
    assert answers.find("caller", 1, 1000 + REMEMBERED) == (False, None)


def test_who_is_no_caller_has_no_answer() -> None:
    answers = Answers()
    answers.note("", 1, "an answer", 0)
    assert (len(answers), answers.find("", 1, 0)) == (0, (False, None))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2 * REMEMBERED))))
def test_what_is_forgotten_takes_no_room(steps: list[tuple[str, int]]) -> None:
    answers, now, noted = Answers(), 0, dict[str, int]()
    for number, (link, later) in enumerate(steps, 1):
        now += later
        answers.note(link, number, number, now)
        noted[link] = now
        assert len(answers) == sum(at + REMEMBERED > now for at in noted.values())
