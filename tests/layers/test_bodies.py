from djchan.layers import codec
from djchan.layers.bodies import AGAIN, READERS, Readers, channel_of, is_body

CHANNEL = channel_of("PROCESS", "c1")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def order_of(question):
    assert question.process == "PROCESS"
    kind, connection, order = codec.decode(question.entry)
    assert (kind, connection) == (codec.ASKED, "c1")
    return order


def asked(readers):
    return [order_of(each) for each in readers.questions([CHANNEL, "other"]).values()]


def chunk(order, more=True):
    return {"content": b"x", "more_content": more, "order": order}


def test_the_channel_names_the_connection():
    assert CHANNEL == "http.request.body.PROCESS?c1"
    assert is_body(CHANNEL) and not is_body("http.request")


def test_each_chunk_is_asked_for_once_and_the_last_one_is_acknowledged():
    readers = Readers()

    assert asked(readers) == [0]
    assert asked(readers) == []
    assert readers.took(CHANNEL, chunk(0))
    assert readers.last(CHANNEL, chunk(0)) is None
    assert asked(readers) == [1]
    assert readers.took(CHANNEL, chunk(1, more=False))
    assert order_of(readers.last(CHANNEL, chunk(1, more=False))) == 2


def test_a_chunk_that_does_not_come_is_asked_for_again():
    clock = Clock()
    readers = Readers(clock)
    asked(readers)

    clock.now = AGAIN - 0.1
    assert asked(readers) == []
    clock.now = AGAIN
    assert asked(readers) == [0]


def test_a_chunk_of_another_run_is_not_taken():
    readers = Readers()
    asked(readers)

    assert not readers.took(CHANNEL, chunk(3))
    assert readers.took(CHANNEL, chunk(0))


def test_a_run_that_begins_asks_for_the_first_chunk():
    readers = Readers()
    asked(readers)
    readers.took(CHANNEL, chunk(0))

    readers.begin(CHANNEL)

    assert asked(readers) == [0]


def test_the_end_of_a_body_whose_client_left_is_taken_and_acknowledged_to_nobody():
    readers = Readers()
    asked(readers)
    closed = {"content": b"", "closed": True}

    assert readers.took(CHANNEL, closed)
    assert readers.last(CHANNEL, closed) is None


def test_chunks_of_a_layer_or_a_test_that_counts_none_are_taken():
    readers = Readers()
    asked(readers)

    assert readers.took(CHANNEL, {"content": b"x", "more_content": True})
    assert asked(readers) == [1]


def test_readers_are_bounded():
    readers = Readers()
    for number in range(READERS + 10):
        readers.questions([channel_of("PROCESS", f"c{number}")])

    assert len(readers._places) == READERS
