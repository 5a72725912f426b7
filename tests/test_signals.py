"""djchan.signals: database connections around each message."""

import pytest
from django.db import connections

from djchan.signals import consumer_finished, consumer_started


@pytest.fixture(params=[consumer_started, consumer_finished], ids=["started", "finished"])
def signal(request):
    yield request.param
    consumer_finished.send(sender=None)  # Sends wait after consumer_started.


@pytest.fixture
def closed(monkeypatch):
    """How often the default connection was closed, without closing it."""
    calls = []
    monkeypatch.setattr(connections["default"], "close", lambda: calls.append(1))
    return calls


@pytest.mark.django_db(transaction=True)
class TestAroundEachMessage:
    def test_an_old_connection_is_closed(self, signal, closed, monkeypatch):
        connections["default"].ensure_connection()
        monkeypatch.setattr(connections["default"], "close_at", 0)
        signal.send(sender=None, environ={})
        assert closed == [1]

    def test_a_broken_connection_is_closed(self, signal, closed, monkeypatch):
        connections["default"].ensure_connection()
        monkeypatch.setattr(connections["default"], "errors_occurred", True)
        monkeypatch.setattr(connections["default"], "is_usable", lambda: False)
        signal.send(sender=None, environ={})
        assert closed == [1]

    def test_one_with_another_autocommit_is_closed(self, signal, closed):
        connections["default"].ensure_connection()
        connections["default"].set_autocommit(False)
        try:
            signal.send(sender=None, environ={})
        finally:
            connections["default"].set_autocommit(True)
        assert closed == [1]

    def test_a_good_one_is_kept(self, signal, closed, monkeypatch):
        connections["default"].ensure_connection()
        monkeypatch.setattr(connections["default"], "close_at", None)
        monkeypatch.setattr(connections["default"], "errors_occurred", True)
        signal.send(sender=None, environ={})
        assert closed == []
        assert not connections["default"].errors_occurred
        assert not connections["default"].health_check_done


@pytest.mark.django_db
def test_inside_a_transaction_nothing_is_closed(signal, closed, monkeypatch):
    monkeypatch.setattr(connections["default"], "close_at", 0)
    signal.send(sender=None, environ={})
    assert closed == []


def test_no_connection_is_opened(signal):
    # Without the django_db mark, opening one is an error.
    signal.send(sender=None, environ={})


class TestOrder:
    """What djchan does comes first; then the receivers, each with the same words."""

    @pytest.fixture
    def heard(self, monkeypatch):
        calls = []
        monkeypatch.setattr(consumer_started, "first", [lambda **k: calls.append(("first", k))])
        receivers = [
            lambda **k: calls.append(("receiver", k)),
            lambda **k: calls.append(("of a sender", k)),
        ]
        consumer_started.connect(receivers[0])
        consumer_started.connect(receivers[1], sender=str)
        yield calls
        for receiver in receivers:
            consumer_started.disconnect(receiver)

    def test_receivers_hear_it_after_us(self, heard):
        answers = consumer_started.send(sender=int, environ={})
        told = {"signal": consumer_started, "sender": int, "environ": {}}
        assert heard == [("first", told), ("receiver", told)]
        assert [answer for _, answer in answers] == [None, None]

    @pytest.mark.asyncio
    async def test_on_an_event_loop_too(self, heard):
        await consumer_started.asend(sender=int, environ={})
        assert [who for who, _ in heard] == ["first", "receiver"]

    def test_what_we_do_can_be_taken_off(self, heard):
        (first,) = consumer_started.first
        assert consumer_started.disconnect(first)
        assert not consumer_started.disconnect(first)
        consumer_started.send(sender=int)
        assert [who for who, _ in heard] == ["receiver"]
