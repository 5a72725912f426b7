import logging

from djchan.interface.journal import Journal


def test_each_is_counted_and_some_are_said(caplog):
    now = [100.0]
    journal = Journal(logging.getLogger("djchan.test"), clock=lambda: now[0])
    with caplog.at_level(logging.INFO, "djchan.test"):
        for size in range(5):
            journal.say("full", "%s was full with %d", "c", size)
        journal.say("other", "another cause")
        now[0] = 110.0
        journal.say("full", "%s was full with %d", "c", 9, level=logging.ERROR)
    assert journal.counts["full"] == 6
    assert [record.getMessage() for record in caplog.records] == [
        "c was full with 0",
        "another cause",
        "c was full with 9 (4 more like it before this line)",
    ]
    assert caplog.records[-1].levelno == logging.ERROR


def test_counting_is_silent(caplog):
    journal = Journal(logging.getLogger("djchan.test"))
    journal.count("frames", 3)
    assert journal.counts["frames"] == 3
    assert not caplog.records
