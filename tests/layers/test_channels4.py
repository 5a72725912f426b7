"""djchan.layers.channels4: Channels 4's consumers over our layers, in memory and over Redis."""

import asyncio
import logging
from contextlib import asynccontextmanager

import channels.exceptions
import pytest
from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter

from djchan import names
from djchan.channel import Channel, Group
from djchan.exceptions import ProcessGone
from djchan.layers.channels4 import Channels4Layer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer

SOON = 5.0


@asynccontextmanager
async def face_over(layer):
    face = Channels4Layer(layer)
    try:
        async with asyncio.timeout(15):
            yield face
    finally:
        await face.close_pools()
        layer.close()


@pytest.fixture(params=["memory", "redis", "valkey"])
def layer(request):
    if request.param == "memory":
        return InMemoryChannelLayer()
    server = request.getfixturevalue(f"{request.param}_server")
    server.start()
    server.flush()
    return RedisChannelLayer([server.url])


@pytest.fixture
def memory():
    return InMemoryChannelLayer()


@pytest.mark.asyncio
class TestChannels:
    async def test_a_new_channel_gets_what_is_sent_to_it(self, layer):
        async with face_over(layer) as face:
            name = await face.new_channel()
            assert name.startswith("specific.")
            assert names.split_local(name) is not None
            await face.send(name, {"type": "a", "n": 1})
            await face.send(name, {"type": "a", "n": 2, "data": b"bytes"})
            assert await face.receive(name) == {"type": "a", "n": 1}
            assert await face.receive(name) == {"type": "a", "n": 2, "data": b"bytes"}

    async def test_names_have_the_prefix_asked_for(self, memory):
        async with face_over(memory) as face:
            one, two = await face.new_channel("x"), await face.new_channel("x")
            assert one.startswith("x.")
            assert one != two

    async def test_a_plain_channel(self, layer):
        async with face_over(layer) as face:
            waiting = asyncio.ensure_future(face.receive("plain"))
            await face.send("plain", {"type": "a", "n": 1})
            assert await waiting == {"type": "a", "n": 1}
            await Channel("plain", channel_layer=layer).asend({"n": 2})
            assert await face.receive("plain") == {"type": "djchan.message", "n": 2}

    async def test_a_receive_that_waits_does_not_hold_up_others(self, layer):
        async with face_over(layer) as face:
            waiting = [asyncio.ensure_future(face.receive(name)) for name in ("a", "b")]
            await face.send("b", {"type": "b"})
            assert await asyncio.wait_for(waiting[1], SOON) == {"type": "b"}
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            await face.send("a", {"type": "a"})
            assert await asyncio.wait_for(face.receive("a"), SOON) == {"type": "a"}

    async def test_a_full_channel(self):
        async with face_over(InMemoryChannelLayer(capacity=1)) as face:
            await face.send("plain", {"type": "a"})
            with pytest.raises(channels.exceptions.ChannelFull, match="capacity"):
                await face.send("plain", {"type": "a"})
            with pytest.raises(face.ChannelFull):
                await face.send("plain", {"type": "a"})

    async def test_a_message_is_a_dict(self, memory):
        async with face_over(memory) as face:
            with pytest.raises(TypeError, match="dict"):
                await face.send("a", ["type"])
            with pytest.raises(TypeError, match="dict"):
                await face.group_send("a", None)

    async def test_names_are_checked(self, memory):
        async with face_over(memory) as face:
            with pytest.raises(TypeError, match="a b"):
                await face.send("a b", {"type": "a"})
            with pytest.raises(TypeError, match="a:b"):
                await face.group_add("a:b", "a")
            with pytest.raises(TypeError, match="a:b"):
                await face.group_send("a:b", {"type": "a"})
            assert face.valid_channel_name("a")
            assert face.valid_group_name("a")
            with pytest.raises(TypeError):
                face.valid_group_name("a!")

    async def test_a_channel_ends_with_the_task_that_made_it(self, memory):
        async with face_over(memory) as face:
            name = await asyncio.ensure_future(face.new_channel())
            await asyncio.sleep(0)
            with pytest.raises(ValueError, match="not a channel of this event loop"):
                await face.receive(name)
            await face.send(name, {"type": "a"})  # To nobody; no error.

    async def test_a_consumer_that_does_not_keep_up_loses_what_is_too_much(self, caplog):
        async with face_over(InMemoryChannelLayer(channel_capacity={"specific.*": 3})) as face:
            name, other = await face.new_channel(), await face.new_channel()
            for n in range(9):
                await face.send(name, {"type": "a", "n": n})
            await face.send(other, {"type": "last"})
            await face.receive(other)
            assert [(await face.receive(name))["n"] for _ in range(3)] == [0, 1, 2]
            assert caplog.text.count("does not keep up") == 1
            await face.send(name, {"type": "a", "n": 9})
            assert (await face.receive(name))["n"] == 9

    async def test_messages_of_a_group_that_were_dropped_are_counted_and_logged_once(self, caplog):
        async with face_over(InMemoryChannelLayer(inbox_bytes=2000)) as face:
            name = await face.new_channel()
            await face.group_add("g", name)
            await face.send(name, {"type": "ready"})
            assert await face.receive(name) == {"type": "ready"}
            mailbox = face._loops.get().mailboxes[name]
            word = face.layer.group_word("g", {"type": "a", "text": "x" * 500})
            while mailbox.gaps < 2:
                # All before the reader has its turn. Once a beat has said that it was read,
                # there is room again, and another gap to come.
                face.layer.apply([word] * 10)
                await asyncio.sleep(0.05)
            assert caplog.text.count("missed messages of the group g") == 1
            assert "inbox_bytes" in caplog.text

    async def test_a_process_that_was_given_up_has_no_channels(self, memory):
        async with face_over(memory) as face:
            name = await face.new_channel()
            waiting = asyncio.ensure_future(face.receive(name))
            await asyncio.sleep(0)
            face._loops.get().mailboxes[name].on_dead()
            with pytest.raises(ProcessGone):
                await waiting


@pytest.mark.asyncio
class TestGroups:
    async def test_members_get_what_is_sent(self, layer):
        async with face_over(layer) as face:
            one, two = await face.new_channel(), await face.new_channel()
            await face.group_add("g", one)
            await face.group_add("g", two)
            await face.group_send("g", {"type": "a", "list": [1]})
            first, second = await face.receive(one), await face.receive(two)
            assert first == second == {"type": "a", "list": [1]}
            first["list"].append(2)  # Each has its own.
            assert second == {"type": "a", "list": [1]}
            await face.group_discard("g", one)
            await face.group_send("g", {"type": "b"})
            assert await face.receive(two) == {"type": "b"}
            await face.send(one, {"type": "last"})
            assert await face.receive(one) == {"type": "last"}

    async def test_a_message_of_djchan_has_a_type(self, layer):
        async with face_over(layer) as face:
            name = await face.new_channel()
            await Group("g", channel_layer=layer).aadd(name)
            await Group("g", channel_layer=layer).asend({"text": "hello"})
            assert await face.receive(name) == {"type": "djchan.message", "text": "hello"}

    async def test_a_plain_channel_is_a_member_like_others(self, layer):
        async with face_over(layer) as face:
            await face.group_add("g", "jobs")
            await face.group_send("g", {"type": "a"})
            assert layer.receive(["jobs"]) == ("jobs", {"type": "a"})

    async def test_a_message_to_one_socket_has_no_type(self, memory):
        async with face_over(memory) as face:
            heard = []

            class Socket:
                answered_seq = 0

                def on_replies(self, replies):
                    heard.extend(replies)

            name = await face.new_channel()
            local = memory.local()
            connection = local.new_connection(Socket())
            await face.send(
                names.reply_channel("websocket.send", local.id, connection),
                {"type": "websocket.send", "text": "hello"},
            )
            await face.send(name, {"type": "after"})
            await face.receive(name)
            assert heard == [{"text": "hello"}]


@pytest.mark.asyncio
async def test_flush(layer):
    async with face_over(layer) as face:
        await face.send("plain", {"type": "a"})
        await face.flush()
        assert layer.receive(["plain"]) == (None, None)


class TestOtherLoops:
    """``async_to_sync`` from a view: an event loop for one call."""

    def test_a_group_is_sent_to(self, layer):
        face = Channels4Layer(layer)
        async_to_sync(face.group_add)("g", "jobs")
        async_to_sync(face.group_send)("g", {"type": "a", "n": 1})
        assert layer.receive(["jobs"]) == ("jobs", {"type": "a", "n": 1})
        layer.close()

    def test_what_a_loop_had_is_closed_with_it(self, layer, caplog):
        # Else the interpreter warns of open connections, and warnings are errors here.
        face = Channels4Layer(layer)

        async def chat():
            name = await face.new_channel()
            await face.send(name, {"type": "a"})
            return await face.receive(name)

        for _ in range(2):
            assert asyncio.run(chat()) == {"type": "a"}
        assert len(face._loops) == 0
        assert "goodbye" not in caplog.text
        layer.close()


class Chat(AsyncWebsocketConsumer):
    """A consumer as projects write them for Channels 4."""

    async def connect(self):
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("room", {"type": "room.message", "text": text_data})

    async def room_message(self, event):
        await self.send(text_data=f"room: {event['text']}")

    async def djchan_message(self, event):
        await self.send(text_data=f"djchan: {event['text']}")


class Connection:
    """One connection to an ASGI application, as a server has it."""

    def __init__(self, application):
        self.sent = asyncio.Queue()
        self._received = asyncio.Queue()
        scope = {"type": "websocket", "path": "/", "headers": [], "subprotocols": []}
        self.task = asyncio.ensure_future(application(scope, self._received.get, self.sent.put))

    def event(self, kind, **fields):
        self._received.put_nowait({"type": f"websocket.{kind}", **fields})

    async def expect(self, kind):
        event = await asyncio.wait_for(self.sent.get(), SOON)
        assert event["type"] == f"websocket.{kind}"
        return event.get("text")

    async def open(self):
        self.event("connect")
        await self.expect("accept")

    async def close(self):
        self.event("disconnect", code=1000)
        await asyncio.wait_for(self.task, SOON)


@pytest.mark.asyncio
async def test_a_channels_4_project(layer, monkeypatch, caplog):
    async with face_over(layer) as face:
        monkeypatch.setattr("channels.consumer.get_channel_layer", lambda alias: face)
        application = ProtocolTypeRouter({"websocket": Chat.as_asgi()})
        one, two = Connection(application), Connection(application)
        await one.open()
        await two.open()
        one.event("receive", text="hello")
        assert await one.expect("send") == "room: hello"
        assert await two.expect("send") == "room: hello"
        # What a consumer in a worker does.
        await asyncio.to_thread(Group("room", channel_layer=layer).send, {"text": "from a worker"})
        assert await one.expect("send") == "djchan: from a worker"
        assert await two.expect("send") == "djchan: from a worker"
        await one.close()
        two.event("receive", text="alone")
        assert await two.expect("send") == "room: alone"
        await two.close()
        assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
