"""The bounds against the real classes of Daphne, autobahn and Twisted, fed byte by byte.

What clients of a real server get is in tests/processes/test_hostile.py.
"""

import asyncio
import functools
import logging
import time
import types

import daphne.server  # First: it installs the reactor that the others find.
import pytest
import pytest_asyncio
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from djchan.interface import bounds, request_bounds
from djchan.interface.bounds import EARLY, PIECES, Bounds
from djchan.interface.journal import Journal
from djchan.interface.spool import Spool, Storage
from djchan.interface.wires import ConnectionRefusal
from tests.support import raw

BODY = 1000
MESSAGE = 100_000
OUTGOING = 5000


class Wire(StringTransport):
    """A TCP connection, as far as autobahn ends it."""

    aborted = False

    def unregisterProducer(self):
        pass  # As TCP's: nobody need be registered.

    def abortConnection(self):
        self.aborted = True


def bounds_of(journal, **options):
    room = Storage(memory=10 * BODY, disk=10 * BODY)
    return Bounds(
        outgoing=OUTGOING, body=BODY, inline=BODY // 2, storage=room, journal=journal, **options
    )


@pytest.fixture
def journal():
    return Journal(logging.getLogger("djchan.interface"))


@pytest.fixture
def limits(journal):
    it = bounds_of(journal)
    it.requests = True
    return it


@pytest.fixture
def server(limits):
    it = daphne.server.Server(application=None, endpoints=["tcp:0"])
    it.connections = {}
    it.http_factory = HTTPFactory(it)
    it.ws_factory = WebSocketFactory(it, server="daphne")
    it.created = []
    it.create_application = lambda protocol, scope: it.created.append(scope) or asyncio.Queue()
    limits.bind(it, object())
    return it


@pytest_asyncio.fixture
async def socket(server):
    """An open WebSocket. ``received`` is what Daphne would tell the application."""
    before = set(reactor.getDelayedCalls())
    it = server.ws_factory.buildProtocol(None)
    it.makeConnection(Wire())
    it._raw_query_string = b""
    bounds.limit_message(it, MESSAGE)
    it.dataReceived(raw.handshake("/"))
    yield it
    for call in set(reactor.getDelayedCalls()) - before:
        call.cancel()


@pytest.fixture
def opened(socket):
    socket.serverAccept()
    assert socket.state == socket.STATE_OPEN
    socket.transport.clear()
    return socket


def received(socket):
    found = []
    while not socket.application_queue.empty():
        event = socket.application_queue.get_nowait()
        if event["type"] == "websocket.receive":
            found.append(event.get("text") or event.get("bytes") or "")
    return found


def test_sockets_and_requests_are_of_daphnes_classes_with_the_bounds_above(server):
    plain = server.ws_factory.protocol
    assert issubclass(plain, WebSocketProtocol) and plain is not WebSocketProtocol
    assert plain.__name__ == "WebSocketProtocol"
    made = server.http_factory.buildProtocol(None).requestFactory
    assert issubclass(made, WebRequest) and made is not WebRequest
    assert server.http_factory.buildProtocol(None).requestFactory is made


def test_a_server_is_bound_once(server, limits):
    plain = server.ws_factory.protocol
    limits.bind(server, object())
    assert server.ws_factory.protocol is plain


def test_requests_are_the_interfaces_where_it_is_the_whole_application(server, journal):
    for application, ours in (("interface", True), (object(), False)):
        it = bounds_of(journal)
        server.application = application
        it.bind(server, "interface")
        assert it.requests is ours
    it = bounds_of(journal)
    server.application = types.SimpleNamespace(interface="interface")  # A wrapper.
    it.bind(server, "interface")
    assert it.requests


def test_a_connection_too_many_is_refused(server, limits, journal, caplog):
    limits.connections = 1
    first = server.http_factory.buildProtocol(None)
    first.makeConnection(Wired())
    assert isinstance(server.http_factory.buildProtocol(None), ConnectionRefusal)
    assert "connections under INTERFACE" in caplog.text
    assert journal.counts["connection.refused"] == 1
    limits.wires.open -= 1  # It ends.
    assert not isinstance(server.http_factory.buildProtocol(None), ConnectionRefusal)


class Wired(StringTransport):
    """A transport that is told of its end."""

    def connectionLost(self, reason):
        pass


def test_a_server_of_another_shape_is_left_as_it_is_and_named(limits, caplog):
    strange = types.SimpleNamespace(ws_factory=types.SimpleNamespace(protocol=object))
    limits.bind(strange, object())
    assert strange.ws_factory.protocol is object
    assert "another shape" in caplog.text


@pytest.mark.asyncio
async def test_a_message_in_many_fragments_is_joined_now_and_then(opened):
    pieces = PIECES * 3 + 7
    opened.dataReceived(raw.frame(raw.TEXT, b"ab", fin=False))
    for _ in range(pieces):
        opened.dataReceived(raw.frame(raw.CONTINUATION, b"cd", fin=False))
        assert len(opened.message_data) <= PIECES + 1
    opened.dataReceived(raw.frame(raw.CONTINUATION, b"ef"))
    assert received(opened) == ["ab" + "cd" * pieces + "ef"]


@pytest.mark.asyncio
async def test_empty_fragments_without_end_hold_nothing(opened):
    opened.dataReceived(raw.frame(raw.BINARY, b"a", fin=False))
    for _ in range(PIECES * 3):
        opened.dataReceived(raw.frame(raw.CONTINUATION, fin=False))
        assert len(opened.message_data) <= PIECES + 1
    opened.dataReceived(raw.frame(raw.CONTINUATION, b"b"))
    assert received(opened) == [b"ab"]


@pytest.mark.asyncio
async def test_a_frame_in_many_segments_is_joined_now_and_then(opened):
    size = PIECES * 3 + 7
    opened.dataReceived(raw.header(raw.BINARY, size))
    for _ in range(size - 1):
        opened.dataReceived(b"x")
        assert len(opened.frame_data) <= PIECES + 1
    opened.dataReceived(b"y")
    assert received(opened) == [b"x" * (size - 1) + b"y"]


@pytest.mark.asyncio
async def test_a_message_over_the_limit_gets_1009_and_what_follows_is_dropped(
    opened, journal, caplog
):
    opened.dataReceived(raw.header(raw.BINARY, MESSAGE + 1))
    assert opened.transport.value() == b"\x88\x02\x03\xf1"
    for _ in range(10):
        opened.dataReceived(b"x" * 5000)
    assert not opened.frame_data and not opened.message_data
    assert not opened.transport.disconnecting, "the client still has a second to answer"
    assert journal.counts["message.too_large"] == 1
    assert f"the limit is {MESSAGE}" in caplog.text and "max_message_size" in caplog.text
    assert received(opened) == []


@pytest.mark.asyncio
async def test_the_lower_limit_counts(opened):
    opened.maxMessagePayloadSize = 10
    bounds.limit_message(opened, 20)
    assert opened.maxMessagePayloadSize == 10
    opened.maxMessagePayloadSize = 0  # None.
    bounds.limit_message(opened, 20)
    assert opened.maxMessagePayloadSize == 20


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (raw.frame(raw.TEXT, b"\xff"), 1007),
        (raw.frame(raw.TEXT, b"x", masked=False), 1002),
        (raw.frame(raw.PING, b"x" * 126), 1002),
    ],
)
async def test_who_breaks_the_protocol_is_told_the_code(opened, journal, data, code):
    opened.dataReceived(data)
    assert opened.transport.value() == b"\x88\x02" + code.to_bytes(2, "big")
    assert opened.transport.disconnecting
    assert journal.counts[f"protocol.{code}"] == 1
    # What it says after that is not looked at.
    opened.dataReceived(raw.header(raw.PING, 1 << 40) + b"x" * 1000)
    assert received(opened) == []


@pytest.mark.asyncio
async def test_a_second_handshake_is_none(server, socket):
    socket.dataReceived(raw.handshake("/other/", "Origin: http://evil.example"))
    assert [scope["path"] for scope in server.created] == ["/"]
    socket.serverAccept()
    assert b"101 Switching Protocols" in socket.transport.value()
    assert socket.transport.value().endswith(b"\x88\x02\x03\xea"), "1002: no frame"


@pytest.mark.asyncio
async def test_frames_before_the_answer_to_the_handshake_wait(socket):
    socket.dataReceived(raw.frame(raw.TEXT, b"early"))
    assert received(socket) == []
    socket.serverAccept()
    assert received(socket) == ["early"]


@pytest.mark.asyncio
async def test_too_much_before_the_answer_to_the_handshake_is_dropped(socket, journal, caplog):
    socket.dataReceived(b"x" * EARLY)
    assert socket.state == socket.STATE_CONNECTING
    socket.dataReceived(b"x")
    assert socket.state == socket.STATE_CLOSED and not socket.data
    assert socket.transport.aborted
    assert journal.counts["connect.early"] == 1
    assert str(EARLY) in caplog.text


@pytest.mark.asyncio
async def test_pings_of_a_client_that_does_not_read_are_not_answered(opened, journal, monkeypatch):
    opened.dataReceived(raw.frame(raw.PING, b"1"))
    assert opened.transport.value() == b"\x8a\x011"
    monkeypatch.setattr("djchan.interface.daphne.buffered", lambda transport: OUTGOING + 1)
    opened.dataReceived(raw.frame(raw.PING, b"2"))
    assert opened.transport.value() == b"\x8a\x011"
    assert journal.counts["ping.unanswered"] == 1


class Request:
    """A client of HTTP on one connection."""

    def __init__(self, server):
        self.transport = StringTransport()
        self.channel = server.http_factory.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def post(self, *lines, body=b"", method="POST"):
        head = "\r\n".join([f"{method} / HTTP/1.1", "Host: h", *lines, "", ""])
        self.channel.dataReceived(head.encode() + body)

    @property
    def answer(self):
        return self.transport.value()


@pytest_asyncio.fixture
async def request_(server):
    before = set(reactor.getDelayedCalls())
    it = Request(server)
    yield it
    for request in it.channel._channel.requests:
        request.content.close()
    for call in set(reactor.getDelayedCalls()) - before:
        call.cancel()


@pytest.mark.asyncio
async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(
    request_, server, caplog
):
    request_.post(f"Content-Length: {BODY + 1}", "Expect: 100-continue")
    assert request_.answer.startswith(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n")
    assert b"100 Continue" not in request_.answer
    assert "http_max_body" in caplog.text
    (request,) = request_.channel._channel.requests
    assert request.content.closed
    request_.channel.dataReceived(b"x" * BODY)
    assert not request_.transport.disconnecting, "or the client may not read the 413"
    request_.channel.dataReceived(b"x")
    assert request_.transport.disconnecting
    assert server.created == []


@pytest.mark.asyncio
async def test_a_refusal_has_no_content_for_head(request_):
    request_.post(f"Content-Length: {BODY + 1}", method="HEAD")
    assert request_.answer.startswith(b"HTTP/1.1 413 ")
    assert request_.answer.index(b"\r\n\r\n") == len(request_.answer) - 4


@pytest.mark.asyncio
async def test_daphnes_own_timeout_cuts_a_response_that_has_begun(request_, server, journal):
    request_.post("Content-Length: 0")
    (request,) = request_.channel._channel.requests
    server.http_timeout = 5
    request.request_start = time.time()
    request.handle_reply({"type": "http.response.start", "status": 200, "headers": []})
    request.handle_reply({"type": "http.response.body", "body": b"half", "more_body": True})
    request.check_timeouts()
    assert not request_.transport.disconnecting, "it has time"
    request.request_start -= 6
    request.check_timeouts()
    assert request_.transport.disconnecting or request_.transport.disconnected
    assert not request_.answer.endswith(b"0\r\n\r\n"), "it does not look whole"
    assert journal.counts["http.daphne_timeout"] == 1


@pytest.mark.asyncio
async def test_a_body_that_grows_too_large_is_refused(request_, server):
    request_.post("Transfer-Encoding: chunked", body=b"3e8\r\n" + b"x" * BODY + b"\r\n")
    assert request_.answer == b""
    request_.channel.dataReceived(b"1\r\nx\r\n")
    assert request_.answer.startswith(b"HTTP/1.1 413 ")
    request_.channel.dataReceived(b"0\r\n\r\n")
    assert request_.answer.count(b"HTTP/1.1 ") == 1
    assert server.created == []


@pytest.mark.asyncio
async def test_a_body_of_the_limit_is_taken(request_, server):
    request_.post(f"Content-Length: {BODY}", body=b"x" * BODY)
    assert request_.answer == b""
    assert [scope["path"] for scope in server.created] == ["/"]


@pytest.mark.asyncio
async def test_a_body_that_all_bodies_leave_no_room_for_gets_a_503(
    request_, server, limits, journal, caplog
):
    limits.storage.take_disk(10 * BODY - 1)
    request_.post(f"Content-Length: {BODY}", body=b"x" * BODY)
    assert request_.answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 5\r\n" in request_.answer
    assert "http_body_disk" in caplog.text
    assert journal.counts["http.no_room"] == 1
    assert limits.storage.disk == 10 * BODY - 1
    assert server.created == []


@pytest.mark.asyncio
async def test_a_body_is_handed_over_whole_and_not_read_into_memory(request_, server, limits):
    request_.post("Content-Length: 700", body=b"x" * 700)
    (request,) = request_.channel._channel.requests
    body = request.content
    assert (limits.storage.disk, body.size) == (700, 700)
    send = functools.partial(lambda: None, request)
    assert request_bounds.take_body({}, send) is body
    assert request_bounds.take_body({}, send) is None, "it is taken"
    assert request_bounds.take_body({}, lambda event: None) is None
    request_.channel.connectionLost(Failure(ConnectionLost()))
    assert not body.closed, "it is the taker's"
    body.close()
    assert (limits.storage.memory, limits.storage.disk) == (0, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [100, 700])
async def test_a_body_whose_client_leaves_gives_its_room_back(request_, limits, size):
    request_.post("Content-Length: 900", body=b"x" * size)
    assert limits.storage.memory + limits.storage.disk == size
    request_.channel.connectionLost(Failure(ConnectionLost()))
    assert (limits.storage.memory, limits.storage.disk) == (0, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_twisted_does_not_parse_forms(request_, monkeypatch, kind):
    """It would read all of the body, and make a dictionary of it that nobody looks at."""
    monkeypatch.setattr(Spool, "read", lambda *_: pytest.fail("read"))
    request_.post(f"Content-Type: {kind}", "Content-Length: 400", body=b"a=1&" * 100)
    (request,) = request_.channel._channel.requests
    assert request.args == {}
    request.content.close()


@pytest.mark.asyncio
async def test_bodies_are_not_ours_to_refuse_where_requests_go_to_django(request_, server, limits):
    limits.requests = False
    request_.post(f"Content-Length: {BODY + 1}", body=b"x" * (BODY + 1))
    assert request_.answer == b""
    assert len(server.created) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "lines",
    [
        ("Transfer-Encoding: identity", "Content-Length: 5"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
    ],
)
async def test_an_encoding_that_a_proxy_may_read_otherwise_is_refused(request_, server, lines):
    request_.post(*lines, body=b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
    assert request_.answer.startswith(b"HTTP/1.1 400 ")
    assert request_.answer.count(b"HTTP/1.1 ") == 1
    assert server.created == []


def test_socket_views_bound_what_no_interface_has_bound(journal, limits):
    server = daphne.server.Server(application=None, endpoints=["tcp:0"])
    server.http_factory = HTTPFactory(server)
    server.ws_factory = WebSocketFactory(server, server="daphne")
    plain = server.ws_factory.protocol
    bounds.bound_sockets(server, outgoing=OUTGOING, journal=journal)
    first = server.ws_factory.protocol
    assert first.unbounded is plain
    limits.bind(server, object())  # An interface, with limits of its own.
    second = server.ws_factory.protocol
    assert second is not first and second.unbounded is plain
    bounds.bound_sockets(server, outgoing=OUTGOING, journal=journal)
    assert server.ws_factory.protocol is second


def test_a_daphne_of_another_shape_is_left_to_itself(journal, caplog):
    bounds.bound_sockets(types.SimpleNamespace(), outgoing=OUTGOING, journal=journal)
    assert "another shape" in caplog.text


# ------------------------------------------------------------- what Daphne would believe


@pytest_asyncio.fixture
async def no_calls_are_left():
    before = set(reactor.getDelayedCalls())
    yield
    for call in set(reactor.getDelayedCalls()) - before:
        call.cancel()


def shake(server, target, *lines):
    """The scope of a handshake (None: it was refused), and what the client got."""
    socket = server.ws_factory.buildProtocol(None)
    socket.makeConnection(Wire())
    socket._raw_query_string = b""
    server.created.clear()
    socket.dataReceived(raw.handshake(target, *lines))
    return (server.created or [None])[0], socket.transport.value()


# What is said twice here is said once by a proxy, as its path.
SAME_PATHS = [
    "//x/ws/",
    "///ws/",
    "/ws/;x",
    "/ws/;a=b;c",
    "/ws/\t",
    "/w\ts/",
    "//user@host:80/ws/",
    "/ws//",
    "/%2fws/",
]


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_calls_are_left")
@pytest.mark.parametrize("target", SAME_PATHS)
async def test_the_path_of_a_handshake_is_what_stands_in_its_request_line(server, target):
    scope, answer = shake(server, f"{target}?a=/ws/")
    if scope is None:
        assert answer.startswith(b"HTTP/1.1 400 ")
        return
    assert scope["path"] != "/ws/"
    assert scope["raw_path"] == target.encode()


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_calls_are_left")
@pytest.mark.parametrize("offered", ["grüße", "a, \xff", "\x80"])
async def test_a_subprotocol_that_is_not_ascii_gets_a_400_and_no_traceback(
    server,
    offered,
    caplog,
):
    scope, answer = shake(server, "/", f"Sec-WebSocket-Protocol: {offered}")
    assert scope is None
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in caplog.text
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_calls_are_left")
async def test_daphne_root_path_is_believed_with_the_setting_only(server, journal):
    name = "Daphne-Root-Path: //evil.test"
    scope, _ = shake(server, "/", name)
    assert scope["root_path"] == ""
    Request(server).post(name, "Content-Length: 0")
    assert server.created[-1]["root_path"] == ""
    assert "evil" not in str(server.created)

    believing = bounds_of(journal, root_path=True)
    server.http_factory = type(server.http_factory)(server)
    believing.bind(server, object())
    scope, _ = shake(server, "/", name)
    assert scope["root_path"] == "//evil.test"
    Request(server).post(name, "Content-Length: 0")
    assert server.created[-1]["root_path"] == "//evil.test"


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_calls_are_left")
@pytest.mark.parametrize("name", ["Daphne-Root-Path", "X-Forwarded-For", "X-Forwarded-Proto"])
async def test_a_header_that_daphne_cannot_decode_is_left_out(server, journal, name, caplog):
    server.proxy_forwarded_address_header = "X-Forwarded-For"
    server.proxy_forwarded_proto_header = "X-Forwarded-Proto"
    server.http_factory = type(server.http_factory)(server)
    bounds_of(journal, root_path=True).bind(server, object())
    request = Request(server)
    head = f"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n{name}: ".encode()
    request.channel.dataReceived(head + b"\xff\r\n\r\n")
    (scope,) = server.created
    assert scope["root_path"] == "" and name.lower().encode() not in dict(scope["headers"])
    assert request.answer == b"" and not caplog.records
