"""Channel sessions in a worker: saved by the commit of their delivery, or not at all."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore

from djchan import delivery as deliveries
from djchan import route
from djchan.exceptions import BrokerRefused, ConsumeLater
from djchan.layers.operations import Beat, Reap, Recall, Register, Send
from djchan.sessions import channel_session, http_session, session_for_reply_channel
from tests.lanes.site import PATIENCE, Flaky, FlakyLink, Inbox, Site, delivery
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("site", ["memory", "redis"], indirect=True)

RECEIVE = "websocket.receive"
REPLY_CHANNEL = "websocket.send.iface!1-abc"


def frames(seq: int, *texts: str) -> Send:
    return Send("", 0, (delivery(seq, *({"text": text} for text in texts)),))


class Counting:
    """Counts its frames in the session; "hold" waits for the gate with the session read."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.holding = threading.Event()

    def __call__(self, message: Any) -> None:
        text = message["text"]
        number = message.channel_session.get("n", 0) + 1
        if text == "hold" and not self.holding.is_set():
            self.holding.set()
            self.site.gate.wait(PATIENCE)
        message.channel_session["n"] = number
        message.reply_channel.send({"text": f"{text} {number}"})

    def wait(self) -> None:
        assert self.holding.wait(PATIENCE)


@pytest.fixture
def counting(site: Site) -> Counting:
    return Counting(site)


@pytest.fixture
def session(site: Site) -> Callable[[], dict[str, Any]]:
    """What the layer has of the connection's session."""
    return lambda: dict(session_for_reply_channel(REPLY_CHANNEL, channel_layer=site.layer).items())


def bury_workers(site: Site) -> None:
    site(Register("watcher", "interface", b""))
    for name, (beat, kind, _) in site(Beat("watcher")).processes.items():
        # It beats meanwhile: any beat will do, and the crash is charged all the same.
        while kind == "worker" and not site(Reap(name, beat)):
            beat = site(Beat("watcher")).processes[name][0]


def answers(inbox: Inbox) -> list[str]:
    """The replies that came, in order."""
    return [each["text"] for entry in inbox.entries() for each in entry[-1 if entry[0] else 3]]


def heard(inbox: Inbox, *texts: str) -> None:
    wait_for(lambda: answers(inbox) == list(texts), timeout=PATIENCE, what=f"{texts} in the inbox")


def test_the_frames_of_a_delivery_find_what_those_before_have_saved(
    site, inbox, counting, session, on
):
    site.worker(route(RECEIVE, on(channel_session(counting))))
    site(frames(1, "a", "b", "c"))
    heard(inbox, "a 1", "b 2", "c 3")
    site(frames(2, "d"))
    heard(inbox, "a 1", "b 2", "c 3", "d 4")
    assert session() == {"n": 4}


@pytest.mark.parametrize(
    "engine", [None, "django.contrib.sessions.backends.cache"], ids=["layer", "cache"]
)
def test_a_worker_that_was_declared_dead_saves_nothing(
    site, inbox, counting, session, on, settings, engine, caplog
):
    settings.CHANNEL_SESSION_ENGINE = engine
    session_for_reply_channel(REPLY_CHANNEL, channel_layer=site.layer).delete()
    site.worker(route(RECEIVE, on(channel_session(counting))), slow=60.0)
    site(frames(1, "a"))
    heard(inbox, "a 1")
    site(frames(2, "hold"))
    counting.wait()
    bury_workers(site)
    site.worker(route(RECEIVE, on(channel_session(counting))))
    heard(inbox, "a 1", "hold 2")
    site(frames(3, "b", "b", "b"))
    heard(inbox, "a 1", "hold 2", "b 3", "b 4", "b 5")
    zombie, _ = site.workers[0]
    site.gate.set()
    wait_for(lambda: zombie.counters["fenced"], timeout=PATIENCE, what="its commit is refused")
    site(frames(4, "c"))
    heard(inbox, "a 1", "hold 2", "b 3", "b 4", "b 5", "c 6")
    assert session() == {"n": 6}
    assert ("A session is not saved" in caplog.text) == (engine is not None)


def test_nor_does_it_save_a_browser_s_session(site, inbox, on, caplog):
    key = http_session_with(n=1)
    holding = threading.Event()

    def consumer(message: Any) -> None:
        number = message.http_session["n"] + 1
        if message["text"] == "hold" and not holding.is_set():
            holding.set()
            site.gate.wait(PATIENCE)
        message.http_session["n"] = number
        message.reply_channel.send({"text": f"{number}"})

    decorated = on(with_http_session(key, consumer))
    site.worker(route(RECEIVE, decorated), slow=60.0)
    site(frames(1, "hold"))
    assert holding.wait(PATIENCE)
    bury_workers(site)
    site.worker(route(RECEIVE, decorated))
    heard(inbox, "2")
    site(frames(2, "b", "c"))
    heard(inbox, "2", "3", "4")
    zombie, _ = site.workers[0]
    site.gate.set()
    wait_for(lambda: zombie.counters["fenced"], timeout=PATIENCE, what="its commit is refused")
    assert SessionStore(key)["n"] == 4
    (record,) = [each for each in caplog.records if "A session is not saved" in each.getMessage()]
    assert (record.channel, record.message_id) == (RECEIVE, "iface.1-abc.0")


def http_session_with(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return session.session_key


def with_http_session(key: str, consumer: Any) -> Any:
    """The decorator with a session of this key, as a handshake's cookie would name it."""

    def decorated(message: Any) -> None:
        message.http_session = SessionStore(key)
        http_session(consumer)(message)

    return decorated


def test_after_a_part_was_committed_the_frames_behind_see_what_others_save(
    site, inbox, session, on
):
    holding = threading.Event()

    def consumer(message: Any) -> None:
        text = message["text"]
        if text == "write":
            message.channel_session["n"] = 1
        elif text == "hold":
            holding.set()
            site.gate.wait(PATIENCE)
        message.reply_channel.send({"text": f"{text} {message.channel_session.get('n')}"})

    site.worker(route(RECEIVE, on(channel_session(consumer))))
    site(frames(1, "write", "hold", "read"))
    assert holding.wait(PATIENCE)
    heard(inbox, "write 1")
    other = session_for_reply_channel(REPLY_CHANNEL, channel_layer=site.layer)
    other["n"] = 2
    other.save()
    site.gate.set()
    heard(inbox, "write 1", "hold 1", "read 2")


def test_what_consume_later_leaves_in_the_session_is_there_at_the_next_run(
    site, inbox, session, on
):
    def consumer(message: Any) -> None:
        tries = message.channel_session["tries"] = message.channel_session.get("tries", 0) + 1
        if tries < 3:
            raise ConsumeLater
        message.reply_channel.send({"text": f"tries {tries}"})

    site.worker(route(RECEIVE, on(channel_session(consumer))), retry_delay=0.01)
    site(frames(1, "a"))
    heard(inbox, "tries 3")
    assert session() == {"tries": 3}


class Refusing(Flaky):
    """An engine that refuses operations of a kind so many times."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.kind: type = Recall
        self.left = 0

    def link(self, name: str) -> "RefusingLink":
        return RefusingLink(self, self._engine.link(name))


class RefusingLink(FlakyLink):
    flaky: Refusing

    def perform(self, *operations: Any) -> list[Any]:
        if self.flaky.left and any(type(each) is self.flaky.kind for each in operations):
            self.flaky.left -= 1
            raise BrokerRefused("OOM")
        return super().perform(*operations)


@pytest.fixture
def refusing(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    monkeypatch.setattr(deliveries, "WAIT", 5)
    engine = Refusing(site.layer.engine)
    site.layer.engine = engine
    yield engine
    engine.left = 0


def test_a_frame_waits_for_a_session_that_cannot_be_read_however_long_it_takes(
    site, inbox, counting, session, refusing, on
):
    refusing.left = 30  # Far more than message_retries.
    worker = site.worker(route(RECEIVE, on(channel_session(counting))))
    site(frames(1, "a", "b"))
    heard(inbox, "a 1", "b 2")
    assert worker.counters["waiting"] == 30
    assert not worker.counters["later"]
    assert session() == {"n": 2}
