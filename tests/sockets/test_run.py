"""The end of a socket view: whatever ends it, its socket ends with it."""

import asyncio
import sys

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from djchan.exceptions import DenyConnection, SocketDisconnected
from tests.sockets.talk import DEADLINE, Talk, kinds, scope_of, serving

pytestmark = pytest.mark.asyncio

WITH_STATUS = {"extensions": {"websocket.http.response": {}}}


def raising(error, *, accept):
    async def view(socket):
        if accept:
            await socket.accept()
        raise error

    return view


@pytest.mark.parametrize(
    ("error", "code", "logged"),
    [
        (ZeroDivisionError("oh"), 1011, "ZeroDivisionError: oh"),
        (SystemExit(3), 1011, "SystemExit"),
        (asyncio.CancelledError(), 1011, "CancelledError"),
        (PermissionDenied("no"), 1008, "no"),
        (Http404("a\nb"), 1008, r"'a\nb'"),
        (DenyConnection(), 1008, ""),
    ],
    ids=lambda given: type(given).__name__,
)
async def test_a_view_that_raises(error, code, logged, caplog):
    async with Talk(serving(raising(error, accept=True))) as talk:
        assert await talk.end() == {"type": "websocket.close", "code": code}
    assert logged in caplog.text


async def test_the_log_names_view_and_path(caplog):
    async with Talk(serving(raising(ZeroDivisionError("oh"), accept=True))) as talk:
        await talk.end()
    (record,) = caplog.records
    assert record.levelname == "ERROR" and record.name == "djchan.sockets.run"
    assert "raising.<locals>.view of a WebSocket to '/ws/': 'oh'" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("frame", "code", "logged"),
    [("{", 1007, "at character 1"), (b"{}", 1003, "a binary frame of 2 bytes")],
)
async def test_a_client_that_sends_what_was_not_asked_for(frame, code, logged, caplog):
    caplog.set_level("INFO", "djchan")

    async def view(socket):
        await socket.accept()
        await socket.receive_json()

    async with Talk(serving(view)) as talk:
        talk.say(frame)
        assert await talk.next() == {"type": "websocket.accept", "subprotocol": None}
        talk.say(frame)
        assert await talk.end() == {"type": "websocket.close", "code": code}
    (record,) = caplog.records
    assert record.levelname == "INFO" and record.exc_info is None
    assert logged in record.getMessage()


@pytest.mark.parametrize(
    ("error", "status"),
    [(DenyConnection(), 403), (Http404(), 404), (PermissionDenied(), 403), (KeyError("x"), 500)],
    ids=lambda given: type(given).__name__,
)
async def test_a_handshake_is_refused_with_a_status_where_the_server_can(error, status):
    async with Talk(serving(raising(error, accept=False)), scope_of(**WITH_STATUS)) as talk:
        await talk.end()
    assert kinds(talk.sent) == ["http.response.start", "http.response.body"]
    assert talk.sent[0]["status"] == status
    async with Talk(serving(raising(error, accept=False))) as talk:
        assert await talk.end() == {"type": "websocket.close"}


async def test_a_view_that_returns_without_accept_is_refused_with_a_warning(caplog):
    async def view(socket):
        pass

    async with Talk(serving(view)) as talk:
        assert await talk.end() == {"type": "websocket.close"}
    assert "returned without accept()" in caplog.text


async def test_a_view_that_closes_instead_of_accepting_is_refused_without_one(caplog):
    async def view(socket):
        await socket.close()

    async with Talk(serving(view), scope_of(**WITH_STATUS)) as talk:
        await talk.end()
        assert talk.sent[0]["status"] == 403
    assert not caplog.records


async def test_a_view_that_never_accepts_is_refused(caplog):
    told = []

    async def view(socket):
        await asyncio.sleep(0.3)
        try:
            await socket.accept()
        except SocketDisconnected as error:
            told.append(str(error))

    async with Talk(serving(view, connect_timeout=0.1), scope_of(**WITH_STATUS)) as talk:
        await talk.end()
    assert talk.sent[0]["status"] == 503
    assert "the handshake took too long" in told[0]
    assert "connect_timeout" in caplog.text


async def test_a_view_whose_client_left_may_finish():
    done = []

    async def view(socket):
        await socket.accept()
        try:
            await socket.receive()
        finally:
            await asyncio.sleep(0.05)
            done.append("farewell")

    async with Talk(serving(view)) as talk:
        await talk.next()
        talk.leave()
        await talk.end()
    assert done == ["farewell"]


async def test_but_not_for_ever():
    done = []

    async def view(socket):
        await socket.accept()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.append("canceled")
            raise

    async with Talk(serving(view, leave_grace=0.05)) as talk:
        await talk.next()
        talk.leave()
        await talk.end()
    assert done == ["canceled"]
    assert kinds(talk.sent) == ["accept"]


async def test_one_that_will_not_be_canceled_is_left_to_itself(caplog):
    go = asyncio.Event()

    async def view(socket):
        await socket.accept()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    async with Talk(serving(view, leave_grace=0.05)) as talk:
        await talk.next()
        talk.leave()
        await talk.end()
    assert "still runs" in caplog.text
    go.set()
    await asyncio.sleep(0)


async def test_when_the_server_stops_the_socket_is_closed_and_the_view_canceled():
    done = []

    async def view(socket):
        await socket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            done.append(sys.exc_info()[0])
            with pytest.raises(SocketDisconnected, match="the server stops"):
                await socket.send_text("last")

    async with Talk(serving(view)) as talk:
        await talk.next()
        talk.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talk.end()
    assert done == [asyncio.CancelledError]
    assert talk.sent[-1] == {"type": "websocket.close", "code": 1012}


async def test_what_a_view_puts_in_order_then_is_waited_for_once_canceled_or_twice():
    """Daphne cancels its applications at its end, and so does our part of that end."""
    done = []
    go = asyncio.Event()

    async def view(socket):
        await socket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            await go.wait()
            done.append("in order")

    application = serving(view)
    async with Talk(application) as talk:
        await talk.next()
        talk.task.cancel()
        assert (await talk.next())["code"] == 1012
        ending = asyncio.ensure_future(application.shutdown(DEADLINE))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not ending.done()
        go.set()
        await asyncio.wait_for(ending, DEADLINE)
        assert done == ["in order"]


async def test_a_view_that_fails_while_it_is_canceled_is_logged(caplog):
    async def view(socket):
        await socket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError("at the end")

    async with Talk(serving(view)) as talk:
        await talk.next()
        talk.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talk.end()
    assert "ZeroDivisionError: at the end" in caplog.text


async def test_a_server_whose_receive_fails_is_told_so():
    told = []

    async def view(socket):
        try:
            await socket.accept()
            await socket.receive()
        except SocketDisconnected as error:
            told.append(error.code)

    events = iter([{"type": "websocket.connect"}])

    async def receive():
        try:
            return next(events)
        except StopIteration:
            raise RuntimeError("receive is broken") from None

    async def send(event):
        pass

    with pytest.raises(RuntimeError, match="receive is broken"):
        await serving(view)(scope_of(), receive, send)
    assert told == [1006]


async def test_a_code_that_a_server_keeps_to_itself_gets_3000_more():
    class Picky(Talk):
        async def send(self, event):
            if event["type"] == "websocket.close" and event["code"] == 1011:
                raise Exception("invalid close code 1011")
            await super().send(event)

    async with Picky(serving(raising(ZeroDivisionError(), accept=True))) as talk:
        assert await talk.end() == {"type": "websocket.close", "code": 4011}
