"""The time for the headers of a request, on Twisted's own classes and a clock of the test."""

import pytest
import pytest_asyncio
from twisted.internet.task import Clock
from twisted.web.http import HTTPChannel

from djchan.interface import request_headers
from tests.interface.bounded import Request

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n"


@pytest_asyncio.fixture
async def client(server):
    """A client of HTTP; ``client.clock`` is the clock of its connection."""
    it = Request(server)
    it.clock, channel = Clock(), it.channel._channel
    limit = channel.setTimeout(None)
    assert limit == 60, "what the docs say"
    channel.callLater = it.clock.callLater
    channel.setTimeout(limit)
    return it


def is_open(client):
    return not client.transport.disconnecting and not client.transport.disconnected


def answer(client):
    """Send the response to the request of ``client``, which ends it."""
    (request,) = client.channel._channel.requests
    request.handle_reply({"type": "http.response.start", "status": 200, "headers": []})
    request.handle_reply({"type": "http.response.body", "body": b""})


def dribble(client, data, *, pause=1.0):
    """Send ``data`` byte by byte; how many seconds the connection has lived."""
    for second in range(len(data)):
        if not is_open(client):
            return second * pause
        client.channel.dataReceived(data[second : second + 1])
        client.clock.advance(pause)
    return None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "data",
    [b"G" * 200, HEAD + b"X: " + b"a" * 200, HEAD + b"X: a\r\n" * 200],
    ids=["request line", "one header", "many headers"],
)
async def test_headers_that_dribble_end_their_connection(client, journal, data, caplog):
    assert dribble(client, data) == 60
    assert journal.counts["http.header_timeout"] == 1
    assert "were not complete within 60 s" in caplog.text


@pytest.mark.asyncio
async def test_slow_headers_that_are_complete_in_time_are_a_request(client, server):
    client.channel.dataReceived(HEAD)
    client.clock.advance(59)
    client.channel.dataReceived(b"\r\n")
    client.clock.advance(600)
    assert is_open(client)
    assert len(server.created) == 1


@pytest.mark.asyncio
async def test_a_connection_between_requests_has_its_whole_time_again(client, journal):
    for _ in range(3):
        client.channel.dataReceived(HEAD + b"\r\n")
        client.clock.advance(600)
        answer(client)
        client.clock.advance(59)
        client.channel.dataReceived(HEAD)
        client.clock.advance(59)
        client.channel.dataReceived(b"\r\n")
        answer(client)
    assert is_open(client)
    client.clock.advance(61)
    assert not is_open(client)
    assert "http.header_timeout" not in journal.counts, "it was idle"


@pytest.mark.asyncio
async def test_a_body_that_comes_slowly_has_time_limits_of_its_own(client):
    client.channel.dataReceived(HEAD + b"Content-Length: 200\r\n\r\n")
    assert dribble(client, b"x" * 150) is None


def test_a_channel_of_another_shape_is_left_as_it_is(journal):
    class Other(HTTPChannel):
        pass

    class Protocol:
        _channel = Other()

    request_headers.bind(Protocol, request_headers.bounded(journal))
    request_headers.bind(object(), request_headers.bounded(journal))
    assert type(Protocol._channel) is Other
