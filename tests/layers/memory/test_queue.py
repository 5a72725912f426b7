"""One channel in memory: which of its deliveries are where."""

from djchan.layers.memory.queue import Delivery, Queue


def delivery(payload: bytes, *, source: str = "", attempt: int = 1) -> Delivery:
    it = Delivery("a", payload, source=source)
    it.attempt = attempt
    return it


def test_a_delivery_waits_with_its_source_unless_it_is_a_suspect() -> None:
    queue = Queue()
    plain, fair = delivery(b"plain"), delivery(b"fair", source="s")
    suspect = delivery(b"suspect", source="s", attempt=2)
    for each in (plain, fair, suspect):
        queue.add(each, head=False)

    assert list(queue.deliveries) == [plain]
    assert list(queue.turns) == [fair]
    assert list(queue.suspects) == [suspect]
    assert set(queue) == {plain, fair, suspect}


def test_a_delivery_that_is_given_back_is_at_the_head() -> None:
    queue = Queue()
    first, second = delivery(b"1"), delivery(b"2")
    queue.add(second, head=False)
    queue.add(first, head=True)
    assert list(queue.deliveries) == [first, second]


def test_a_queue_with_parked_deliveries_is_not_empty() -> None:
    queue = Queue()
    assert queue.is_empty
    queue.parked.append(delivery(b"parked"))
    assert not queue.is_empty
