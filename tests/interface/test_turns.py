from djchan.interface.turns import Turns


def test_so_many_at_a_time_and_the_others_in_order():
    turns = Turns(2)
    assert [turns.ask(who) for who in "abcd"] == [True, True, False, False]
    assert (turns.taken, turns.waiting) == (2, 2)
    assert turns.done() == "c"
    assert turns.done() == "d"
    assert (turns.taken, turns.waiting) == (2, 0)
    assert turns.done() is None
    assert turns.done() is None
    assert turns.taken == 0
    assert turns.ask("e")


def test_who_left_is_passed_over():
    turns = Turns(1)
    for who in "abc":
        turns.ask(who)
    turns.leave("b")
    turns.leave("nobody")
    assert turns.done() == "c"


def test_open_lets_all_go():
    turns = Turns(1)
    for who in "abc":
        turns.ask(who)
    assert turns.open() == ["b", "c"]
    assert turns.ask("d")
    assert turns.taken == 4
    assert [turns.done() for _ in range(4)] == [None] * 4
    assert turns.taken == 0
