from djchan.interface.served import Served


def test_a_channel_that_was_never_served_is_waited_for_a_little():
    served = Served(unknown=5, away=60)
    assert served.unserved("d", 100.0)
    assert served.unserved("d", 104.0)
    assert not served.unserved("d", 105.0)
    assert not served.unserved("d", 105.5), "the next one does not wait"


def test_a_channel_that_was_served_is_waited_for_longer():
    served = Served(unknown=5, away=60)
    served.ok("d")
    assert served.known("d")
    for second in range(60):
        assert served.unserved("d", 100.0 + second)
    assert not served.unserved("d", 160.0)
    assert not served.known("d"), "given up on"


def test_served_again_is_as_new():
    served = Served(unknown=5, away=60)
    served.unserved("d", 100.0)
    served.ok("d")
    assert served.unserved("d", 200.0)
    assert served.unserved("d", 205.9)


def test_long_ago_was_another_time():
    served = Served(unknown=5, away=60)
    assert served.unserved("d", 100.0)
    assert served.unserved("d", 200.0)
    assert served.unserved("d", 204.0)


def test_hopeless_for_a_second():
    served = Served(unknown=5, away=60)
    assert not served.hopeless("d", 100.0)
    served.unserved("d", 100.0)
    assert served.hopeless("d", 100.9)
    assert not served.hopeless("d", 101.1)
    assert not served.hopeless("other", 100.9)
