"""One request between a server and a layer that exist in the test only."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from djchan.interface import drain, http
from djchan.interface.application import Interface
from djchan.layers import codec
from tests.interface.fakes import FakeLayer, Server, http_scope, settle, until

KIB = 1024
PAGE_500 = (
    "<html><head><title>500 Internal Server Error</title></head><body><h1>500 Internal Server "
    f"Error</h1><p>{http.FAILED}</p></body></html>\n"
)


@asynccontextmanager
async def request(*, layer=None, scope=None, body=b"", **options):
    """(server, local, interface) of a request that is on its way."""
    layer = layer or FakeLayer()
    interface = Interface(layer, options)
    server = Server(interface, scope or http_scope())
    if body is not None:
        server.event("http.request", body=body, more_body=False)
    await settle()
    try:
        yield server, layer.process, interface
    finally:
        await server.end()


async def page(server):
    """(status, body) of a response that was sent in one."""
    start = await server.wait("http.response.start")
    body = await server.wait("http.response.body")
    assert not body.get("more_body")
    return start["status"], body["body"].decode()


@pytest.mark.asyncio
async def test_a_request_and_its_response():
    async with request(body=b"in") as (server, local, interface):
        ((channel, seq, (message,)),) = local.deliveries()
        assert (channel, seq) == ("http.request", 1)
        assert message["reply_channel"] == "http.response.process!c1"
        assert message["body"] == b"in"
        push = local.submitted[0][0]
        assert push.capacity == 100
        assert (push.owner, push.last) == (("process", "c1"), False)
        assert local.records == {}, "a request has no disconnect of that kind"
        assert codec.decode_envelope(push.payload).expires == 1_000_000 + 120_000
        local.handlers["c1"].on_answer(
            1, [{"status": 200, "headers": [("A", "b")], "content": b"out"}], ""
        )
        assert await page(server) == (200, "out")
        assert server.sent[0]["headers"] == [(b"A", b"b")]
        assert local.forgotten == ["c1"]
        assert not interface.connections
        server.event("http.disconnect")
        await asyncio.wait_for(server.task, 5)


@pytest.mark.asyncio
async def test_http_disconnect_is_sent_after_the_response_to_whom_it_may_concern():
    async with request() as (server, local, _):
        local.handlers["c1"].on_answer(1, [{"status": 200}], "")
        await server.wait("http.response.body")
        channel, seq, (message,) = local.deliveries()[-1]
        assert (channel, seq) == ("http.disconnect", 0)
        assert message == {"reply_channel": "http.response.process!c1", "path": "/page/"}
        push = local.submitted[-1][0]
        assert (push.capacity, push.if_served) == (100, True)
        server.event("http.disconnect")
        await settle()
        assert local.channels() == ["http.request", "http.disconnect"], "once"


@pytest.mark.asyncio
async def test_http_disconnect_of_finished_responses_can_be_switched_off():
    async with request(http_disconnect=False) as (_server, local, _):
        local.handlers["c1"].on_answer(1, [{"status": 200}], "")
        await settle()
        assert local.channels() == ["http.request"]


@pytest.mark.asyncio
async def test_it_is_not_asked_for_all_the_time_when_nobody_serves_it():
    async with request() as (_, local, interface):
        local.results["http.disconnect"] = "unserved"
        local.handlers["c1"].on_answer(1, [{"status": 200}], "")
        await settle()
        second = Server(interface, http_scope())
        second.event("http.request", body=b"")
        await settle()
        local.handlers["c2"].on_answer(1, [{"status": 200}], "")
        await settle()
        assert local.channels() == ["http.request", "http.disconnect", "http.request"]
        await second.end()


@pytest.mark.asyncio
async def test_a_client_that_leaves_early():
    async with request(http_disconnect=False) as (server, local, interface):
        server.event("http.disconnect")
        await asyncio.wait_for(server.task, 5)
        assert local.channels() == ["http.request", "http.disconnect"]
        assert local.forgotten == [], "the layer still owes an answer"
        local.handlers["c1"].on_answer(1, [{"status": 200}], "")
        assert local.forgotten == ["c1"]
        assert server.sent == []
        assert interface.counts["http.left"] == 1


@pytest.mark.asyncio
async def test_a_client_that_leaves_before_its_body_came():
    async with request(body=None) as (server, local, interface):
        server.event("http.request", body=b"a", more_body=True)
        server.event("http.disconnect")
        await asyncio.wait_for(server.task, 5)
        assert local.submitted == []
        assert not interface.connections


@pytest.mark.asyncio
async def test_a_response_in_parts_and_a_late_one():
    async with request() as (server, local, _):
        handler = local.handlers["c1"]
        handler.on_part(1, 5, 0, {"status": 200, "content": b"a", "more_content": True}, 100)
        handler.on_part(1, 6, 0, {"status": 500, "content": b"z"}, 100)
        handler.on_part(1, 5, 1, {"content": b"b", "more_content": True}, 100)
        handler.on_answer(1, [{"content": b"c"}], "")
        await server.wait("http.response.body", 3)
        assert [event.get("body") for event in server.sent[1:]] == [b"a", b"b", b"c"]
        assert [event.get("more_body") for event in server.sent[1:]] == [True, True, False]


@pytest.mark.asyncio
async def test_an_answer_without_a_response_leaves_it_to_others():
    async with request() as (server, local, _):
        handler = local.handlers["c1"]
        handler.on_answer(1, [], "")
        await settle()
        assert local.forgotten == []
        handler.on_replies([{"status": 202, "content": b"later"}])
        assert await page(server) == (202, "later")
        assert local.forgotten == ["c1"]


@pytest.mark.asyncio
async def test_nobody_answers():
    async with request(http_timeout=0.01) as (server, _, interface):
        status, body = await page(server)
        assert status == 503
        assert "Worker server failed to respond within time limit." in body
        assert interface.counts["http.timeout"] == 1


@pytest.mark.asyncio
async def test_a_timeout_after_the_start_cuts_that_response_only():
    async with request(http_timeout=0.05) as (server, local, _):
        local.handlers["c1"].on_part(1, 5, 0, {"status": 200, "more_content": True}, 100)
        await server.wait("http.response.body")
        await asyncio.wait_for(server.task, 5)
        assert not server.task.cancelled(), "it returned: servers take that for the end"
        assert server.sent[-1]["more_body"] is True, "no clean end"


def held(local):
    """A response that its consumer has begun and left open."""
    handler = local.handlers["c1"]
    handler.on_answer(1, [{"status": 200, "content": b"a", "more_content": True}], "")
    return handler


@pytest.mark.asyncio
async def test_a_held_response_outlives_the_timeout_and_gets_what_others_send():
    async with request(http_timeout=0.05) as (server, local, interface):
        handler = held(local)
        await asyncio.sleep(0.1)  # The timeout itself is what is tried.
        handler.on_replies([{"content": b"b", "more_content": True}])
        handler.on_replies([{"content": b"c"}])
        await server.wait("http.response.body", 3)
        assert [event["body"] for event in server.sent[1:]] == [b"a", b"b", b"c"]
        assert not server.sent[-1].get("more_body")
        assert "http.timeout" not in interface.counts
        assert local.left == ["c1"] and local.forgotten == ["c1"]


@pytest.mark.asyncio
async def test_a_response_that_others_begin_may_be_held_too():
    async with request(http_timeout=0.05) as (server, local, _):
        local.handlers["c1"].on_answer(1, [], "")
        local.handlers["c1"].on_replies([{"status": 200, "more_content": True}])
        await asyncio.sleep(0.1)
        local.handlers["c1"].on_replies([{"content": b"late"}])
        assert (await server.wait("http.response.body", 2))["body"] == b"late"


@pytest.mark.asyncio
async def test_a_held_response_is_cut_when_it_is_silent_for_too_long(caplog):
    async with request(http_idle_timeout=1.0, http_disconnect=False) as (server, local, interface):
        handler = held(local)
        for _ in range(3):
            await asyncio.sleep(0.4)
            handler.on_replies([{"content": b": still here\n\n", "more_content": True}])
        assert "http.idle" not in interface.counts
        await until(lambda: local.forgotten == ["c1"])
        assert interface.counts["http.idle"] == 1 and interface.counts["http.cut"] == 1
        assert "http_idle_timeout" in caplog.text
        assert local.channels() == ["http.request", "http.disconnect"], "it did not end: told"
        await asyncio.wait_for(server.task, 5)


@pytest.mark.asyncio
@pytest.mark.parametrize("begun", [True, False])
async def test_a_request_whose_run_failed_ends_at_once(begun):
    async with request() as (server, local, interface):
        handler = local.handlers["c1"]
        if begun:
            handler.on_part(1, 5, 0, {"status": 200, "more_content": True}, 100)
            await server.wait("http.response.body")
        handler.on_answer(1, [], codec.FAILED)
        if begun:
            await asyncio.wait_for(server.task, 5)
            assert server.sent[-1]["more_body"] is True, "cut: it has no clean end"
        else:
            assert await page(server) == (500, PAGE_500)
        assert not interface.connections


@pytest.mark.asyncio
async def test_the_timeout_of_a_request_that_was_left_open_names_its_consumer(caplog):
    async with request(http_timeout=0.05) as (server, local, _):
        local.handlers["c1"].on_answer(1, [], codec.DONE, "app.consumers.forgets")
        assert (await page(server))[0] == 503
    assert "app.consumers.forgets returned without a response" in caplog.text


@pytest.mark.asyncio
@pytest.mark.parametrize("close", [True, False])
async def test_a_held_response_that_missed_messages_of_its_group_is_cut(close):
    async with request(close_on_gap=close) as (_, local, interface):
        held(local).on_gap("ticker")
        assert local.left == (["c1"] if close else [])
        assert interface.counts.get("http.cut", 0) == close


@pytest.mark.asyncio
async def test_no_timeout_for_silence():
    async with request(http_idle_timeout=None, http_timeout=0.05) as (_, local, interface):
        held(local)
        await asyncio.sleep(0.1)
        assert len(interface.connections) == 1


@pytest.mark.asyncio
async def test_no_timeout():
    async with request(http_timeout=None) as (_, local, _):
        assert codec.decode_envelope(local.submitted[0][0].payload).expires == 0
        assert local.handlers["c1"]._deadline is None


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [codec.LOST, codec.POISON, codec.EXPIRED, codec.STUCK])
async def test_a_worker_that_died(status):
    async with request() as (server, local, _):
        local.handlers["c1"].on_answer(1, [], status)
        assert (await page(server))[0] == 503
    async with request() as (server, local, _):
        local.handlers["c1"].on_part(1, 5, 0, {"status": 200, "more_content": True}, 100)
        await server.wait("http.response.body")
        local.handlers["c1"].on_answer(1, [], status)
        await asyncio.wait_for(server.task, 5)
        assert server.sent[-1]["more_body"] is True


@pytest.mark.asyncio
async def test_a_full_queue(caplog):
    layer = FakeLayer()
    layer.process.results["http.request"] = "full"
    async with request(layer=layer) as (server, local, _):
        status, body = await page(server)
        assert status == 503 and "Request queue full." in body
        assert local.channels() == ["http.request", "http.disconnect"]
        assert local.forgotten == ["c1"]
        assert "'http.request' holds 100 messages" in caplog.text


@pytest.mark.asyncio
async def test_without_redis():
    layer = FakeLayer()
    layer.process.available = False
    async with request(layer=layer) as (server, local, _):
        assert (await page(server))[0] == 503
        assert local.submitted == []


@pytest.mark.asyncio
async def test_a_body_of_the_inline_limit_stays_inline():
    async with request(body=bytes(512 * KIB)) as (_, local, _):
        assert len(local.deliveries()[0][2][0]["body"]) == 512 * KIB
        assert not local.bodies()


@pytest.mark.asyncio
async def test_a_body_that_is_announced_too_large():
    scope = http_scope("POST", headers=[(b"content-length", b"101")])
    async with request(scope=scope, body=None, http_max_body=100) as (server, local, _):
        assert (await page(server))[0] == 413
        assert local.submitted == []


@pytest.mark.asyncio
async def test_a_body_that_gets_too_large(caplog):
    async with request(body=None, http_inline_body=10, http_max_body=100) as (server, local, _):
        server.event("http.request", body=bytes(60), more_body=True)
        server.event("http.request", body=bytes(60), more_body=True)
        assert (await page(server))[0] == 413
        assert local.submitted == []
        assert "http_max_body" in caplog.text


@pytest.mark.asyncio
async def test_a_body_that_is_too_large_at_once():
    async with request(body=bytes(101), http_max_body=100) as (server, local, _):
        assert (await page(server))[0] == 413
        assert local.submitted == []


@pytest.mark.asyncio
async def test_headers_over_the_layers_limit():
    layer = FakeLayer()
    layer.max_message_size = 1000
    scope = http_scope(headers=[(b"a", b"x" * 2000)])
    async with request(layer=layer, scope=scope) as (server, _, _):
        assert (await page(server))[0] == 413


@pytest.mark.asyncio
async def test_a_client_that_does_not_read_is_cut():
    async with request(http_outgoing_bytes=10_000) as (server, local, interface):
        server.stuck = True
        handler = local.handlers["c1"]
        handler.on_part(1, 5, 0, {"status": 200, "more_content": True}, 100)
        for index in range(1, 5):
            await settle()
            handler.on_part(1, 5, index, {"content": bytes(4000), "more_content": True}, 4000)
        await asyncio.wait_for(server.task, 5)
        assert interface.counts["http.overflow"] == 1


@pytest.mark.asyncio
async def test_what_to_send_again_after_a_loss_of_state():
    async with request() as (_, local, _):
        handler = local.handlers["c1"]
        assert handler.unanswered() is local.submitted[0][0], "safe, and not begun"
    async with request(scope=http_scope("POST")) as (server, local, _):
        assert local.handlers["c1"].unanswered() is None
        assert (await page(server))[0] == 503
        await until(lambda: local.forgotten == ["c1"])
    async with request() as (server, local, _):
        local.handlers["c1"].on_part(1, 5, 0, {"status": 200, "more_content": True}, 100)
        assert local.handlers["c1"].unanswered() is None
        await asyncio.wait_for(server.task, 5)


@pytest.mark.asyncio
async def test_a_process_that_was_buried():
    async with request() as (server, local, interface):
        local.handlers["c1"].on_dead()
        assert (await page(server))[0] == 503
        assert local.channels() == ["http.request"]
        assert not interface.connections


@pytest.mark.asyncio
async def test_a_message_that_is_no_response_is_logged_and_ends_the_request(caplog):
    async with request() as (server, local, interface):
        local.handlers["c1"].on_answer(1, [{"content": b"no status"}], "")
        assert await page(server) == (500, PAGE_500)
        assert not interface.connections
    assert "needs a status" in caplog.text


@pytest.mark.asyncio
async def test_a_request_that_is_still_read_at_shutdown_is_refused():
    async with request(body=None) as (server, local, interface):
        server.event("http.request", body=b"begun", more_body=True)
        await settle()
        interface.draining = True
        await server.end()  # As Daphne does first of all.
        status, body = await page(server)
        assert status == 503 and "restarting" in body
        assert local.submitted == []
        assert not interface.connections
        assert local.forgotten == ["c1"]


@pytest.mark.asyncio
async def test_a_held_response_ends_at_shutdown_at_once():
    async with request(shutdown_grace=60) as (_, local, interface):
        held(local)
        await asyncio.wait_for(interface.shutdown(), 5)
        assert interface.counts["http.cut"] == 1
        assert local.channels() == ["http.request", "http.disconnect"]


@pytest.mark.asyncio
async def test_requests_are_not_told_to_leave_at_shutdown(monkeypatch):
    scheduled = []
    monkeypatch.setattr(drain, "schedule", lambda there, seconds: scheduled.append(there) or [])
    async with request(shutdown_grace=60) as (_, local, interface):
        ending = asyncio.ensure_future(interface.shutdown())
        await settle()
        # So that a server of pages alone stops as soon as they are answered.
        assert scheduled == [[]]
        local.handlers["c1"].on_answer(1, [{"status": 200, "content": b"out"}], "")
        await asyncio.wait_for(ending, 5)


@pytest.mark.asyncio
async def test_a_response_that_is_left_open_at_shutdown_is_not_held():
    async with request(shutdown_grace=60) as (_, local, interface):
        ending = asyncio.ensure_future(interface.shutdown())
        await settle()
        assert not ending.done(), "its answer is still to come"
        held(local)
        await asyncio.wait_for(ending, 5)
        assert interface.counts["http.cut"] == 1


@pytest.mark.asyncio
async def test_a_request_that_was_handed_on_keeps_its_answer_at_shutdown():
    async with request() as (server, local, interface):
        interface.draining = True
        await server.end()
        local.handlers["c1"].on_answer(1, [{"status": 200, "content": b"out"}], "")
        assert await page(server) == (200, "out")


@pytest.mark.asyncio
async def test_a_handshake_that_lost_its_upgrade_is_told_to_the_log(caplog):
    key = (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")
    scope = http_scope(path="/ws/", headers=[(b"host", b"example.com"), key])
    async with request(scope=scope) as (server, local, interface):
        local.handlers["c1"].on_answer(1, [{"status": 404, "content": b"none"}], "")
        assert await page(server) == (404, "none"), "what it gets is the site's own"
        assert interface.counts["http.no_upgrade"] == 1
    assert "The handshake of a WebSocket to '/ws/' arrived as a plain HTTP request" in caplog.text
    assert "proxy_set_header Upgrade $http_upgrade" in caplog.text


@pytest.mark.asyncio
async def test_other_requests_are_not(caplog):
    async with request() as (_, __, interface):
        assert "http.no_upgrade" not in interface.counts
    assert caplog.text == ""
