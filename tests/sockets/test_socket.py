"""A socket view's calls, against a server in the test's own event loop."""

import asyncio

import pytest

from djchan.exceptions import (
    InvalidSocketValue,
    SocketDisconnected,
    SocketStateError,
    UnexpectedFrame,
)
from tests.sockets.talk import Talk, kinds, scope_of, serving

pytestmark = pytest.mark.asyncio


class TestFrames:
    async def test_each_kind_comes_and_goes(self):
        async def view(socket):
            await socket.accept()
            await socket.send_text(await socket.receive_text())
            await socket.send_bytes(await socket.receive_bytes())
            await socket.send_json(await socket.receive_json())
            await socket.send_jsonb(await socket.receive_jsonb())
            await socket.send_text(repr([await socket.receive(), await socket.receive()]))

        async with Talk(serving(view)) as talk:
            for frame in ("text", b"bytes", '{"a": [1]}', b'{"b": "\xc3\xa4"}', "", b""):
                talk.say(frame)
            assert await talk.heard() == "text"
            assert await talk.heard() == b"bytes"
            assert await talk.heard() == '{"a":[1]}'
            assert await talk.heard() == b'{"b":"\\u00e4"}'
            assert await talk.heard() == "['', b'']"
            assert await talk.end() == {"type": "websocket.close", "code": 1000}

    async def test_iteration_ends_when_the_client_leaves(self):
        after = []

        async def view(socket):
            await socket.accept()
            async for frame in socket:
                await socket.send_json({"got": repr(frame)})
            after.append((socket.accepted, socket.close_code))

        async with Talk(serving(view)) as talk:
            for frame in ("a", b"b"):
                talk.say(frame)
            assert await talk.heard() == '{"got":"\'a\'"}'
            assert await talk.heard() == '{"got":"b\'b\'"}'
            talk.leave(4321)
            await talk.end()
        assert after == [(False, 4321)]
        assert kinds(talk.sent) == ["accept", "send", "send"], "nobody is there to be closed"

    async def test_iteration_ends_when_the_view_closes(self):
        async def view(socket):
            await socket.accept()
            frames = []
            async for frame in socket:
                frames.append(frame)
                await socket.close(4000)
            assert frames == ["first"]
            async for frame in socket:
                raise AssertionError(frame)

        async with Talk(serving(view)) as talk:
            talk.say("first")
            talk.say("second")
            assert await talk.end() == {"type": "websocket.close", "code": 4000}

    async def test_what_the_client_said_before_it_left_is_received(self):
        told = []

        async def view(socket):
            await socket.accept()
            while socket.close_code is None:
                await asyncio.sleep(0)
            told.append(await socket.receive_text())
            with pytest.raises(SocketDisconnected) as caught:
                await socket.receive_text()
            told.append(caught.value.code)
            with pytest.raises(SocketDisconnected):
                await socket.send_text("too late")

        async with Talk(serving(view)) as talk:
            await talk.next()
            talk.say("last words")
            talk.leave(3001)
            await talk.end()
        assert told == ["last words", 3001]

    async def test_a_waiting_receive_learns_that_the_client_left(self):
        async def view(socket):
            await socket.accept()
            await socket.receive_json()

        async with Talk(serving(view)) as talk:
            await talk.next()
            talk.leave()
            await talk.end()
        assert kinds(talk.sent) == ["accept"]

    async def test_a_view_that_only_sends_does_too(self, caplog):
        async def clock(socket):
            await socket.accept()
            while True:
                await socket.send_text("tick")
                await asyncio.sleep(0)

        async with Talk(serving(clock)) as talk:
            assert await talk.heard() == "tick"
            talk.leave()
            await talk.end()
        assert not caplog.records

    @pytest.mark.parametrize("ends", ["client", "view"])
    async def test_two_tasks_that_read_and_write_end_without_a_word(self, ends, caplog):
        async def view(socket):
            await socket.accept()

            async def read():
                while True:
                    await socket.receive_text()

            async def write():
                for _ in range(3):
                    await socket.send_text("tick")
                    await asyncio.sleep(0)
                if ends == "view":
                    await socket.close(4000)
                else:
                    await asyncio.Event().wait()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(read())
                tasks.create_task(write())

        async with Talk(serving(view)) as talk:
            assert [await talk.heard() for _ in range(3)] == ["tick"] * 3
            if ends == "client":
                talk.leave()
            await talk.end()
        assert not caplog.records
        assert kinds(talk.sent)[4:] == (["close"] if ends == "view" else [])

    @pytest.mark.parametrize("error", [ConnectionResetError(), RuntimeError("after close")])
    async def test_a_server_that_says_so_by_an_error(self, error):
        told = []

        async def view(socket):
            await socket.accept()
            try:
                await socket.send_text("hello")
            except SocketDisconnected as error:
                told.append(error.code)

        class Gone(Talk):
            async def send(self, event):
                await super().send(event)
                if event["type"] == "websocket.send":
                    raise error

        async with Gone(serving(view)) as talk:
            await talk.end()
        assert told == [1006]

    async def test_a_text_that_is_no_unicode_is_the_views_mistake(self):
        async def view(socket):
            await socket.accept()
            with pytest.raises(InvalidSocketValue, match="no Unicode"):
                await socket.send_text("\ud800")
            await socket.send_text("still open")

        class Encoding(Talk):
            async def send(self, event):
                event.get("text", "").encode()
                await super().send(event)

        async with Encoding(serving(view)) as talk:
            assert await talk.heard() == "still open"


class TestWrongUse:
    async def test_named_errors(self):
        told = []

        async def view(socket):
            for call in (socket.receive, socket.receive_json, lambda: socket.send_text("early")):
                with pytest.raises(SocketStateError, match="accept"):
                    await call()
            with pytest.raises(SocketStateError, match="accept"):
                async for _ in socket:
                    pass
            with pytest.raises(InvalidSocketValue):
                await socket.accept("mqtt")
            await socket.accept("chat")
            with pytest.raises(SocketStateError):
                await socket.accept()
            with pytest.raises(InvalidSocketValue):
                await socket.close(1011)
            with pytest.raises(InvalidSocketValue, match=r"send_text\(\) takes str, not bytes"):
                await socket.send_text(b"")
            with pytest.raises(InvalidSocketValue, match=r"takes bytes .* not str"):
                await socket.send_bytes("")
            with pytest.raises(InvalidSocketValue, match="JSON"):
                await socket.send_json(object())
            with pytest.raises(UnexpectedFrame):
                await socket.receive_bytes()
            with pytest.raises(UnexpectedFrame):
                await socket.receive_jsonb()
            with pytest.raises(UnexpectedFrame):
                await socket.receive_text()
            await socket.close(4000)
            await socket.close(4001)
            for call in (socket.receive, lambda: socket.send_text("late"), socket.accept):
                with pytest.raises(SocketStateError, match="closed with 4000"):
                    await call()
            told.append("end")

        async with Talk(serving(view), scope_of(subprotocols=["chat"])) as talk:
            assert await talk.next() == {"type": "websocket.accept", "subprotocol": "chat"}
            for frame in ("text", "1", b"bytes"):
                talk.say(frame)
            await talk.end()
        assert told == ["end"]
        assert kinds(talk.sent) == ["accept", "close"]

    async def test_a_view_that_asks_again_and_again_stops_nobody_else(self):
        async def stubborn(socket):
            await socket.accept()
            while True:
                try:
                    await socket.send_text(await socket.receive_text())
                except Exception:
                    continue

        async with Talk(serving(stubborn, leave_grace=0.05)) as talk:
            await talk.next()
            talk.leave()
            await talk.end()


class TestAbout:
    async def test_what_the_scope_says(self):
        seen = []

        async def view(socket):
            seen.append(
                {
                    "path": socket.path,
                    "scheme": socket.scheme,
                    "query_string": socket.query_string,
                    "params": socket.query_params.getlist("a"),
                    "header": socket.headers["x-ONE"],
                    "cookie": socket.headers.get("Cookie"),
                    "names": sorted(socket.headers),
                    "user": socket.scope["user"],
                    "state": socket.state.pool,
                    "subprotocols": socket.subprotocols,
                    "repr": repr(socket),
                }
            )
            socket.state.mine = 1

        headers = [
            (b"x-one", b"1"),
            (b"x-one", b"2"),
            (b"x_one", b"spoofed"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
        ]
        scope = scope_of(
            scheme="wss",
            query_string=b"a=1&a=%C3%A4&b",
            headers=headers,
            user="ada",
            state={"pool": "shared"},
            subprotocols=["x"],
        )
        async with Talk(serving(view), scope) as talk:
            await talk.end()
        assert seen == [
            {
                "path": "/ws/",
                "scheme": "wss",
                "query_string": "a=1&a=%C3%A4&b",
                "params": ["1", "ä"],
                "header": "1, 2",
                "cookie": "a=1; b=2",
                "names": ["Cookie", "X-One"],
                "user": "ada",
                "state": "shared",
                "subprotocols": ("x",),
                "repr": "<Socket '/ws/' connecting>",
            }
        ]
        assert scope["state"] == {"pool": "shared"}, "the state is the connection's own"

    async def test_a_scope_that_says_little(self):
        seen = []

        async def view(socket):
            seen.append((socket.scheme, socket.query_string, dict(socket.query_params)))

        async with Talk(serving(view), {"type": "websocket", "path": "/ws/"}) as talk:
            await talk.end()
        assert seen == [("ws", "", {})]


class TestPressure:
    async def test_a_full_backlog_is_not_read_on(self):
        go = asyncio.Event()

        async def view(socket):
            await socket.accept()
            await go.wait()
            for _ in range(50):
                await socket.send_text(await socket.receive_text())

        async with Talk(serving(view, backlog_frames=10)) as talk:
            await talk.next()
            for number in range(50):
                talk.say(str(number))
            for _ in range(200):
                await asyncio.sleep(0)
            assert talk.incoming.qsize() == 40, "the server keeps the rest, and its client waits"
            go.set()
            assert [await talk.heard() for _ in range(50)] == [str(n) for n in range(50)]

    async def test_a_view_that_never_takes_them_is_closed(self, caplog):
        told = []

        async def view(socket):
            await socket.accept()
            while True:
                try:
                    await socket.send_text("tick")
                except SocketDisconnected as error:
                    told.append(str(error))
                    return
                await asyncio.sleep(0.01)

        async with Talk(serving(view, backlog_bytes=10, stall=0.2)) as talk:
            await talk.next()
            talk.say("x" * 100)
            await talk.end()
        assert talk.sent[-1] == {"type": "websocket.close", "code": 1013}
        assert "not taken what the client sent (1 frames, 100 bytes" in told[0]
        assert "backlog_bytes" in caplog.text

    async def test_a_client_that_never_reads_is_closed(self, caplog):
        told = []

        async def view(socket):
            await socket.accept()
            try:
                await socket.send_text("x")
            except SocketDisconnected as error:
                told.append((error.code, str(error)))

        class Full(Talk):
            async def send(self, event):
                await super().send(event)
                if event["type"] == "websocket.send":
                    await asyncio.Event().wait()

        async with Full(serving(view, stall=0.1)) as talk:
            await talk.end()
        assert talk.sent[-1] == {"type": "websocket.close", "code": 1013}
        assert told[0][0] == 1013 and "has not read what it was sent for 0.1 s" in told[0][1]
        assert "has not read" in caplog.text
