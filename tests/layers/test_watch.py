import pytest

from djchan.layers.operations import Beats, Connected, Reap
from djchan.layers.watch import Limits, Watch

ME = "me"


class Layer:
    """What an observer sees of a layer, a look every half second."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.watch = Watch(ME, limits)
        self.at = 100.0
        self.processes = {ME: (1, "worker", "1"), "w": (5, "worker", "7,8")}

    def look(self, seconds: float = 0.5) -> list[Connected | Reap]:
        self.at += seconds
        beat, kind, clients = self.processes[ME]
        self.processes[ME] = (beat + 1, kind, clients)
        return self.watch.observe(Beats(0, dict(self.processes)), self.at)

    def beat(self, process: str = "w") -> None:
        beat, kind, clients = self.processes[process]
        self.processes[process] = (beat + 1, kind, clients)

    def until_something(self, limit: float = 120.0) -> tuple[float, list[Connected | Reap]]:
        """The first look that wants something, and when it was."""
        began = self.at
        while self.at - began < limit:
            if wanted := self.look():
                return self.at - began, wanted
        raise AssertionError(f"nothing within {limit} s")


@pytest.fixture
def layer() -> Layer:
    """A layer in which worker w was seen to beat."""
    layer = Layer()
    layer.look()
    layer.beat()
    layer.look()
    return layer


def test_nothing_is_wanted_of_who_beats(layer):
    for _ in range(200):
        layer.beat()
        assert layer.look() == []


def test_a_late_one_is_asked_about_after_a_second(layer):
    seconds, wanted = layer.until_something()
    assert seconds == 1.0
    assert wanted == [Connected("w", "7,8")]


def test_one_without_connections_is_reaped_after_two_answers(layer):
    seconds, _ = layer.until_something()
    assert layer.watch.answered("w", False, layer.at) is None
    assert layer.look() == [Connected("w", "7,8")]
    assert layer.watch.answered("w", False, layer.at) == Reap("w", 6)
    assert seconds + 0.5 < 2.0  # Below 3 s even if all of it came at the worst moment.


def test_two_answers_at_once_are_one(layer):
    layer.until_something()
    layer.watch.answered("w", False, layer.at)
    assert layer.watch.answered("w", False, layer.at + 0.1) is None


def test_a_connection_in_between_starts_the_question_anew(layer):
    layer.until_something()
    layer.watch.answered("w", False, layer.at)
    layer.look()
    layer.watch.answered("w", True, layer.at)
    layer.look()
    assert layer.watch.answered("w", False, layer.at) is None


def test_a_beat_in_between_saves_it(layer):
    layer.until_something()
    layer.watch.answered("w", False, layer.at)
    layer.beat()
    assert layer.look() == []
    assert layer.look() == []


@pytest.mark.parametrize("answer", [True, None])
def test_silence_alone_takes_its_limit(layer, answer):
    began = layer.at
    while True:
        _, wanted = layer.until_something()
        if wanted == [Reap("w", 6)]:
            break
        layer.watch.answered("w", answer, layer.at)
    assert layer.at - began == 15.0


def test_where_nobody_can_tell_it_is_asked_once(layer):
    layer.until_something()
    layer.watch.answered("w", None, layer.at)
    assert layer.until_something()[1] == [Reap("w", 6)]


def test_an_interface_has_more_time():
    layer = Layer()
    layer.processes["w"] = (1, "interface", "")
    layer.look()
    seconds, wanted = layer.until_something()
    assert wanted == [Reap("w", 1)]
    assert seconds == 45.0


def test_one_that_has_not_said_its_connections_is_not_asked_about():
    layer = Layer()
    layer.processes["w"] = (0, "worker", "")
    layer.look()
    seconds, wanted = layer.until_something()
    assert (seconds, wanted) == (15.0, [Reap("w", 0)])


def test_one_that_was_there_before_us_has_a_little_more_time():
    layer = Layer()
    layer.look()
    seconds, wanted = layer.until_something()
    assert wanted == [Connected("w", "7,8")]
    assert seconds == 1.5


def test_one_that_came_after_us_has_not(layer):
    layer.beat()
    layer.look()
    layer.processes["new"] = (1, "worker", "9")
    layer.beat()
    layer.look()
    layer.beat()
    layer.look()
    layer.beat()
    assert layer.look() == [Connected("new", "9")]


def test_an_outage_of_the_observer_forgets_silence(layer):
    for _ in range(8):
        layer.watch.observe(Beats(0, dict(layer.processes)), layer.at)
    layer.watch.reset()
    layer.look()
    seconds, wanted = layer.until_something()
    assert (seconds, wanted) == (6.0, [Connected("w", "7,8")])


def test_an_observer_that_slept_accuses_nobody(layer):
    layer.look()
    assert layer.look(600.0) == []
    assert layer.until_something()[0] == 6.0


def test_it_does_not_reap_itself(layer):
    for _ in range(200):
        layer.at += 0.5
        own = layer.processes[ME]
        layer.watch.observe(Beats(0, {ME: own}), layer.at)


def test_one_that_left_is_forgotten(layer):
    layer.until_something()
    del layer.processes["w"]
    layer.look()
    assert layer.watch.answered("w", False, layer.at) is None
    assert layer.watch.silence("w", layer.at) == 0.0
