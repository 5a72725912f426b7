from hypothesis import given
from hypothesis import strategies as st

from djchan.interface.upload import WINDOW, State, Upload


def put_all(upload):
    """The chunks that may be put now."""
    found = []
    while upload.may_put:
        found.append(upload.put())
    return found


def test_nothing_is_put_before_it_is_asked_for():
    upload = Upload(3)

    assert upload.state is State.HELD and not upload.may_put and upload.on_the_way == 0


def test_a_reader_gets_a_window_and_then_a_chunk_for_each_that_it_took():
    upload = Upload(4)

    assert upload.asked(0) == 0
    assert put_all(upload) == [(0, False), (1, False)]
    assert upload.asked(1) == 1
    assert put_all(upload) == [(2, False)]
    assert upload.asked(2) == 1
    assert put_all(upload) == [(3, True)]
    assert (upload.asked(3), upload.asked(4)) == (1, 1)
    assert upload.state is State.TAKEN and upload.on_the_way == 0


def test_what_is_asked_for_again_is_put_again():
    upload = Upload(3)
    upload.asked(0)
    put_all(upload)

    assert upload.asked(0) == WINDOW
    assert put_all(upload) == [(0, False), (1, False)]


def test_what_has_not_been_put_yet_is_not_put_twice_for_a_second_question():
    upload = Upload(3)
    upload.asked(0)
    upload.put()
    upload.asked(1)

    assert upload.asked(1) == 0
    assert put_all(upload) == [(1, False), (2, True)]


def test_another_run_reads_from_the_first_chunk_also_after_all_of_it_was_taken():
    upload = Upload(2)
    for order in range(3):
        upload.asked(order)
        put_all(upload)
    assert upload.state is State.TAKEN

    upload.asked(0)

    assert put_all(upload) == [(0, False), (1, True)]


def test_a_number_that_there_is_not_changes_nothing():
    upload = Upload(2)

    assert upload.asked(3) == upload.asked(-1) == 0
    assert upload.state is State.HELD


def test_at_the_end_all_turns_are_given_back():
    upload = Upload(3)
    upload.asked(0)
    put_all(upload)

    assert upload.end() == WINDOW
    assert not upload.may_put and upload.on_the_way == 0


@given(st.integers(1, 6), st.lists(st.one_of(st.none(), st.integers(-1, 8)), max_size=40))
def test_turns_are_never_more_than_the_window_and_all_come_back(chunks, events):
    """None: a chunk is put if it may be; a number: the reader asks for that one."""
    upload = Upload(chunks)
    turns = 0
    for event in events:
        if event is not None:
            turns -= upload.asked(event)
        elif upload.may_put:
            order, last = upload.put()
            assert 0 <= order < chunks and last == (order == chunks - 1)
            turns += 1
        assert 0 <= turns == upload.on_the_way <= WINDOW
    assert turns == upload.end()
