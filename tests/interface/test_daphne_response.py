"""The way out of a response, against the real classes of Daphne and Twisted."""

import daphne.server  # First: it installs the reactor that the others find.
import pytest
from daphne.http_protocol import HTTPFactory, WebRequest

from djchan.interface.daphne import buffered
from djchan.interface.daphne_response import DaphneResponse
from tests.interface.kernel import Wire


class Listener:
    def __init__(self):
        self.taken = []

    def on_taken(self, size):
        self.taken.append(size)


@pytest.fixture
def response():
    """(DaphneResponse, its listener, the wire) of a request whose client's kernel takes nothing."""
    server = daphne.server.Server(application=None, endpoints=["tcp:0"])
    server.connections = {}
    server.action_logger = None
    factory = HTTPFactory(server)
    channel = factory.buildProtocol(None)
    channel._channel.requestFactory = channel._channel.requestFactory or WebRequest
    wire = Wire(room=0)
    wire.protocol = channel
    wire.setTcpNoDelay = wire.setTcpKeepAlive = lambda _: None
    wire.getPeer = wire.getHost = lambda: None
    channel.makeConnection(wire)
    channel = channel._channel
    channel.factory = factory
    request = channel.requestFactory(channel)
    channel.requests = [request]
    request.method, request.uri, request.clientproto = b"GET", b"/", b"HTTP/1.1"
    listener = Listener()
    yield DaphneResponse(request, listener), listener, wire
    channel.setTimeout(None)


def drain(wire, size):
    """The client's kernel takes so many bytes."""
    wire.room += size
    wire.doWrite()


BLOCK = 512 * 1024


def test_a_part_is_written_when_those_before_it_have_left(response):
    way, listener, wire = response
    way.start(200, [(b"Content-Length", b"%d" % (3 * BLOCK))], bytes(BLOCK), True, 10)
    way.content(bytes(BLOCK), True, 20)
    way.content(bytes(BLOCK), False, 30)
    assert buffered(wire) < 2 * BLOCK, "one of them is written"
    assert (way.unsent, listener.taken) == (60, [])
    assert way.backlog > 3 * BLOCK
    while way.unsent == 60:
        drain(wire, 64 * 1024)
    assert listener.taken == [10] and 0 < buffered(wire) < 2 * BLOCK
    assert not way._request.finished, "the last one has not left"
    for _ in range(100):
        drain(wire, 64 * 1024)
    assert listener.taken == [10, 20, 30]
    assert way._request.finished and way._request.producer is None
    assert wire.wrote.endswith(bytes(BLOCK)) and len(wire.wrote) > 3 * BLOCK


def test_a_short_response_is_one_write(response):
    way, listener, _ = response
    way.start(200, [], b"short", False, 5)
    assert way._request.finished and way.unsent == 0 and listener.taken == []


def test_an_event_of_a_stream_is_taken_at_once(response):
    way, listener, _ = response
    way.start(200, [], b"", True, 1)
    way.content(b"data: 1", True, 7)
    assert listener.taken == [1, 7], "so little may wait in the buffer"
    assert not way._request.finished


def test_a_response_that_is_cut_writes_nothing_more(response):
    way, listener, wire = response
    way.start(200, [], bytes(BLOCK), True, 10)
    way.gone()
    before = buffered(wire)
    way.content(bytes(BLOCK), True, 10)
    drain(wire, 10 * BLOCK)
    assert listener.taken == [] and way._request.producer is None
    assert before <= len(wire.wrote)
