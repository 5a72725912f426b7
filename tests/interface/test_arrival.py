"""When a request body has taken too long."""

from hypothesis import given
from hypothesis import strategies as st

from djchan.interface.arrival import LATE, Arrival

SECONDS, RATE = 8.0, 100


def looks(arrival, heard, until):
    """When the client was found too slow, with ``heard`` as (moment, size); None: not by then."""
    now, heard = 0.0, list(heard)
    while now <= until:
        while heard and heard[0][0] <= now:
            arrival.received(heard[0][1], heard.pop(0)[0])
        pause = arrival.look(now)
        if not pause:
            return now
        now += pause
    return None


def test_a_client_that_sends_nothing_has_the_limit():
    assert looks(Arrival(SECONDS, RATE, 0.0), [], 100) == SECONDS


def test_one_that_stops_has_the_limit_from_its_last_byte():
    assert looks(Arrival(SECONDS, RATE, 0.0), [(3.0, 10_000)], 100) == 3.0 + SECONDS


def test_one_that_dribbles_has_the_limit_and_a_second_for_each_rate_bytes():
    dribble = [(float(second), 10) for second in range(1, 1000)]
    # After 8.8 s there are 80 bytes, worth 0.8 s.
    assert 8.0 < looks(Arrival(SECONDS, RATE, 0.0), dribble, 1000) < 9.0


@given(st.lists(st.tuples(st.floats(0.01, SECONDS - 0.1), st.integers(0, 1000)), max_size=30))
def test_one_that_keeps_the_rate_and_is_never_silent_has_all_the_time_it_needs(parts):
    now, heard = 0.0, []
    for pause, more in parts:
        now += pause
        heard.append((now, int(pause * RATE) + 1 + more))
    assert looks(Arrival(SECONDS, RATE, 0.0), heard, now) is None


def test_a_process_that_stood_still_blames_no_client():
    arrival = Arrival(SECONDS, RATE, 0.0)
    assert arrival.look(0.0) == SECONDS
    assert arrival.look(100.0) == LATE, "what has come meanwhile is not read yet"
    assert arrival.look(100.0 + LATE) == 0
    assert Arrival(SECONDS, RATE, 0.0).look(SECONDS + LATE) == 0, "busy, but not that long"
