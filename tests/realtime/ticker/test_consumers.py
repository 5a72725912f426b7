"""What a listener is sent, and what for whom it keeps going."""

import pytest

from djchan.asgi import channel_layers
from realtime.ticker import feed
from realtime.ticker.models import PERIOD, Beat, Headline
from tests.realtime.site import Sent, run

pytestmark = pytest.mark.django_db

LISTENER = "http.response.SERVER!1"


def listen(method="GET", query=b"", headers=()):
    run(
        "http.request",
        {
            "path": "/ticker/events/",
            "method": method,
            "query_string": query,
            "headers": list(headers),
            "reply_channel": LISTENER,
        },
    )


class TestListen:
    def test_the_response_begins_and_stays_open_and_is_in_the_group(self, sent):
        listen(headers=[[b"last-event-id", b"7"]])
        assert [call[:2] for call in sent] == [
            ("send", LISTENER),
            ("add", "ticker"),
            ("send", "ticker.joined"),
        ]
        assert sent[0].what["status"] == 200 and sent[0].what["more_content"] is True
        assert ("Content-Type", "text/event-stream") in sent[0].what["headers"]
        assert sent[1].what == LISTENER
        assert sent[2].what == {"listener": LISTENER, "after": 7}

    @pytest.mark.parametrize("method", ["POST", "HEAD"])
    def test_other_methods_hold_nothing(self, sent, method):
        listen(method)
        ((verb, to, what, _),) = sent
        assert (verb, to, what["status"]) == ("send", LISTENER, 405)
        assert not what.get("more_content")

    def test_who_has_left_is_no_member(self, sent):
        run("http.disconnect", {"path": "/ticker/events/", "reply_channel": LISTENER})
        assert sent == [Sent("discard", "ticker", LISTENER, {})]


class TestJoined:
    def test_what_was_missed_and_no_more(self, sent):
        first, *missed = [Headline.publish(text) for text in "abc"]
        run("ticker.joined", {"listener": LISTENER, "after": first.pk})
        assert sent[0] == Sent("send", LISTENER, feed.more(feed.events(missed)), {})

    def test_the_first_one_starts_the_beat(self, sent):
        for _ in range(2):
            run("ticker.joined", {"listener": LISTENER, "after": 0})
        assert [call.to for call in sent] == [LISTENER, "ticker.beat", LISTENER]


class TestBeat:
    @pytest.fixture
    def listeners(self, monkeypatch):
        """What the layer says of the group: the processes that hold its members."""
        processes = ["process!"]
        layer = channel_layers["default"]
        monkeypatch.setattr(
            layer.channel_layer, "group_channels", lambda name: processes, raising=True
        )
        return processes

    def test_goes_on_while_somebody_listens(self, sent, listeners):
        turn = Beat.start()
        run("ticker.beat", {"turn": turn})
        assert sent == [
            Sent(
                "group_send", "ticker", {"content": b": still here\n\n", "more_content": True}, {}
            ),
            Sent("send", "ticker.beat", {"turn": turn + 1}, {"delay": PERIOD}),
        ]
        assert Beat.start() is None

    def test_stops_when_nobody_does(self, sent, listeners):
        listeners.clear()
        run("ticker.beat", {"turn": Beat.start()})
        assert sent == []
        assert Beat.start() is not None, "the next listener starts another"

    def test_a_chain_that_is_not_the_one_ends(self, sent, listeners):
        turn = Beat.start()
        Beat.stop(turn)
        Beat.start()
        run("ticker.beat", {"turn": turn})
        assert sent == []
