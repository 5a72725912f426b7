"""The adapter's parts against the real classes of Daphne, autobahn and Twisted.

Its behavior in a real server is in test_servers.py.
"""

import functools

import daphne.server  # First: it installs the reactor that the others find.
import pytest
from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from djchan.interface.daphne import (
    DaphneSocket,
    _buffered,
    _frame,
    _text_frame,
    buffered,
    find_request,
    find_socket,
)
from tests.interface.kernel import Wire


@pytest.fixture
def server():
    it = daphne.server.Server(application=None, endpoints=["tcp:0"])
    it.connections = {}
    it.ws_factory = WebSocketFactory(it, server="daphne")
    return it


@pytest.fixture
def protocol(server):
    it = server.ws_factory.buildProtocol(None)
    it.server = server
    it.transport = Wire()
    it.state = WebSocketProtocol.STATE_OPEN
    it.handshake_deferred = None
    server.connections[it] = {}
    return it


def behind(server, protocol):
    """``send`` as Daphne makes it."""
    return functools.partial(server.handle_reply, protocol)


def test_the_protocol_is_found_behind_send(server, protocol):
    assert find_socket(behind(server, protocol)) is protocol


def test_anything_else_is_not_taken_for_it(server, protocol):
    async def send(event):
        pass

    assert find_socket(send) is None
    assert find_socket(functools.partial(send, protocol)) is None
    assert find_socket(functools.partial(server.handle_reply, object())) is None
    assert find_socket(functools.partial(server.handle_reply, protocol, x=1)) is None
    assert find_request(behind(server, protocol)) is None
    protocol.transport = object()
    assert find_socket(behind(server, protocol)) is None


def test_a_server_that_compresses_is_not_taken(server, protocol):
    server.ws_factory.perMessageCompressionAccept = lambda offers: object()
    assert find_socket(behind(server, protocol)) is None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_frames_are_those_of_autobahn(server, size):
    payload = b"x" * size
    for binary in (False, True):
        theirs = server.ws_factory.prepareMessage(payload, binary).payloadHybi
        assert _frame(2 if binary else 1, payload) == theirs


def test_one_text_for_many_is_framed_once():
    text = "".join(["a", "b"])
    assert _text_frame(text) is _text_frame(text)
    assert _text_frame("c") == b"\x81\x01c"


def outlet(protocol, limit=1000):
    overflows = []
    return DaphneSocket(protocol, limit=limit, overflow=lambda: overflows.append(1)), overflows


def test_the_frames_of_a_batch_are_one_write(protocol):
    way, _ = outlet(protocol)
    way.text("a")
    way.data(b"b")
    assert protocol.transport.wrote == b""
    way.flush()
    assert protocol.transport.wrote == b"\x81\x01a\x82\x01b"
    way.flush()
    assert _buffered(protocol.transport) == 0


def test_what_the_kernel_does_not_take_waits_in_order(protocol):
    protocol.transport.room = 4
    way, overflows = outlet(protocol)
    way.text("abc")
    way.flush()
    way.text("d")
    way.flush()
    assert protocol.transport.wrote == b"\x81\x03ab"
    assert b"".join(protocol.transport._tempDataBuffer) == b"c\x81\x01d"
    assert _buffered(protocol.transport) == 4
    way.text("x" * 1000)
    way.flush()
    assert not overflows, "one message of any size"
    way.text("y")
    way.flush()
    assert overflows == [1]
    assert _buffered(protocol.transport) == 4 + 4 + 1000


def test_a_lost_connection_is_left_to_the_reactor(protocol):
    lost = ConnectionError("gone")
    protocol.transport.writeSomeData = lambda data: lost
    way, _ = outlet(protocol)
    way.text("a")
    way.flush()
    assert b"".join(protocol.transport._tempDataBuffer) == b"\x81\x01a"


def test_for_a_client_that_is_gone_nothing_waits(protocol):
    protocol.transport.room = 0
    protocol.transport.write(b"x" * 70_000)
    assert buffered(protocol.transport) == 70_000
    protocol.transport.connected = 0  # As Twisted leaves it, with its buffer.
    assert buffered(protocol.transport) == 0


def test_nothing_is_written_to_a_socket_that_is_closing(protocol):
    protocol.state = WebSocketProtocol.STATE_CLOSING
    way, _ = outlet(protocol)
    way.text("a")
    way.flush()
    way.close(1013)
    assert protocol.transport.wrote == b""


def test_an_accept_after_daphnes_own_timers_is_left_out(server, protocol):
    protocol.state = WebSocketProtocol.STATE_CONNECTING
    server.connections[protocol]["disconnected"] = 1.0
    way, _ = outlet(protocol)
    way.accept(None)
    way.deny(403)
    server.connections.clear()
    way.accept(None)


@pytest.mark.parametrize(
    ("told", "scheme"), [(None, "ws"), ("http", "ws"), ("https", "wss"), ("wss", "wss")]
)
def test_the_scheme(protocol, told, scheme):
    protocol.client_scheme = told
    assert outlet(protocol)[0].scheme == scheme


def test_the_scheme_under_tls(protocol):
    protocol.transport.TLS = True
    protocol.transport.protocol = Wrapped(protocol.transport)  # As startTLS leaves it.
    way, _ = outlet(protocol)
    assert way.scheme == "wss"
    way.text("secret")
    way.flush()
    assert protocol.transport.wrote == b"", "not past TLS"


class Wrapped:
    """Answers for the transport below it, as Twisted's TLS transport does."""

    def __init__(self, transport):
        self.transport = transport
        self.written = b""

    def write(self, data):
        self.written += data

    def __getattr__(self, name):
        return getattr(self.transport, name)


def test_nothing_goes_past_a_transport_that_wraps_another(server, protocol):
    wire = protocol.transport
    protocol.transport = Wrapped(wire)
    assert find_socket(behind(server, protocol)) is protocol
    way, _ = outlet(protocol)
    assert way.scheme == "wss"
    way.text("secret")
    way.flush()
    assert wire.wrote == b"" and not wire._tempDataBuffer
    assert protocol.transport.written == b"\x81\x06secret"


def test_requests_have_what_is_looked_for():
    for name in ("handle_reply", "finished"):
        assert hasattr(WebRequest, name)
