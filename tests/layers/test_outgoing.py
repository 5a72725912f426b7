from djchan.layers.operations import Push, Record, Sent
from djchan.layers.outgoing import BATCH, Outgoing


def submit(outgoing, *effects):
    results = []
    for effect in effects:
        outgoing.waiting.append((effect, results.append))
    return results


def answer(outgoing, *results):
    for done, result in outgoing.answered(Sent(results)):
        done(result)


def pushes(count):
    return [Push("a", b"%d" % number) for number in range(count)]


def test_one_send_at_a_time_word_for_word_until_it_is_answered():
    outgoing = Outgoing()
    assert outgoing.next("P") is None
    one, two = pushes(2)
    results = submit(outgoing, one)
    for connection in ("c1", "c3"):
        outgoing.begin(connection)
    outgoing.forget("c1")
    outgoing.cut("c2")
    said = outgoing.next("P")
    assert (said.number, said.effects, said.forget, said.cut) == (1, (one,), ("c1",), ("c2",))
    submit(outgoing, two)
    outgoing.forget("c3")
    assert outgoing.next("P") is said
    assert outgoing.answered_number == 0
    answer(outgoing, "ok")
    assert (results, outgoing.answered_number) == (["ok"], 1)
    said = outgoing.next("P")
    assert (said.number, said.effects, said.forget, said.cut) == (2, (two,), ("c3",), ())


def test_who_begins_is_in_the_first_send_that_follows_and_said_again_with_it():
    outgoing = Outgoing()
    outgoing.begin("c1")
    assert not outgoing.has_news, "it has its first delivery with it"
    results = submit(outgoing, *pushes(1))
    said = outgoing.next("P")
    assert (said.begin, said.forget, len(said.effects)) == (("c1",), (), 1)
    outgoing.begin("c2")
    outgoing.forget("c1")
    assert outgoing.next("P") is said
    answer(outgoing, "ok")
    assert results == ["ok"]
    said = outgoing.next("P")
    assert (said.begin, said.forget, said.effects) == (("c2",), ("c1",), ())
    answer(outgoing)
    submit(outgoing, *pushes(1))
    assert outgoing.next("P").begin == ()


def test_who_never_began_is_not_forgotten_at_the_layer():
    outgoing = Outgoing()
    outgoing.forget("silent")
    assert not outgoing.has_news
    outgoing.begin("c1")
    assert outgoing.begun == {"c1"}
    for _ in range(2):
        outgoing.forget("c1")
    said = outgoing.next("P")
    assert (said.begin, said.forget, outgoing.begun) == (("c1",), ("c1",), set())


def test_who_begins_is_known_before_its_deliveries_of_later_batches():
    outgoing = Outgoing()
    effects = pushes(BATCH + 1)
    for number in range(len(effects)):
        outgoing.begin(f"c{number}")
    submit(outgoing, *effects)
    assert len(outgoing.next("P").begin) == BATCH + 1
    answer(outgoing, *["ok"] * BATCH)
    assert outgoing.next("P").begin == ()


def test_a_probe_is_an_empty_one():
    outgoing = Outgoing()
    assert not outgoing.has_news
    said = outgoing.next("P", probe=True)
    assert (said.number, said.effects) == (1, ())
    answer(outgoing)
    assert outgoing.next("P") is None


def test_batches_keep_the_order():
    outgoing = Outgoing()
    effects = pushes(BATCH + 3)
    results = submit(outgoing, *effects)
    assert outgoing.next("P").effects == tuple(effects[:BATCH])
    answer(outgoing, *["ok"] * BATCH)
    assert outgoing.next("P").effects == tuple(effects[BATCH:])
    answer(outgoing, "ok", "full", "ok")
    assert results[-3:] == ["ok", "full", "ok"]


def test_a_record_goes_with_its_connect():
    outgoing = Outgoing()
    record = Record("P", "c", "websocket.disconnect", b"")
    effects = [*pushes(BATCH), record, Push("b", b"")]
    submit(outgoing, *effects)
    assert outgoing.next("P").effects == tuple(effects[: BATCH - 1])
    answer(outgoing, *["ok"] * (BATCH - 1))
    assert outgoing.next("P").effects == tuple(effects[BATCH - 1 :])


def test_whose_records_are_none_of_a_resumes():
    outgoing = Outgoing()
    last = Push("websocket.disconnect", b"", owner=("P", "ending"), last=True)
    known = Record("P", "connecting", "websocket.disconnect", b"")
    submit(outgoing, last, Push("a", b"", owner=("P", "busy")), known)
    outgoing.next("P")
    new = Record("P", "new", "websocket.disconnect", b"")
    later = Push("websocket.disconnect", b"", owner=("P", "later"), last=True)
    submit(outgoing, new, later)
    assert outgoing.settles() == {"ending", "new"}
    assert outgoing.knows() >= {id(last), id(known), id(new), id(later)}
    assert len(outgoing.undone()) == 5
