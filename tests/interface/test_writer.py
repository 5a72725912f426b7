import asyncio

import pytest

from djchan.interface.writer import PlainResponse, PlainSocket, Writer
from tests.interface.fakes import settle, until


class Sink:
    """Stands for a server's send."""

    def __init__(self, refuses=()):
        self.sent = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuses = refuses
        self.error = RuntimeError("no")

    async def __call__(self, event):
        if event["type"] in self.refuses or event.get("code") in self.refuses:
            raise self.error
        await self.gate.wait()
        self.sent.append(event)


def make(sink, limit=10_000):
    overflows = []
    return Writer(sink, limit=limit, overflow=lambda: overflows.append(1)), overflows


@pytest.mark.asyncio
async def test_events_go_out_in_order_by_one_task():
    sink = Sink()
    writer, _ = make(sink)
    for number in range(5):
        writer.put({"type": "a", "number": number})
    await settle()
    assert [event["number"] for event in sink.sent] == [0, 1, 2, 3, 4]
    writer.put({"type": "a", "number": 5}, last=True)
    writer.put({"type": "a", "number": 6})
    await settle()
    assert [event["number"] for event in sink.sent] == [0, 1, 2, 3, 4, 5]
    assert writer.waiting == 0


@pytest.mark.asyncio
async def test_whoever_puts_in_never_waits_and_is_told_of_an_overflow():
    sink = Sink()
    sink.gate.clear()
    writer, overflows = make(sink, limit=1000)
    writer.put({"type": "a"}, 500)
    await settle()
    assert not overflows
    writer.put({"type": "a"}, 5000)
    assert not overflows, "one message of any size"
    writer.put({"type": "a"}, 1)
    assert overflows == [1]
    writer.abort({"type": "websocket.close", "code": 1013})
    assert writer.waiting == 0
    sink.gate.set()
    await until(lambda: sink.sent)
    assert sink.sent == [{"type": "websocket.close", "code": 1013}], "past what hung"


@pytest.mark.asyncio
async def test_a_refused_close_code_is_sent_as_one_that_applications_may_use():
    sink = Sink(refuses={1013})
    writer, _ = make(sink)
    writer.put({"type": "websocket.close", "code": 1013}, last=True)
    await settle()
    assert sink.sent == [{"type": "websocket.close", "code": 4013}]


@pytest.mark.asyncio
async def test_a_server_that_refuses_an_event_ends_the_writer_not_the_task(caplog):
    sink = Sink(refuses={"bad"})
    writer, _ = make(sink)
    writer.put({"type": "bad"})
    writer.put({"type": "good"})
    await settle()
    assert sink.sent == []
    assert "refused bad" in caplog.text


@pytest.mark.asyncio
async def test_a_client_that_left_is_no_warning(caplog):
    caplog.set_level("INFO", "djchan")
    sink = Sink(refuses={"bad"})
    sink.error = OSError("gone")
    writer, _ = make(sink)
    writer.put({"type": "bad"})
    await settle()
    assert not caplog.records


def socket(sink, extensions=None):
    scope = {"extensions": extensions}
    return PlainSocket(sink, scope, limit=1000, overflow=lambda: None)


@pytest.mark.asyncio
async def test_the_events_of_a_socket():
    sink = Sink()
    way = socket(sink)
    way.accept("chat")
    way.text("a")
    way.data(b"b")
    way.text("")
    way.flush()
    way.close(4000)
    await settle()
    assert sink.sent == [
        {"type": "websocket.accept", "subprotocol": "chat"},
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "bytes": b"b"},
        {"type": "websocket.send", "text": ""},
        {"type": "websocket.close", "code": 4000},
    ]


@pytest.mark.asyncio
async def test_denials():
    sink = Sink()
    socket(sink).deny(403)
    await settle()
    assert [event["type"] for event in sink.sent] == ["websocket.close"]

    sink = Sink()
    socket(sink, {"websocket.http.response": {}}).deny(503)
    await settle()
    assert [event["type"] for event in sink.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sink.sent[0]["status"] == 503

    sink = Sink()
    socket(sink).deny(503)
    await settle()
    assert [event["type"] for event in sink.sent] == ["websocket.accept", "websocket.close"]
    assert sink.sent[1]["code"] == 1013


@pytest.mark.asyncio
async def test_the_events_of_a_response():
    sink = Sink()
    cuts = []
    way = PlainResponse(sink, limit=1000, overflow=lambda: None, cut=lambda: cuts.append(1))
    way.start(200, [(b"a", b"b")], b"x", True)
    way.content(b"y", False)
    await settle()
    assert sink.sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
        {"type": "http.response.body", "body": b"x", "more_body": True},
        {"type": "http.response.body", "body": b"y", "more_body": False},
    ]
    way.cut()
    assert cuts == [1]
