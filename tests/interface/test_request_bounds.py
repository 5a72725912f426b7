"""The bounds of requests against Daphne's and Twisted's own classes, fed byte by byte."""

import asyncio
import functools
import time

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from djchan.interface import request_bounds
from tests.interface.bounded import BODY, SECONDS
from tests.interface.fakes import until


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
@pytest.mark.parametrize("requests", [True, False], ids=["interface", "Django"])
async def test_twisted_does_not_parse_forms(request_, limits, kind, requests):
    """It would read all of the body, and make a dictionary of it that nobody looks at."""
    limits.requests = requests
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


SLOW = [
    pytest.param([f"Content-Length: {BODY}"], [], id="silent"),
    pytest.param([f"Content-Length: {BODY}"], [b"x"] * 10, id="dribbling"),
    pytest.param(["Transfer-Encoding: chunked"], [b"1\r\nx\r\n"] * 10, id="dribbling chunks"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("lines", "pieces"), SLOW)
async def test_a_body_that_comes_too_slowly_gets_a_408(
    request_, server, limits, journal, caplog, lines, pieces
):
    began = time.monotonic()
    request_.post(*lines)
    for piece in pieces:
        await asyncio.sleep(SECONDS / 4)
        request_.channel.dataReceived(piece)
    await until(lambda: request_.answer)
    assert time.monotonic() - began >= SECONDS
    assert request_.answer.startswith(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n")
    assert request_.answer.count(b"HTTP/1.1") == 1
    assert "http_body_timeout" in caplog.text
    assert journal.counts["http.body_timeout"] == 1
    assert limits.storage.memory + limits.storage.disk == 0
    assert server.created == []


@pytest.mark.asyncio
async def test_a_body_that_comes_piece_by_piece_and_then_waits_is_served(request_, server, journal):
    request_.post("Content-Length: 60")
    for _ in range(6):
        await asyncio.sleep(SECONDS / 4)
        request_.channel.dataReceived(b"x" * 10)
    assert len(server.created) == 1
    await asyncio.sleep(2 * SECONDS)
    assert request_.answer == b""
    assert journal.counts["http.body_timeout"] == 0


@pytest.mark.asyncio
async def test_a_client_that_leaves_within_its_body_is_not_looked_at_any_more(request_, journal):
    request_.post("Content-Length: 60", body=b"x")
    request_.channel.connectionLost(Failure(ConnectionLost()))
    await asyncio.sleep(2 * SECONDS)
    assert journal.counts["http.body_timeout"] == 0


@pytest.mark.asyncio
async def test_headers_that_come_too_slowly_get_a_408(request_, server, journal, caplog):
    began = time.monotonic()
    request_.channel.dataReceived(b"GET / HTTP/1.1\r\n")
    number = 0
    while not request_.answer and number < 100:
        await asyncio.sleep(SECONDS / 8)
        number += 1
        request_.channel.dataReceived(b"X-%d: 1\r\n" % number)
    assert SECONDS <= time.monotonic() - began < 5
    assert request_.answer.startswith(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n")
    assert request_.transport.disconnecting
    assert "http_header_timeout" in caplog.text
    assert journal.counts["http.header_timeout"] == 1
    assert server.created == []


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["whole", "left"])
async def test_a_request_has_its_time_for_headers_once(request_, server, journal, how):
    if how == "whole":
        request_.post("Content-Length: 0")
        assert len(server.created) == 1
    else:
        request_.channel.dataReceived(b"GET / HTTP/1.1\r\nHost")
        request_.channel.connectionLost(Failure(ConnectionLost()))
    await asyncio.sleep(2 * SECONDS)
    assert request_.answer == b""
    assert journal.counts["http.header_timeout"] == 0
