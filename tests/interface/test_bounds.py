"""The bounds against the real classes of Daphne, autobahn and Twisted, fed byte by byte.

What clients of a real server get is in tests/processes/test_hostile.py.
"""

import io
import types

import daphne.server  # First: it installs the reactor that the others find.
import pytest
import pytest_asyncio
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from djchan.interface import bounds
from djchan.interface.bounds import EARLY, PIECES
from djchan.interface.wires import ConnectionRefusal
from djchan.layers import codec
from tests.interface.bounded import INCOMING, OUTGOING, Request, bounds_of
from tests.support import raw

MESSAGE = 100_000
PART = 20_000  # Of a message.


class Wire(StringTransport):
    """A TCP connection, as far as autobahn ends it."""

    aborted = False

    def unregisterProducer(self):
        pass  # As TCP's: nobody need be registered.

    def abortConnection(self):
        self.aborted = True


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


@pytest.mark.asyncio
async def test_a_client_has_more_than_a_second_to_answer_a_close_frame(opened):
    # Autobahn rounds down to a full second.
    assert opened.closeHandshakeTimeout - 1 >= 1


@pytest.mark.parametrize(("limit", "sent"), [(10, b"\x88\x02\x03\xf4"), (1000, b""), (-1, b"")])
@pytest.mark.asyncio
async def test_over_websocket_timeout_a_socket_is_closed_with_1012_so_that_its_client_returns(
    opened, limit, sent
):
    opened.server.websocket_timeout = limit
    opened.socket_opened -= 100
    opened.check_timeouts()
    opened.check_timeouts()
    assert opened.transport.value() == sent


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


BEGUN = {
    "a frame without its end": raw.header(raw.BINARY, 2 * PART),
    "a message without its end": raw.frame(raw.BINARY, b"x" * 10, fin=False)
    + raw.header(raw.CONTINUATION, PART, fin=False),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("begun", BEGUN.values(), ids=list(BEGUN))
async def test_unfinished_messages_are_counted_until_they_end(opened, limits, begun):
    opened.dataReceived(begun)
    opened.dataReceived(b"x" * PART)
    assert PART <= limits.incoming.used <= PART + 10

    if begun.startswith(b"\x82"):
        opened.dataReceived(b"x" * PART)
    else:
        opened.dataReceived(raw.frame(raw.CONTINUATION))

    assert len(received(opened)) == 1
    assert limits.incoming.used == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "end",
    [
        lambda it: it.dataReceived(raw.frame(raw.CONTINUATION, b"y" * MESSAGE)),  # Too large.
        lambda it: it.dataReceived(raw.frame(raw.TEXT, b"a second message")),
        lambda it: it.connectionLost(Failure(ConnectionDone())),
    ],
    ids=["1009", "1002", "left"],
)
async def test_nothing_of_an_unfinished_message_outlives_its_socket(opened, limits, end):
    opened.dataReceived(raw.frame(raw.BINARY, b"x" * PART, fin=False))
    assert limits.incoming.used == PART

    end(opened)

    assert limits.incoming.used == 0
    assert not opened.message_data


@pytest.mark.asyncio
async def test_over_incoming_total_the_socket_with_the_most_is_closed(
    opened, limits, journal, caplog
):
    limits.incoming.add("another socket", 10)
    opened.dataReceived(raw.frame(raw.BINARY, b"x" * (INCOMING - 10), fin=False))
    assert opened.state == opened.STATE_OPEN, "the limit itself is allowed"
    opened.dataReceived(raw.header(raw.CONTINUATION, 2) + b"y")

    assert opened.transport.value() == b"\x88\x02\x03\xf5"
    assert limits.incoming.used == 10, "what it kept is gone, and what the other one keeps is not"
    assert journal.counts["incoming.total"] == 1
    assert f"the limit is {INCOMING} (incoming_total under INTERFACE" in caplog.text
    opened.dataReceived(raw.frame(raw.CONTINUATION, b"x" * PART))
    assert received(opened) == [] and limits.incoming.used == 10


@pytest.mark.asyncio
async def test_a_whole_message_is_not_held_against_incoming_total(opened, limits):
    limits.incoming.limit = 1
    for size in (0, 1, PART):
        opened.dataReceived(raw.frame(raw.BINARY, b"x" * size))
    assert len(received(opened)) == 3
    assert limits.incoming.used == 0


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


FORWARDED = [
    ("X-Forwarded-Port", "80", ["1.2.3.4", 80], "http"),
    ("X-Forwarded-Port", "65535", ["1.2.3.4", 65535], "http"),
    ("X-Forwarded-Port", "65536", ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Port", "9" * 100, ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Port", "-1", ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Port", "1_0", ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Port", "", ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Proto", "https", ["1.2.3.4", 0], "https"),
    ("X-Forwarded-Proto", "javascript", ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Proto", "https, http", ["1.2.3.4", 0], "http"),
    ("X-Forwarded-Proto", "", ["1.2.3.4", 0], "http"),
]


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_calls_are_left")
@pytest.mark.parametrize(("name", "value", "client", "scheme"), FORWARDED, ids=str)
async def test_a_forwarded_port_is_one_and_so_is_a_scheme(
    server, journal, name, value, client, scheme
):
    server.proxy_forwarded_address_header = "X-Forwarded-For"
    server.proxy_forwarded_port_header = "X-Forwarded-Port"
    server.proxy_forwarded_proto_header = "X-Forwarded-Proto"
    server.http_factory = type(server.http_factory)(server)
    bounds_of(journal).bind(server, object())
    Request(server).post("X-Forwarded-For: 1.2.3.4", f"{name}: {value}", method="GET")
    (scope,) = server.created
    assert (scope["client"], scope["scheme"]) == (client, scheme)
    codec.encode({"client": scope["client"]})


@pytest.mark.parametrize(("verbosity", "is_written"), [(0, False), (1, False), (2, True)])
def test_twisted_formats_a_line_for_its_log_only_where_daphne_keeps_that(
    limits, verbosity, is_written
):
    server = daphne.server.Server(None, endpoints=["tcp:0"], verbosity=verbosity)
    server.http_factory = HTTPFactory(server)
    server.ws_factory = WebSocketFactory(server, server="daphne")
    limits.bind(server, object())
    lines = []
    server.http_factory.logFile = io.StringIO()
    server.http_factory._logFormatter = lambda timestamp, request: lines.append(request) or ""
    server.http_factory.log("request")
    assert bool(lines) is is_written
