import threading

from djchan.lanes.leases import Leases


def test_it_tells_what_was_claimed_and_has_not_ended():
    leases = Leases()
    leases.claimed("lane-0", 1, [5, 6])
    leases.claimed("lane-1", 4, [7])
    leases.ended([6])
    assert leases.held("w") == ("w", (5, 7), (("lane-0", 1), ("lane-1", 4)))
    assert len(leases) == 2
    assert 5 in leases and 6 not in leases


def test_a_claim_that_brought_nothing_was_answered_too():
    leases = Leases()
    leases.claimed("lane-0", 3, [])
    assert leases.held("w").claims == (("lane-0", 3),)


def test_the_highest_token_is_remembered_beyond_its_end():
    leases = Leases(above=4)
    assert leases.highest == 4
    leases.claimed("lane-0", 1, [9, 7])
    leases.ended([9, 7])
    assert leases.highest == 9


def test_what_one_link_claimed_can_be_forgotten():
    leases = Leases()
    leases.claimed("lane-0", 1, [1, 2])
    leases.claimed("lane-1", 1, [3])
    leases.forget("lane-0")
    assert leases.held("w").tokens == (3,)


def test_an_end_that_is_heard_twice_is_one():
    leases = Leases()
    leases.claimed("lane-0", 1, [1])
    leases.ended([1])
    leases.ended([1, 2])
    assert leases.held("w").tokens == ()


def test_what_is_told_is_of_one_moment():
    """A claim whose number is told has its tokens told, whoever notes it meanwhile."""
    leases = Leases()
    done = threading.Event()

    def claim() -> None:
        for number in range(1, 3000):
            leases.claimed("lane-0", number, [number])
            leases.ended([number - 1])
        done.set()

    thread = threading.Thread(target=claim)
    thread.start()
    while not done.is_set():
        _, tokens, claims = leases.held("w")
        if claims:
            ((_, number),) = claims
            assert number in tokens
    thread.join(5)
