"""Appendix B of the contract, line by line: each test has the number of its line.

A line is shown once, from end to end, over real processes where it is about them; what lies
below it has tests of its own beside its module::

    1  the state table of a socket        here
    2  the worker after each event        here
    3  sends that wait                    here
    4  ChannelFull                        test_appendix_b_full.py
    5  HTTP                               test_appendix_b_http.py
    6  sessions                           test_appendix_b_sessions.py
    7  enforce_ordering                   test_appendix_b_processes.py
    8  delay                              test_appendix_b_processes.py
    9  runworker                          test_appendix_b_processes.py
    10 layer conformance                  test_appendix_b_layers.py
    11 the test client                    test_appendix_b_client.py
    12 daphne module:channel_layer        test_appendix_b_http.py
"""

import base64
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.compat.conftest import Site
from tests.compat.talk import code_of, request
from tests.processes.conftest import READY, socket
from tests.support import raw
from tests.support.raw import Raw, handshake

pytestmark = pytest.mark.timeout(60)


# ------------------------------------------------------ 1. §2.8 state table, all rows

B64 = base64.b64encode(b"\x00\xff").decode()

# What a connect consumer replies, then: the status of the handshake, what frames come, and
# the code that it is closed with (0: it stays open).
HANDSHAKING: dict[str, tuple[list[dict[str, Any]], int, list[tuple[int, bytes]], int]] = {
    "accept": ([{"accept": True}], 101, [], 0),
    "accept False": ([{"accept": False}], 403, [], 0),
    "accept False with text": ([{"accept": False, "text": "no"}], 403, [], 0),
    "text": ([{"text": "hi"}], 101, [(raw.TEXT, b"hi")], 0),
    "bytes": ([{"base64": B64}], 101, [(raw.BINARY, b"\x00\xff")], 0),
    "close": ([{"close": True}], 403, [], 0),
    "close with a code": ([{"close": 4003}], 403, [], 0),
    "text and close": ([{"text": "bye", "close": True}], 101, [(raw.TEXT, b"bye")], 1000),
    "bytes and close": ([{"base64": B64, "close": 4000}], 101, [(raw.BINARY, b"\x00\xff")], 4000),
    "accept and close": ([{"accept": True, "close": 4003}], 101, [], 4003),
    "nothing, then accept": ([{"text": ""}, {}, {"accept": True}], 101, [], 0),
}


def state(*replies: dict[str, Any]) -> str:
    return f"/state/?{quote(json.dumps(replies))}"


@pytest.mark.parametrize("row", HANDSHAKING)
def test_b01_state_table_handshaking(site: Site, row: str) -> None:
    replies, status, frames, code = HANDSHAKING[row]
    with Raw(site.server.port, handshake(state(*replies))) as client:
        assert client.status() == status
        if status == 101:
            assert [client.frame() for _ in frames] == frames
            if code:
                assert client.code() == code
            else:
                client.send(raw.frame(raw.TEXT, b'[{"text": "open"}]'))
                assert client.frame() == (raw.TEXT, b"open")


def test_b01_state_table_handshaking_without_an_answer(site: Site) -> None:
    nothing: list[dict[str, Any]] = [{"accept": True, "status": 200}, {"text": ""}, {}]
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Raw(site.server.port, handshake(state(reply)))) for reply in nothing
        ]
        # It goes on waiting, until connect_timeout (2 s here).
        assert [client.status() for client in clients] == [403] * len(nothing)
    assert time.monotonic() - begun > 1.9


OPEN: dict[str, tuple[list[dict[str, Any]], list[str | bytes], int]] = {
    "text": ([{"text": "hi"}], ["hi"], 0),
    "bytes": ([{"base64": B64}], [b"\x00\xff"], 0),
    # Mended: 1.x sent nothing.
    "empty text": ([{"text": ""}], [""], 0),
    "both": ([{"text": "a", "base64": B64}], [], 0),
    "accept": ([{"accept": True}], [], 0),
    "accept False": ([{"accept": False}], [], 0),
    "close": ([{"close": True}], [], 1000),
    "close 1000": ([{"close": 1000}], [], 1000),
    "close 3000": ([{"close": 3000}], [], 3000),
    "close 4999": ([{"close": 4999}], [], 4999),
    "text and close": ([{"text": "bye", "close": 4001}], ["bye"], 4001),
    "close 1001": ([{"close": 1001}], [], 0),
    "close 1011": ([{"close": 1011}], [], 0),
    "close 2999": ([{"close": 2999}], [], 0),
    "close 5000": ([{"close": 5000}], [], 0),
    "unknown key": ([{"text": "a", "status": 200}], [], 0),
    "unknown channel": ([{"text": "a", "channel": "websocket.send.nobody!1"}], [], 0),
}


@pytest.mark.parametrize("row", OPEN)
def test_b01_state_table_open(site: Site, row: str) -> None:
    replies, frames, code = OPEN[row]
    with socket(site.server, state({"accept": True})) as client:
        client.send(json.dumps(replies))
        assert [client.recv(timeout=10) for _ in frames] == frames
        if code:
            assert code_of(client) == code
        else:
            client.send('[{"text": "open"}]')
            assert client.recv(timeout=10) == "open"


def test_b01_state_table_errors_are_logged(site: Site) -> None:
    # After the rows above or before them: one line for a while stands for all of its kind.
    with socket(site.server, state({"accept": True})) as client:
        client.send(json.dumps([{"close": 1011}]))
        client.send(json.dumps([{"text": "logged"}]))
        assert client.recv(timeout=10) == "logged"
    # By the consumer that sent it.
    site.runworker.wait_printed(r"InvalidMessage: .*(no key|no close code|both text and bytes)")


# ------------------------------------------- 2. §1.9 table: worker alive after each row

# What the consumer does, with what follows for the socket, and what the log says.
EVENTS: dict[str, tuple[Callable[[ClientConnection], None], str]] = {}


def event(name: str, said: str) -> Callable[[Callable[[ClientConnection], None]], None]:
    return lambda follows: EVENTS.__setitem__(name, (follows, said))


def kept_and_open(client: ClientConnection) -> None:
    assert client.recv(timeout=10) == "before"
    client.send("ping")
    assert client.recv(timeout=10) == "before"


event("exception", r"lines\.consumers\.event.*\n(.*\n)*.*a receive consumer failed")(kept_and_open)
event("deny", r"lines\.consumers\.event raised DenyConnection for .*websocket\.receive")(
    kept_and_open
)
event("socket exception that fails", r"ChannelSocketException\.run\(\) failed")(kept_and_open)
event("exit", r"SystemExit: a consumer wants out")(kept_and_open)


@event("socket exception", "")
def waves(client: ClientConnection) -> None:
    assert [client.recv(timeout=10) for _ in range(2)] == ["before", "wave"]


@event("close exception", "")
def closes(client: ClientConnection) -> None:
    assert client.recv(timeout=10) == "before"
    assert code_of(client) == 4001


@event("later", r"lines\.consumers\.event raised ConsumeLater .* 11 times")
def after_eleven_runs(client: ClientConnection) -> None:
    kept_and_open(client)


@pytest.mark.parametrize("row", EVENTS)
def test_b02_worker_is_alive_after_each_row(site: Site, row: str) -> None:
    follows, said = EVENTS[row]
    with socket(site.server, "/rows/") as client:
        client.send(row)
        follows(client)
    if said:
        site.runworker.wait_printed(said)
    assert_alive(site)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/rows/deny/", ""), ("/rows/fail/", r"lines\.consumers\.fail.*\n(.*\n)*.*connect consumer")],
)
def test_b02_worker_is_alive_after_each_row_of_connect(site: Site, path: str, said: str) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(site.server, path):
        pass
    assert refused.value.response.status_code == 403
    if said:
        site.runworker.wait_printed(said)
    assert_alive(site)


@pytest.mark.parametrize("command", ["nonsense", 5])
def test_b02_worker_is_alive_after_each_row_of_routing(site: Site, command: object) -> None:
    site.layer.send("chat.receive", {"command": command})
    site.runworker.wait_printed(rf"on chat\.receive>: no route matches \(command={command!r}\)")
    assert_alive(site)


def assert_alive(site: Site) -> None:
    with socket(site.server, "/rows/") as client:
        client.send("ping")
        assert client.recv(timeout=10) == "before"
    assert site.runworker.running() and site.runworker.printed(READY) == 1
    assert not site.runworker.printed("lane of the worker|Please report")


# ------------------------------------------------------------------ 3. buffered send

BUFFERED = {
    "order": ["1", "2", "3"],
    "exception": ["kept"],
    # In 1.x each run had sent: now those that asked to run later have sent nothing.
    "later": ["run 3"],
    "immediately": ["overtakes", "waits"],
    "thread": ["a thread's own", "waits"],
    # In 1.x: as it became.
    "change": ["as it was sent"],
}


@pytest.mark.parametrize("how", BUFFERED)
def test_b03_buffered_send(site: Site, how: str) -> None:
    with socket(site.server, f"/buffer/b03_{how}/") as client:
        client.send(how)
        assert [client.recv(timeout=10) for _ in BUFFERED[how]] == BUFFERED[how]
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.05)


def test_b03_buffered_send_waits_for_the_consumers_return(site: Site) -> None:
    with socket(site.server, "/buffer/b03_waits/") as client:
        client.send("order")
        client.recv(timeout=10)
        came = time.time()
    (returned,) = site.marked("returns b03_waits ")
    assert came >= float(returned)


def test_b03_buffered_send_in_a_view(site: Site) -> None:
    with socket(site.server, "/buffer/b03_view/") as client:
        with request(site.server, "GET", "/tell/b03_view/") as response:
            assert response.read() == b"told"
        assert [client.recv(timeout=10) for _ in range(2)] == ["first", "second"]
