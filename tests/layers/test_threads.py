import threading

import pytest

from djchan.exceptions import BrokerRefused, BrokerUnavailable
from djchan.layers import threads


def test_a_thread_that_cannot_be_started_is_an_error_that_names_the_limit(monkeypatch):
    def limited(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(BrokerUnavailable, match=r"djchan-x was not started.*ulimit") as error:
        threads.start(threading.Thread(name="djchan-x"))
    assert error.value.transient and not error.value.sent


def test_a_call_that_returns_in_time_is_told_from_one_that_does_not():
    gate = threading.Event()
    assert threads.returns(lambda: None, within=10)
    assert not threads.returns(gate.wait, within=0.05)
    gate.set()


def test_what_a_call_raises_is_raised():
    def refuse():
        raise BrokerRefused("no")

    with pytest.raises(BrokerRefused, match="no"):
        threads.returns(refuse, within=10)
