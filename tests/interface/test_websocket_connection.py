"""One socket between a server and a layer that exist in the test only."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from djchan.interface.application import Interface
from djchan.layers import codec
from tests.interface.fakes import FakeLayer, Server, settle, until, websocket_scope


@asynccontextmanager
async def connecting(*, layer=None, scope=None, **options):
    """(server, local, interface) of a socket whose websocket.connect is out."""
    layer = layer or FakeLayer()
    interface = Interface(layer, options)
    server = Server(interface, scope or websocket_scope())
    server.event("websocket.connect")
    await settle()
    try:
        yield server, layer.process, interface
    finally:
        await server.end()


@asynccontextmanager
async def opened(**keys):
    async with connecting(**keys) as (server, local, interface):
        local.handlers["c1"].on_answer(1, [{"accept": True}], "")
        await server.wait("websocket.accept")
        yield server, local, interface


def envelope(local, index=-1):
    return codec.decode_envelope(local.submitted[index][0].payload)


@pytest.mark.asyncio
async def test_the_whole_life_of_a_socket():
    async with connecting() as (server, local, interface):
        ((channel, seq, (message,)),) = local.deliveries()
        assert (channel, seq) == ("websocket.connect", 1)
        assert message["reply_channel"] == "websocket.send.process!c1"
        assert (message["path"], message["order"]) == ("/chat/", 0)
        assert envelope(local).expires == 1_000_000 + 4000
        assert local.submitted[0][0].capacity == 100
        assert local.submitted[0][0].owner == ("process", "c1")
        assert list(local.records) == ["c1"]

        handler = local.handlers["c1"]
        handler.on_answer(1, [{"accept": True}], "")
        assert handler.answered_seq == 1
        await server.wait("websocket.accept")

        server.event("websocket.receive", text="hello")
        await settle()
        channel, seq, (message,) = local.deliveries()[-1]
        assert (channel, seq) == ("websocket.receive", 2)
        assert message == {
            "reply_channel": "websocket.send.process!c1",
            "path": "/chat/",
            "order": 1,
            "text": "hello",
        }
        assert envelope(local).expires == 0, "socket deliveries do not expire in the queue"

        server.event("websocket.receive", text="a")
        server.event("websocket.receive", bytes=b"b")
        await settle()
        assert len(local.submitted) == 2, "one delivery is in flight"
        handler.on_answer(2, [{"text": "you said hello"}], "")
        assert (await server.wait("websocket.send"))["text"] == "you said hello"
        channel, seq, messages = local.deliveries()[-1]
        assert (channel, seq) == ("websocket.receive", 3)
        assert [m["order"] for m in messages] == [2, 3]
        assert local.submitted[-1][0].frames == 2

        server.event("websocket.disconnect", code=1001)
        await asyncio.wait_for(server.task, 5)
        assert local.left == ["c1"]
        assert local.channels()[-1] == "websocket.receive", "it waits for its turn"
        handler.on_answer(3, [{"text": "too late"}], "")
        channel, seq, (message,) = local.deliveries()[-1]
        assert (channel, seq) == ("websocket.disconnect", 4)
        assert (message["code"], message["order"]) == (1001, 4)
        push = local.submitted[-1][0]
        assert (push.capacity, push.if_served) == (0, True), "exempt, while anyone serves it"
        assert (push.owner, push.last) == (("process", "c1"), True)
        assert [push.last for push, _ in local.submitted[:-1]] == [False] * 3
        await settle()
        assert local.records == {}
        assert local.forgotten == []
        handler.on_answer(4, [], "")
        assert local.forgotten == ["c1"]
        assert not interface.connections


@pytest.mark.asyncio
async def test_only_the_right_answer_releases():
    async with opened() as (server, local, _):
        server.event("websocket.receive", text="a")
        await settle()
        server.event("websocket.receive", text="b")
        await settle()
        handler = local.handlers["c1"]
        handler.on_answer(1, [{"text": "again"}], "")
        handler.on_answer(7, [{"text": "again"}], "")
        handler.on_replies([{"text": "from elsewhere"}])
        assert (await server.wait("websocket.send"))["text"] == "from elsewhere"
        assert len(local.submitted) == 2
        assert handler.unanswered() is not None
        handler.on_answer(2, [], "")
        assert len(local.submitted) == 3


@pytest.mark.asyncio
async def test_what_to_send_again_after_a_loss_of_state():
    async with opened() as (server, local, _):
        handler = local.handlers["c1"]
        assert handler.unanswered() is None
        server.event("websocket.receive", text="a")
        await settle()
        push = handler.unanswered()
        assert push.channel == "websocket.receive"
        assert push.payload == local.submitted[-1][0].payload
        assert not push.if_served, "it was served when it was sent"
        for runs in (1, 2):
            copy = handler.copy()
            assert codec.decode_envelope(copy.payload).runs == runs
            # Nothing refuses it: it was admitted when it was sent first.
            assert (copy.capacity, copy.max_bytes, copy.total) == (0, 0, 0)
            assert handler.unanswered() is copy
        handler.on_answer(2, [], "")
        assert handler.unanswered() is None


@pytest.mark.asyncio
async def test_frames_that_are_answered_are_not_sent_again():
    async with opened() as (server, local, _):
        handler = local.handlers["c1"]
        for text in "abc":
            server.event("websocket.receive", text=text)
        await settle()
        handler.on_answer(2, [], "")
        push = handler.unanswered()
        assert (push.frames, push.done) == (2, 0)
        handler.on_progress(3, 1, [{"text": "A"}])
        handler.on_progress(3, 1, [{"text": "A again"}])
        handler.on_progress(2, 9, [{"text": "long ago"}])
        assert (await server.wait("websocket.send"))["text"] == "A"
        assert handler.unanswered() == push._replace(done=1)
        assert (handler.answered_seq, handler.answered_frames) == (2, 1)
        handler.on_answer(3, [{"text": "B"}], "")
        handler.on_progress(3, 2, [{"text": "after the end"}])
        assert (handler.answered_seq, handler.answered_frames) == (3, 0)
        assert handler.unanswered() is None
        await settle()
        assert [event["text"] for event in server.sent if "text" in event] == ["A", "B"]


@pytest.mark.parametrize("result", ["full", "unserved"])
@pytest.mark.asyncio
async def test_what_was_answered_in_part_does_not_wait_again(result):
    """Its Send was lost with the layer's state, and said again where there is no room now."""
    async with opened() as (server, local, _):
        handler = local.handlers["c1"]
        local.held = True
        for text in "ab":
            server.event("websocket.receive", text=text)
        await settle()
        _, done = local.submitted[-1]
        handler.on_progress(handler._mailbox.seq, 1, [])
        submitted = len(local.submitted)
        done(result)
        await settle()
        assert len(local.submitted) == submitted, "a copy from there on was sent besides"
        assert handler.unanswered().done == 1


@pytest.mark.asyncio
async def test_a_handshake_that_nobody_answers_is_denied():
    async with connecting(connect_timeout=0.01) as (server, local, interface):
        await server.wait("websocket.close")
        assert server.types() == ["websocket.close"]
        server.event("websocket.disconnect", code=1006)
        await asyncio.wait_for(server.task, 5)
        local.handlers["c1"].on_answer(1, [{"accept": True}], "")
        _, seq, (message,) = local.deliveries()[-1]
        assert (seq, message["code"], message["order"]) == (2, 1006, 1)
        assert server.types() == ["websocket.close"]
        assert interface.counts["connect.timeout"] == 1


@pytest.mark.asyncio
async def test_the_layer_has_a_disconnect_for_the_day_the_process_dies():
    async with opened() as (server, local, _):
        record = local.records["c1"]
        assert record[:3] == ("process", "c1", "websocket.disconnect")
        lost = codec.decode_envelope(record.payload)
        assert (lost.channel, lost.seq, lost.process) == ("websocket.disconnect", 0, "")
        assert lost.expires == 0
        (frame,) = lost.frames
        assert {**codec.decode(lost.common), **codec.decode(frame)} == {
            "reply_channel": "websocket.send.process!c1",
            "path": "/chat/",
            "order": 2**31 - 1,
            "code": 1006,
        }
        assert codec.message_id(lost, codec.decode(frame)) == "process.c1.disconnect"
        handler = local.handlers["c1"]
        assert handler.record() == record, "the same after a loss of state"
        server.event("websocket.receive", text="a")
        await settle()
        server.event("websocket.disconnect", code=1000)
        await settle()
        assert handler.record() == record, "the frame is under way, the disconnect is not"
        local.held = True
        handler.on_answer(2, [], "")
        assert local.channels()[-1] == "websocket.disconnect"
        assert handler.record() == record, "it may not have got there"
        local.submitted[-1][1]("ok")
        assert handler.record() is None
        assert handler.unanswered().last


@pytest.mark.asyncio
async def test_a_socket_that_no_consumer_heard_of_has_none():
    layer = FakeLayer()
    layer.process.available = False
    async with connecting(layer=layer) as (server, local, _):
        handler = local.handlers["c1"]
        await server.wait("websocket.close")
        assert handler.record() is None and local.records == {}


@pytest.mark.asyncio
async def test_disconnects_wait_for_a_turn_and_hold_nobody_up():
    layer = FakeLayer()
    interface = Interface(layer, disconnects=2)
    local = layer.process
    servers = [Server(interface, websocket_scope()) for _ in range(5)]
    for number, server in enumerate(servers, 1):
        server.event("websocket.connect")
        await settle()
        local.handlers[f"c{number}"].on_answer(1, [{"accept": True}], "")
        server.event("websocket.disconnect", code=1001)
        await asyncio.wait_for(server.task, 5)

    def said():
        return [push.owner[1] for push, _ in local.submitted if push.last]

    assert said() == ["c1", "c2"]
    assert interface.counts["disconnects waiting"] == 3
    assert interface.counts["disconnect.waited"] == 3
    assert len(interface.connections) == 5, "they are kept"
    assert local.handlers["c3"].record() is not None

    # Others connect, are heard, and answered.
    other = Server(interface, websocket_scope())
    other.event("websocket.connect")
    await settle()
    local.handlers["c6"].on_answer(1, [{"accept": True}], "")
    other.event("websocket.receive", text="hello")
    await settle()
    assert local.channels()[-1] == "websocket.receive"
    local.handlers["c6"].on_answer(2, [{"text": "hello"}], "")
    assert (await other.wait("websocket.send"))["text"] == "hello"

    local.handlers["c2"].on_answer(2, [], "")
    await settle()
    assert said() == ["c1", "c2", "c3"]
    for connection in ("c1", "c3", "c4", "c5"):
        await until(lambda: connection in said())  # noqa: B023
        local.handlers[connection].on_answer(2, [], "")
    await until(lambda: len(interface.connections) == 1)
    assert said() == ["c1", "c2", "c3", "c4", "c5"]
    assert interface.turns.taken == 0
    await other.end()


@pytest.mark.asyncio
async def test_a_buried_process_gives_no_turn_to_who_was_buried_with_it():
    layer = FakeLayer()
    interface = Interface(layer, disconnects=1)
    local = layer.process
    servers = [Server(interface, websocket_scope()) for _ in range(3)]
    for number, server in enumerate(servers, 1):
        server.event("websocket.connect")
        await settle()
        local.handlers[f"c{number}"].on_answer(1, [{"accept": True}], "")
        server.event("websocket.disconnect", code=1001)
        await asyncio.wait_for(server.task, 5)
    said = len(local.submitted)
    for handler in list(local.handlers.values()):
        handler.on_dead()
    await settle()
    assert len(local.submitted) == said, "the layer sends them"
    assert (interface.turns.taken, interface.turns.waiting) == (0, 0)


@pytest.mark.asyncio
async def test_while_too_many_disconnects_wait_nobody_gets_in(caplog):
    layer = FakeLayer()
    interface = Interface(layer, disconnects=1, disconnects_waiting=1)
    local = layer.process
    for number in (1, 2):
        server = Server(interface, websocket_scope())
        server.event("websocket.connect")
        await settle()
        local.handlers[f"c{number}"].on_answer(1, [{"accept": True}], "")
        server.event("websocket.disconnect", code=1001)
        await asyncio.wait_for(server.task, 5)
    late = Server(interface, websocket_scope())
    late.event("websocket.connect")
    assert (await late.wait("websocket.close"))["code"] == 1013
    assert "disconnects_waiting" in caplog.text
    assert interface.counts["connect.behind"] == 1
    await late.end()


@pytest.mark.asyncio
async def test_who_leaves_is_answered_first_and_then_closed():
    async with opened() as (server, local, interface):
        interface.draining = True
        handler = local.handlers["c1"]
        server.event("websocket.receive", text="a")
        await settle()
        server.event("websocket.receive", text="b")  # Not yet read by us.
        handler.leave()
        await settle()
        server.event("websocket.receive", text="too late")
        await settle()
        assert server.types() == ["websocket.accept"]
        handler.on_answer(2, [{"text": "A"}], "")
        assert [m["text"] for m in local.deliveries()[-1][2]] == ["b"]
        assert "websocket.close" not in server.types()
        handler.on_answer(3, [{"text": "B"}], "")
        assert (await server.wait("websocket.close"))["code"] == 1012
        assert [event.get("text") for event in server.sent[1:-1]] == ["A", "B"]
        channel, _, (message,) = local.deliveries()[-1]
        assert (channel, message["code"]) == ("websocket.disconnect", 1012)


@pytest.mark.asyncio
async def test_who_leaves_with_nothing_under_way_is_closed_at_once():
    async with opened() as (server, local, interface):
        interface.draining = True
        local.handlers["c1"].leave()
        assert (await server.wait("websocket.close"))["code"] == 1012
        await settle()
        assert local.channels()[-1] == "websocket.disconnect"


@pytest.mark.asyncio
async def test_a_handshake_that_is_under_way_is_finished_first():
    async with connecting() as (server, local, interface):
        interface.draining = True
        local.handlers["c1"].leave()
        await settle()
        assert server.sent == []
        local.handlers["c1"].on_answer(1, [{"accept": True}, {"text": "hello"}], "")
        await server.wait("websocket.close")
        assert server.types() == ["websocket.accept", "websocket.send", "websocket.close"]


@pytest.mark.asyncio
async def test_a_socket_is_heard_until_its_turn_though_the_server_has_cancelled():
    async with opened() as (server, local, interface):
        interface.draining = True  # As Daphne's adapter does before anything runs.
        await server.end()
        server.event("websocket.receive", text="still")
        await until(lambda: local.channels()[-1] == "websocket.receive")
        handler = local.handlers["c1"]
        handler.on_answer(2, [{"text": "heard"}], "")
        assert (await server.wait("websocket.send"))["text"] == "heard"
        reading = handler._reading
        handler.leave()
        assert (await server.wait("websocket.close"))["code"] == 1012
        await until(reading.done)


@pytest.mark.asyncio
async def test_who_goes_by_himself_after_that_is_told_with_his_own_code():
    async with opened() as (server, local, interface):
        interface.draining = True
        await server.end()
        reading = local.handlers["c1"]._reading
        server.event("websocket.disconnect", code=1001)
        await until(reading.done)
        channel, _, (message,) = local.deliveries()[-1]
        assert (channel, message["code"]) == ("websocket.disconnect", 1001)
        assert not reading.cancelled()


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [codec.POISON, codec.LOST, codec.EXPIRED, codec.STUCK])
async def test_a_connect_that_was_given_up_is_denied(status):
    async with connecting() as (server, local, _):
        local.handlers["c1"].on_answer(1, [], status)
        await server.wait("websocket.close")


@pytest.mark.asyncio
@pytest.mark.parametrize("later", [0, 2])
async def test_frames_that_waited_for_a_stuck_consumer_are_logged(later, caplog):
    async with opened() as (server, local, interface):
        for number in range(1 + later):
            server.event("websocket.receive", text=f"{number}")
        await settle()
        local.handlers["c1"].on_answer(2, [], codec.STUCK)
        await server.wait("websocket.close")
        assert interface.journal.counts["stuck.behind"] == (later > 0)
    lines = [each for each in caplog.records if "run_limit" in each.getMessage()]
    assert [each.connection for each in lines] == ["websocket.send.process!c1"] * (later > 0)
    assert all("2 frames that came later" in each.getMessage() for each in lines)


@pytest.mark.asyncio
@pytest.mark.parametrize("left_first", [True, False])
@pytest.mark.parametrize("status", [codec.EXPIRED, codec.POISON])
async def test_only_a_connect_that_never_ran_has_no_disconnect(status, left_first):
    async with connecting() as (server, local, interface):
        handler = local.handlers["c1"]
        if left_first:
            server.event("websocket.disconnect", code=1006)
            await settle()
        handler.on_answer(1, [], status)
        if not left_first:
            await server.wait("websocket.close")
            server.event("websocket.disconnect", code=1006)
        await settle()
        expired = status == codec.EXPIRED
        assert ("websocket.disconnect" in local.channels()) is not expired
        assert (local.forgotten == ["c1"]) is expired
        assert (handler not in interface.connections) is expired


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [codec.UNROUTED, codec.DONE])
async def test_a_connect_that_came_to_nothing_waits_for_the_timeout(status):
    async with connecting() as (server, local, _):
        local.handlers["c1"].on_answer(1, [], status)
        await settle()
        assert server.sent == []


@pytest.mark.asyncio
async def test_a_connect_whose_consumer_raised_is_denied_at_once():
    async with connecting() as (server, local, _):
        local.handlers["c1"].on_answer(1, [], codec.FAILED)
        await settle()
        assert server.types() == ["websocket.close"]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [codec.POISON, codec.STUCK])
async def test_poison_closes_1011_and_the_disconnect_is_a_new_delivery(status):
    async with opened() as (server, local, _):
        server.event("websocket.receive", text="a")
        await settle()
        local.handlers["c1"].on_answer(2, [], status)
        assert (await server.wait("websocket.close"))["code"] == 1011
        server.event("websocket.disconnect", code=1011)
        await settle()
        channel, seq, _ = local.deliveries()[-1]
        assert (channel, seq) == ("websocket.disconnect", 3)


@pytest.mark.asyncio
async def test_a_mailbox_that_overflows_closes_1013_and_keeps_what_came_before(caplog):
    async with opened(mailbox_frames=2) as (server, local, interface):
        for text in "abcde":
            server.event("websocket.receive", text=text)
        assert (await server.wait("websocket.close"))["code"] == 1013
        server.event("websocket.receive", text="f")
        server.event("websocket.disconnect", code=1013)
        await asyncio.wait_for(server.task, 5)
        handler = local.handlers["c1"]
        handler.on_answer(2, [], "")
        handler.on_answer(3, [], "")
        handler.on_answer(4, [], "")
        frames = [(c, [m.get("text") for m in ms]) for c, _, ms in local.deliveries()[1:]]
        assert frames == [
            ("websocket.receive", ["a"]),
            ("websocket.receive", ["b", "c"]),
            ("websocket.disconnect", [None]),
        ]
        assert local.deliveries()[-1][2][0]["order"] == 4, "no gap for the lost one"
        assert interface.counts["mailbox.overflow"] == 1
        assert "mailbox_frames (2)" in caplog.text


@pytest.mark.asyncio
async def test_a_full_receive_channel_is_tried_again_with_fewer_frames():
    async with opened() as (server, local, _):
        local.results["websocket.receive"] = "full"
        for text in "abcd":
            server.event("websocket.receive", text=text)
        await until(lambda: len(local.submitted) >= 4)
        local.results.clear()
        await settle()
        tries = [(seq, [m["text"] for m in ms]) for _, seq, ms in local.deliveries()[1:]]
        assert tries[0] == (2, ["a"])
        assert tries[1] == (2, ["a"]), "the same number: nobody has seen it"
        await until(lambda: local.handlers["c1"].unanswered() is not None)
        local.handlers["c1"].on_answer(2, [], "")
        _, seq, messages = local.deliveries()[-1]
        assert seq == 3 and messages[0]["text"] == "b"


@pytest.mark.asyncio
async def test_a_receive_channel_that_stays_full_closes_1013_with_a_disconnect(caplog):
    async with opened(full_wait=0.15) as (server, local, interface):
        local.results["websocket.receive"] = "full"
        for text in "ab":
            server.event("websocket.receive", text=text)
        assert (await server.wait("websocket.close"))["code"] == 1013
        server.event("websocket.disconnect", code=1013)
        await settle()
        channel, seq, (message,) = local.deliveries()[-1]
        assert (channel, seq, message["order"]) == ("websocket.disconnect", 2, 1)
        assert interface.counts["frames.lost"] == 2
        for word in ("websocket.receive", "100 messages", "full_wait", "channel_capacity"):
            assert word in caplog.text


@pytest.mark.asyncio
async def test_a_full_connect_channel_refuses_by_503_where_the_server_can(caplog):
    layer = FakeLayer()
    layer.process.results["websocket.connect"] = "full"
    scope = websocket_scope(extensions={"websocket.http.response": {}})
    async with connecting(layer=layer, scope=scope) as (server, local, _):
        assert (await server.wait("websocket.http.response.start"))["status"] == 503
        server.event("websocket.disconnect", code=1006)
        await settle()
        assert local.channels() == ["websocket.connect", "websocket.disconnect"]
        assert local.submitted[-1][0].capacity == 100, "this one has no other bound"
        assert "'websocket.connect' holds 100 messages, its capacity" in caplog.text


@pytest.mark.asyncio
async def test_a_full_connect_channel_refuses_by_1013_elsewhere():
    layer = FakeLayer()
    layer.process.results.update({"websocket.connect": "full", "websocket.disconnect": "full"})
    async with connecting(layer=layer) as (server, local, interface):
        assert (await server.wait("websocket.close"))["code"] == 1013
        assert server.types() == ["websocket.accept", "websocket.close"]
        server.event("websocket.disconnect", code=1013)
        await until(lambda: local.forgotten == ["c1"])
        assert not interface.connections


@pytest.mark.asyncio
async def test_frames_for_a_channel_that_nobody_serves_do_not_hold_up_the_disconnect(caplog):
    async with opened(unserved_wait=0.1) as (server, local, interface):
        local.results["websocket.receive"] = "unserved"
        server.event("websocket.receive", text="a")
        await settle()
        assert local.submitted[-1][0].if_served
        server.event("websocket.disconnect", code=1000)
        await until(lambda: local.channels()[-1] == "websocket.disconnect")
        assert interface.counts["frames.lost"] == 1
        assert "No worker serves websocket.receive" in caplog.text


@pytest.mark.asyncio
async def test_once_a_worker_took_frames_they_wait_in_the_queue():
    async with opened() as (server, local, _):
        server.event("websocket.receive", text="a")
        await settle()
        local.handlers["c1"].on_answer(2, [], "")
        server.event("websocket.receive", text="b")
        await settle()
        assert [push.if_served for push, _ in local.submitted] == [False, True, False]


@pytest.mark.asyncio
async def test_a_disconnect_that_nobody_serves_is_given_up():
    async with opened(unserved_wait=0.1) as (server, local, interface):
        local.results["websocket.disconnect"] = "unserved"
        server.event("websocket.disconnect", code=1000)
        await until(lambda: local.forgotten == ["c1"])
        assert local.channels().count("websocket.disconnect") > 1
        assert not interface.connections
    async with opened(unserved_wait=0.001) as (server, local, _):
        local.results["websocket.disconnect"] = "unserved"
        interface.served.unserved("websocket.disconnect", 0)
        server.event("websocket.disconnect", code=1000)
        await until(lambda: local.forgotten == ["c1"])


@pytest.mark.asyncio
async def test_a_client_that_does_not_read_is_closed_and_nobody_waits():
    async with opened(outgoing_bytes=10_000) as (server, local, interface):
        server.stuck = True
        handler = local.handlers["c1"]
        for _ in range(5):
            handler.on_replies([{"text": "x" * 4000}])
            await settle()
        assert (await server.wait("websocket.close"))["code"] == 1013
        assert interface.counts["outgoing.overflow"] == 1
        server.event("websocket.receive", text="ignored")
        server.event("websocket.disconnect", code=1006)
        await settle()
        assert local.channels()[-1] == "websocket.disconnect"


@pytest.mark.asyncio
async def test_a_server_that_fails_to_write_does_not_end_the_record():
    async with opened() as (server, local, _):
        server.refuses = lambda event: True
        local.handlers["c1"].on_replies([{"text": "x"}])
        await settle()
        server.event("websocket.disconnect", code=1006)
        await settle()
        assert local.channels()[-1] == "websocket.disconnect"


@pytest.mark.asyncio
async def test_a_message_that_cannot_be_done_is_logged_and_changes_nothing(caplog):
    async with opened() as (server, local, _):
        local.handlers["c1"].on_replies([{"close": 1001}, {"txet": "x"}, {"text": "fine"}])
        assert (await server.wait("websocket.send"))["text"] == "fine"
        assert "1001" in caplog.text


@pytest.mark.asyncio
async def test_a_frame_over_the_layers_limit_closes_1009():
    layer = FakeLayer()
    layer.max_message_size = 500
    async with opened(layer=layer) as (server, _local, interface):
        server.event("websocket.receive", text="x" * 600)
        assert (await server.wait("websocket.close"))["code"] == 1009
        assert interface.counts["frame.too_large"] == 1


@pytest.mark.asyncio
async def test_a_socket_lives_as_long_as_group_expiry_and_its_client_comes_back():
    async with opened(layer=FakeLayer(group_expiry=0.05)) as (server, _, _):
        assert (await server.wait("websocket.close"))["code"] == 1012


@pytest.mark.asyncio
async def test_without_a_limit_no_timer_runs():
    async with opened(layer=FakeLayer(group_expiry=0)) as (_, local, _):
        assert local.handlers["c1"]._age is None


@pytest.mark.asyncio
@pytest.mark.parametrize(("option", "types"), [(True, 1), (False, 0)])
async def test_members_learn_of_a_gap(option, types):
    async with opened(close_on_gap=option) as (server, local, _):
        local.handlers["c1"].on_gap("room")
        await settle()
        assert server.types().count("websocket.close") == types


@pytest.mark.asyncio
async def test_a_process_that_was_buried_closes_1012_and_says_no_more():
    async with opened() as (server, local, interface):
        local.handlers["c1"].on_dead()
        assert (await server.wait("websocket.close"))["code"] == 1012
        server.event("websocket.disconnect", code=1012)
        await asyncio.wait_for(server.task, 5)
        assert local.channels() == ["websocket.connect"]
        assert not interface.connections


@pytest.mark.asyncio
async def test_a_coroutine_that_is_cancelled_still_says_goodbye():
    async with opened() as (server, local, _):
        server.event("websocket.receive", text="a")
        await settle()
        server.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server.task
        local.handlers["c1"].on_answer(2, [], "")
        channel, _, (message,) = local.deliveries()[-1]
        assert (channel, message["code"]) == ("websocket.disconnect", 1006)


@pytest.mark.asyncio
async def test_a_server_that_never_says_disconnect_is_not_waited_for():
    async with opened(close_wait=0.01) as (server, local, _):
        local.handlers["c1"].on_replies([{"close": 4001}])
        await server.wait("websocket.close")
        await until(lambda: local.channels()[-1] == "websocket.disconnect")
        assert local.deliveries()[-1][2][0]["code"] == 4001


@pytest.mark.asyncio
async def test_without_redis_frames_stay_in_the_network_and_then_go_on():
    async with opened(mailbox_frames=4) as (server, local, interface):
        local.down_since = 1.0
        for text in "abcdefgh":
            server.event("websocket.receive", text=text)
        await settle()
        assert interface.counts["websocket.held"] == 1
        assert server.events.qsize() > 0, "not read any more"
        assert "websocket.close" not in server.types()
        local.down_since = None
        handler = local.handlers["c1"]
        said = []
        while len(said) < 8:
            _, seq, messages = local.deliveries()[-1]
            said += [message["text"] for message in messages]
            handler.on_answer(seq, [], "")
            await settle()
        assert said == list("abcdefgh")


@pytest.mark.asyncio
@pytest.mark.parametrize(("away", "code"), [(None, None), (1.0, 1013)])
async def test_a_handshake_that_redis_kept_waiting_may_come_back(away, code):
    layer = FakeLayer()
    layer.process.down_since = away
    async with connecting(layer=layer, connect_timeout=0.05) as (server, _, _):
        assert (await server.wait("websocket.close")).get("code") == code


@pytest.mark.asyncio
async def test_a_new_socket_is_refused_at_once_without_redis():
    layer = FakeLayer()
    async with opened(layer=layer) as (_, local, interface):
        local.available = False
        second = Server(interface, websocket_scope())
        second.event("websocket.connect")
        assert (await second.wait("websocket.close"))["code"] == 1013
        second.event("websocket.disconnect", code=1013)
        await asyncio.wait_for(second.task, 5)
        assert local.channels() == ["websocket.connect"]
        assert local.forgotten == ["c2"]


class TestCloses:
    """The class of each close code is counted, and goes to a log of its own."""

    @staticmethod
    def closed(interface):
        return {
            name.removeprefix("closed."): number
            for name, number in interface.counts.items()
            if name.startswith("closed.")
        }

    @pytest.mark.parametrize(("code", "kind"), [(1001, "normal"), (1006, "error")])
    @pytest.mark.asyncio
    async def test_a_client_that_leaves(self, caplog, code, kind):
        caplog.set_level("DEBUG", "djchan.interface.closes")
        async with opened() as (server, _, interface):
            server.event("websocket.disconnect", code=code)
            await asyncio.wait_for(server.task, 5)
            assert self.closed(interface) == {kind: 1}
        assert f"closed: {kind} ({code}), path '/chat/'" in caplog.text

    @pytest.mark.asyncio
    async def test_a_handshake_that_nobody_accepted(self, caplog):
        caplog.set_level("DEBUG", "djchan.interface.closes")
        async with connecting(connect_timeout=0.01) as (server, _, interface):
            await server.wait("websocket.close")
            server.event("websocket.disconnect", code=1006)
            await asyncio.wait_for(server.task, 5)
            assert self.closed(interface) == {"expired": 1}
        assert "closed: expired (1006)" in caplog.text

    @pytest.mark.asyncio
    async def test_a_connect_that_expired_before_any_worker_took_it(self):
        async with connecting() as (server, local, interface):
            local.handlers["c1"].on_answer(1, [], codec.EXPIRED)
            await server.wait("websocket.close")
            server.event("websocket.disconnect", code=1006)
            await asyncio.wait_for(server.task, 5)
            assert self.closed(interface) == {"expired": 1}

    @pytest.mark.asyncio
    async def test_one_that_is_too_old(self):
        async with opened(layer=FakeLayer(group_expiry=0.01)) as (server, _, interface):
            await server.wait("websocket.close")
            server.event("websocket.disconnect", code=1012)
            await asyncio.wait_for(server.task, 5)
            assert self.closed(interface) == {"expired": 1}

    @pytest.mark.asyncio
    async def test_a_refused_handshake_has_no_close_code(self):
        async with connecting() as (server, local, interface):
            local.handlers["c1"].on_answer(1, [{"accept": False}], "")
            await server.wait("websocket.close")
            server.event("websocket.disconnect", code=1006)
            await asyncio.wait_for(server.task, 5)
            assert self.closed(interface) == {}
