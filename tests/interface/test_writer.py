import asyncio

import pytest

from djchan.interface.writer import PIECE, PlainResponse, PlainSocket, Writer
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


class Listener:
    """Notes what it is told of a response."""

    def __init__(self):
        self.told = []

    def on_taken(self, size):
        self.told.append(size)

    def on_broken(self):
        self.told.append("broken")

    def end_call(self):
        self.told.append("returned")


@pytest.mark.asyncio
async def test_the_events_of_a_response():
    sink, listener = Sink(), Listener()
    way = PlainResponse(sink, listener)
    way.start(200, [(b"a", b"b")], b"x", True, 10)
    way.content(b"y", False, 20)
    assert way.unsent == 30
    await settle()
    assert sink.sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
        {"type": "http.response.body", "body": b"x", "more_body": True},
        {"type": "http.response.body", "body": b"y", "more_body": False},
    ]
    assert (way.unsent, listener.told) == (0, [10, 20])
    assert way._task.done()


@pytest.mark.asyncio
async def test_long_content_is_given_to_the_server_in_pieces():
    sink, listener = Sink(), Listener()
    way = PlainResponse(sink, listener)
    content = bytes(range(256)) * 600
    way.start(200, [], content, False, 5)
    assert way.backlog == len(content)
    await settle()
    bodies = sink.sent[1:]
    assert b"".join(event["body"] for event in bodies) == content
    assert [event["more_body"] for event in bodies] == [True, True, False]
    assert max(len(event["body"]) for event in bodies) <= PIECE
    assert listener.told[-1] == 5 and sum(listener.told) == 5


@pytest.mark.asyncio
async def test_a_server_that_does_not_take_a_response_is_told_of():
    listener = Listener()
    way = PlainResponse(Sink(["http.response.start"]), listener)
    way.start(200, [], b"x", False, 1)
    await settle()
    assert "broken" in listener.told


@pytest.mark.asyncio
async def test_a_response_that_is_cut_makes_the_application_return():
    sink, listener = Sink(), Listener()
    way = PlainResponse(sink, listener)
    way.start(200, [], b"x", True, 1)
    way.cut()
    way.content(b"y", False, 1)
    await settle()
    assert (listener.told, way.unsent, sink.sent) == (["returned"], 0, [])


class Cycle:
    """Has the shape of uvicorn's, whose ``send`` says nothing when its client is gone."""

    def __init__(self):
        self.transport = self
        self.sent = []
        self.closing = self.aborted = False

    async def send(self, event):
        self.sent.append(event)

    def is_closing(self):
        return self.closing

    def get_extra_info(self, name):
        return None

    def abort(self):
        self.aborted = True


@pytest.mark.asyncio
async def test_a_response_in_parts_ends_when_its_transport_is_closed():
    cycle, listener = Cycle(), Listener()
    response = PlainResponse(cycle.send, listener)
    response.start(200, [], b"a", True, 1)
    await settle()
    assert "broken" not in listener.told
    cycle.closing = True
    response.content(b"b", True, 1)
    await settle()
    assert "broken" in listener.told


@pytest.mark.asyncio
async def test_a_whole_response_may_be_followed_by_the_end_of_its_connection():
    cycle, listener = Cycle(), Listener()
    cycle.closing = True
    PlainResponse(cycle.send, listener).start(200, [], b"a", False, 1)
    await settle()
    assert listener.told == [1]


@pytest.mark.asyncio
async def test_a_response_that_is_cut_has_no_clean_end():
    cycle = Cycle()
    response = PlainResponse(cycle.send, Listener())
    response.start(200, [], b"a", True, 1)
    response.cut()
    assert cycle.aborted
