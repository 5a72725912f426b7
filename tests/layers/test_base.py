"""The contract of a channel layer: its policy, its 1.x face, and its errors, in words."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from djchan import names
from djchan.exceptions import (
    BrokerUnavailable,
    ChannelFull,
    Fenced,
    InvalidChannelLayer,
    InvalidChannelName,
    InvalidGroupName,
    InvalidMessage,
    MessageTooLarge,
    OutcomeUnknown,
    ProcessGone,
)
from djchan.layers import codec
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import Address, Claim, Push, Register, Release, Send
from djchan.layers.redis.layer import RedisChannelLayer
from tests.support.servers import Server
from tests.support.waiting import wait_for


@pytest.fixture
def layer(engine: Engine) -> Iterator[BaseChannelLayer]:
    """A layer over every engine there is."""
    layer = BaseChannelLayer(engine=engine)
    yield layer
    layer.close()


def rules(**options: Any) -> BaseChannelLayer:
    return InMemoryChannelLayer(**options)


class TestPolicy:
    def test_defaults(self):
        layer = rules()

        assert layer.capacity_of("a") == layer.capacity == 100
        assert layer.expiry_of("a") is None and layer.expiry is None
        assert not layer.at_most_once("a")
        assert layer.group_expiry == 86400
        assert layer.max_message_size == 2 * 1024 * 1024
        assert layer.extensions == ("groups", "flush", "statistics")

    def test_the_first_pattern_that_matches_counts(self):
        layer = rules(
            capacity=7,
            channel_capacity={"http.request": 1, "http.*": 2, re.compile(r"web.*\.receive"): 3},
        )

        found = [
            layer.capacity_of(name)
            for name in ("http.request", "http.disconnect", "websocket.receive", "other")
        ]
        assert found == [1, 2, 3, 7]

    def test_a_process_local_name_is_matched_up_to_its_mark(self):
        layer = rules(channel_capacity={"websocket.send.*!": 5})

        assert layer.capacity_of("websocket.send.PROC!c1") == 5
        assert layer.capacity_of("websocket.send.PROC") == 100

    def test_expiry(self):
        layer = rules(expiry=30, channel_expiry={"slow.*": 600, "fast": 0.5})

        assert [layer.expiry_of(name) for name in ("slow.a", "fast", "a")] == [600.0, 0.5, 30]

    def test_what_may_be_lost_expires_after_a_minute(self):
        layer = rules(delivery={"metrics.*": "at-most-once"}, channel_expiry={"metrics.slow": 5})

        assert layer.at_most_once("metrics.cpu")
        assert not layer.at_most_once("thumbnails")
        assert layer.expiry_of("metrics.cpu") == 60.0
        assert layer.expiry_of("metrics.slow") == 5.0
        assert layer.expiry_of("thumbnails") is None

    def test_delivery_of_all_channels_in_one_word(self):
        assert rules(delivery="at-most-once").at_most_once("anything")
        assert not rules(delivery="at-least-once").at_most_once("anything")

    def test_many_names_are_no_leak(self):
        layer = rules(channel_capacity={"a*": 1})

        for number in range(3000):
            assert layer.capacity_of(f"b{number}") == 100
        assert layer.capacity_of("a") == 1
        assert len(layer._capacities._known) <= 1001

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"capacity": 0}, "capacity in the layer's CONFIG must be a number above 0, not 0"),
            ({"capacity": "100"}, "capacity in .* not '100'"),
            ({"capacity": True}, "capacity in .* not True"),
            ({"expiry": -1}, "expiry in .* not -1"),
            ({"max_message_size": 0}, "max_message_size in"),
            ({"delivery": "exactly-once"}, "delivery is 'at-least-once' or 'at-most-once', not"),
            ({"delivery": {"a": 1}}, "delivery is"),
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused_in_words(self, options: dict[str, Any], words: str):
        with pytest.raises(InvalidChannelLayer, match=words):
            rules(**options)

    def test_the_clock_is_the_layers(self):
        layer = rules()
        assert abs(layer.now() - time.time() * 1000) < 1000

        layer.set_clock(5_000)

        assert 5_000 <= layer.now() < 6_000


class TestSendAndReceive:
    def test_in_order(self, layer: BaseChannelLayer):
        layer.send("a", {"n": 1})
        layer.send("b", {"n": 2})
        layer.send("a", {"n": 3})

        received = [layer.receive(["a"]), layer.receive(["a"]), layer.receive(["a", "b"])]

        assert received == [("a", {"n": 1}), ("a", {"n": 3}), ("b", {"n": 2})]
        assert layer.receive(["a", "b"]) == (None, None)

    def test_what_is_sent_is_what_it_was_at_the_call(self, layer: BaseChannelLayer):
        message = {"list": [1]}
        layer.send("a", message)

        message["list"].append(2)

        assert layer.receive(["a"]) == ("a", {"list": [1]})

    def test_a_receive_that_blocks_ends_with_the_message(self, layer: BaseChannelLayer):
        timer = threading.Timer(0.1, layer.send, ("a", {"n": 1}))
        timer.start()

        assert layer.receive(["b", "a"], block=True) == ("a", {"n": 1})
        timer.join()

    def test_a_channel_of_ones_own(self, layer: BaseChannelLayer):
        name = layer.new_channel("answers?")

        layer.send(name, {"n": 1})

        assert name.startswith("answers?") and len(name) > len("answers?")
        assert layer.receive([name]) == (name, {"n": 1})
        assert layer.new_channel("answers?") != name
        with pytest.raises(AssertionError, match="ending in"):
            layer.new_channel("answers")

    def test_full_says_how_many_and_what_to_do(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, channel_capacity={"a": 2})
        layer.send("a", {})
        layer.send("a", {})

        with pytest.raises(layer.ChannelFull) as caught:
            layer.send("a", {})

        assert str(caught.value) == (
            "The channel 'a' holds 2 messages, its capacity. Run more workers for it (and see that "
            "a route names it), or raise capacity or channel_capacity in the layer's CONFIG."
        )
        layer.receive(["a"])
        layer.send("a", {})
        layer.close()

    def test_too_large_names_the_limit_and_its_setting(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, max_message_size=100)

        with pytest.raises(layer.MessageTooLarge, match="the limit is 100"):
            layer.send("a", {"text": "x" * 100})

        assert layer.MessageTooLarge is MessageTooLarge
        assert layer.receive(["a"]) == (None, None)

    def test_an_expired_message_is_not_received(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, channel_expiry={"fast": 10})
        layer.send("fast", {"n": 1})
        layer.send("slow", {"n": 2})
        layer.set_clock(layer.now() + 11_000)

        assert layer.receive(["fast", "slow"]) == ("slow", {"n": 2})
        assert layer.receive(["fast", "slow"]) == (None, None)
        layer.close()

    def test_to_a_connection_that_is_gone_is_to_nobody(self, layer: BaseChannelLayer):
        layer.send("websocket.send.NOBODY!c1", {"text": "hi"})

    @pytest.mark.parametrize("name", ["a b", "", "a" * 100, b"a", None, "a?"])
    def test_a_wrong_name_is_a_type_error(self, layer: BaseChannelLayer, name: Any):
        for call in (
            lambda: layer.send(name, {}),
            lambda: layer.receive([name]),
            lambda: layer.group_add("g", name),
        ):
            with pytest.raises(InvalidChannelName):
                call()

    def test_what_cannot_travel_is_refused_on_the_line_that_sends_it(self, layer: BaseChannelLayer):
        with pytest.raises(InvalidMessage, match="object"):
            layer.send("a", {"o": object()})

    @pytest.mark.parametrize("message", [[1], "text", None, b"{}"])
    def test_what_is_no_dict_is_no_message(self, layer: BaseChannelLayer, message: Any):
        with pytest.raises(InvalidMessage, match="A message is a dict, not"):
            layer.send("a", message)
        with pytest.raises(InvalidMessage, match="A message is a dict, not"):
            layer.send_group("g", message)

    def test_what_cannot_be_read_is_dropped_and_the_next_received(
        self, layer: BaseChannelLayer, caplog: pytest.LogCaptureFixture
    ):
        layer._perform(Send("", 0, (Push("a", b"not ours"),)))
        layer.send("a", {"n": 1})

        assert layer.receive(["a"]) == ("a", {"n": 1})
        assert "A message on a was dropped. This delivery cannot be read" in caplog.text

    def test_a_process_of_the_projects_own_receives_by_its_prefix(self, layer: BaseChannelLayer):
        for name in ("udp.send!b", "udp.send!a"):
            layer.send(name, {"to": name})
        layer.group_add("g", "udp.send!c")
        layer.send_group("g", {"to": "all"})

        received = [layer.receive(["other!", "udp.send!"]) for _ in range(4)]

        assert received == [
            ("udp.send!b", {"to": "udp.send!b"}),
            ("udp.send!a", {"to": "udp.send!a"}),
            ("udp.send!c", {"to": "all"}),
            (None, None),
        ]
        assert layer.group_channels("g") == ["udp.send!c"]

    def test_nobody_waits_for_ever_for_a_process_that_may_be_gone(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=2)
        layer.send("myserver!1", {})
        layer.send("myserver!2", {})
        with pytest.raises(ChannelFull):
            layer.send("myserver!3", {})
        layer.set_clock(layer.now() + 61_000)

        assert layer.receive(["myserver!"]) == (None, None)
        layer.close()

    def test_a_delayed_message_to_one(self, layer: BaseChannelLayer):
        layer.apply([layer.word("myserver!1", {"n": 1}, delay=0.05)])

        assert layer.receive(["myserver!"], block=True) == ("myserver!1", {"n": 1})

    def test_no_channel_starves_beside_a_full_one(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=200)
        for _ in range(100):
            layer.send("loud", {})
        layer.send("quiet", {})

        # By chance alone, one of 2**100 times.
        assert "quiet" in {layer.receive(["loud", "quiet"])[0] for _ in range(100)}
        layer.close()

    def test_the_names_that_asgiref_had(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, channel_capacity={"a*": 3})

        assert (layer.get_capacity("ab"), layer.get_capacity("b")) == (3, 100)
        assert layer.valid_channel_name("a!b") and layer.valid_group_name("a")
        assert layer.valid_channel_names(["a", "b!"], receive=True)
        assert layer.non_local_name("a!b") == "a!"
        with pytest.raises(TypeError):
            layer.valid_channel_names(["a!b"], receive=True)
        with pytest.raises(TypeError):
            layer.valid_group_name("a!b")

    def test_receive_many_is_receive(self, layer: BaseChannelLayer):
        layer.send("a", {"n": 1})

        with pytest.warns(DeprecationWarning):
            assert layer.receive_many(["a"]) == ("a", {"n": 1})


class TestDelay:
    def test_a_delayed_message_comes_when_it_is_due(self, layer: BaseChannelLayer):
        started = time.monotonic()
        layer.apply([layer.word("a", {"n": 1}, delay=0.2)])
        received: list[Any] = []

        def arrives() -> bool:
            received[:] = layer.receive(["a"])
            return received[0] is not None

        wait_for(arrives, timeout=5, what="the message is due")

        assert received == ["a", {"n": 1}]
        assert time.monotonic() - started >= 0.15

    def test_to_a_connection_it_is_refused(self, layer: BaseChannelLayer):
        with pytest.raises(ValueError, match="cannot be sent to with a delay"):
            layer.word("websocket.send.PROC!c1", {}, delay=1)


class TestGroups:
    def test_every_member_gets_it(self, layer: BaseChannelLayer):
        for channel in ("a", "b"):
            layer.group_add("g", channel)
        layer.group_add("g", "a")

        layer.send_group("g", {"n": 1})

        assert layer.receive(["a"]) == ("a", {"n": 1})
        assert layer.receive(["b"]) == ("b", {"n": 1})
        assert layer.receive(["a", "b"]) == (None, None)

    def test_who_left_gets_nothing(self, layer: BaseChannelLayer):
        layer.group_add("g", "a")
        layer.group_discard("g", "a")
        layer.group_discard("g", "never.in.it")

        layer.send_group("g", {"n": 1})

        assert layer.receive(["a"]) == (None, None)
        assert layer.group_channels("g") == []

    def test_a_full_member_is_skipped_and_nobody_is_told(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=1)
        layer.group_add("g", "a")
        layer.group_add("g", "b")
        layer.send("a", {"n": 0})

        layer.send_group("g", {"n": 1})

        assert layer.receive(["b"]) == ("b", {"n": 1})
        assert layer.receive(["a"]) == ("a", {"n": 0})
        assert layer.receive(["a"]) == (None, None)
        layer.close()

    def test_members_are_channels_and_processes(self, layer: BaseChannelLayer):
        layer._perform(Register("PROC", "interface", b""))
        layer.group_add("g", "a")
        layer.group_add("g", names.reply_channel("websocket.send", "PROC", "c1"))
        layer.group_add("g", names.reply_channel("websocket.send", "GONE", "c1"))

        assert layer.group_channels("g") == ["a", "websocket.send.PROC!"]

    def test_a_plain_channel_is_a_member_for_ever_unless_it_is_said(self, engine: Engine):
        ever, said = rules(), rules(group_expiry=2)

        assert ever.group_expiry == 86400 and said.group_expiry == 2
        assert ever.add_word("g", "a")[2:] == (100, 0)
        assert said.add_word("g", "a")[2:] == (100, 2000)
        assert rules(group_expiry=0).add_word("g", "a")[2:] == (100, 0)

    @pytest.mark.parametrize("name", ["g!x", "g?x", "g x", "", None])
    def test_a_wrong_name_is_a_type_error(self, layer: BaseChannelLayer, name: Any):
        for call in (
            lambda: layer.group_add(name, "a"),
            lambda: layer.group_discard(name, "a"),
            lambda: layer.send_group(name, {}),
            lambda: layer.group_channels(name),
        ):
            with pytest.raises(InvalidGroupName):
                call()


class TestFlushAndStatistics:
    def test_flush_leaves_nothing(self, layer: BaseChannelLayer):
        layer.send("a", {})
        layer.group_add("g", "a")

        layer.flush()

        assert layer.receive(["a"]) == (None, None)
        assert layer.group_channels("g") == []
        layer.send("a", {"n": 1})
        assert layer.receive(["a"]) == ("a", {"n": 1})

    def test_counts(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=1)
        layer.send("a", {})
        for channel in ("a", "a"):
            with pytest.raises(ChannelFull):
                layer.send(channel, {})

        nothing = {"messages_count": 0, "messages_pending": 0, "messages_max_age": 0}
        assert layer.channel_statistics("a") == {
            "messages_count": 1,
            "messages_pending": 1,
            "messages_max_age": 0,
            "channel_full_count": 2,
        }
        assert layer.channel_statistics("b") == {**nothing, "channel_full_count": 0}
        assert layer.global_statistics() == {"messages_count": 1, "channel_full_count": 2}
        layer.close()

    def test_what_was_received_still_counts_and_what_came_back_counts_once(
        self, layer: BaseChannelLayer
    ):
        for name in ("a", "a", "b", "p!1", "p!2", "s?x"):
            layer.send(name, {})
        layer.receive(["a"])
        layer.receive(["p!"])
        layer.receive(["s?x"])
        layer._perform(Register("W", "worker", b"", ("a", "b")))
        claimed = layer._perform(Claim("W", "", ("a", "b"), 2))
        assert len(claimed.deliveries) == 2
        layer._perform(Release("W", (claimed.deliveries[0].token,)))

        counts = {
            name: (found["messages_count"], found["messages_pending"])
            for name in ("a", "b", "p!", "p!1", "s?x")
            if (found := layer.channel_statistics(name))
        }

        assert counts == {"a": (2, 1), "b": (1, 0), "p!": (2, 1), "p!1": (2, 1), "s?x": (1, 0)}
        assert layer.global_statistics()["messages_count"] == 6

    def test_the_age_of_the_first_that_waits(self, layer: BaseChannelLayer):
        layer.send("a", {})
        layer.send("a", {})
        layer.set_clock(layer.now() + 7_500)

        assert layer.channel_statistics("a")["messages_max_age"] == 7
        assert layer.channel_statistics("empty")["messages_max_age"] == 0


class TestKept:
    def test_keep_recall_and_drop(self, layer: BaseChannelLayer):
        assert layer.recall("k") is None
        assert not layer.keep("k", b"0", ttl=60, must="exist")
        assert layer.keep("k", b"1", ttl=60, must="create")
        assert not layer.keep("k", b"2", ttl=60, must="create")
        assert layer.recall("k", ttl=0.02) == b"1"
        wait_for(lambda: layer.recall("k") is None, timeout=5, what="its time is over")
        assert layer.keep("k", b"3", ttl=60)
        assert (layer.drop("k"), layer.drop("k")) == (True, False)

    @pytest.mark.parametrize("key", ["k", "l"])
    def test_a_value_over_the_limit_is_refused(self, engine: Engine, key: str):
        layer = BaseChannelLayer(engine=engine, max_message_size=10)
        layer.keep("k", b"x" * 10, ttl=60)
        with pytest.raises(MessageTooLarge, match=f"'{key}' has 11 bytes; the limit is 10"):
            layer.keep(key, b"x" * 11, ttl=60)
        assert layer.recall("k") == b"x" * 10
        layer.close()

    def test_a_connection_that_has_broken_is_nobody_s_business(self, own_broker: Server):
        layer = RedisChannelLayer([own_broker.url])
        layer.keep("k", b"1", ttl=60)
        for does in (
            lambda: layer.recall("k") == b"1",
            lambda: layer.keep("k", b"1", ttl=60, must="exist"),
            lambda: layer.drop("k"),
        ):
            own_broker.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert does()
        own_broker.stop()
        with pytest.raises(BrokerUnavailable):
            layer.recall("k")
        layer.close()


@pytest.mark.asyncio
class TestTwins:
    async def test_they_do_the_same(self, layer: BaseChannelLayer):
        await layer.agroup_add("g", "b")
        await layer.asend("a", {"n": 1})
        await layer.asend_group("g", {"n": 2})

        assert await layer.areceive(["a"]) == ("a", {"n": 1})
        assert await layer.areceive(["b"]) == ("b", {"n": 2})
        await layer.agroup_discard("g", "b")
        await layer.asend_group("g", {"n": 3})
        assert await layer.areceive(["a", "b"]) == (None, None)

        assert await layer.akeep("k", b"1", ttl=60, must="create")
        assert not await layer.akeep("k", b"2", ttl=60, must="create")
        assert await layer.arecall("k", ttl=60) == b"1"
        assert (await layer.adrop("k"), await layer.adrop("k")) == (True, False)

        await layer.asend("a", {})
        await layer.aflush()
        assert await layer.areceive(["a"]) == (None, None)
        await layer.aclose()

    async def test_full_is_raised_here_too(self, engine: Engine):
        layer = BaseChannelLayer(engine=engine, capacity=1)
        await layer.asend("a", {})

        with pytest.raises(ChannelFull):
            await layer.asend("a", {})
        await layer.aclose()

    async def test_nobody_waits_for_a_receive_that_blocks(self, layer: BaseChannelLayer):
        receiving = [asyncio.ensure_future(layer.areceive([c], block=True)) for c in "abc"]
        for _ in range(5):
            await asyncio.sleep(0)

        async with asyncio.timeout(3):
            for channel in "cba":
                await layer.asend(channel, {"n": channel})
            received = await asyncio.gather(*receiving)

        assert received == [(c, {"n": c}) for c in "abc"]
        await layer.aclose()

    async def test_a_loop_has_one_end(self, layer: BaseChannelLayer):
        local = layer.local()

        assert layer.local() is local
        assert await asyncio.to_thread(asyncio.run, self.local_of(layer)) is not local

    async def local_of(self, layer: BaseChannelLayer) -> object:
        return layer.local()


class BrokenEngine:
    """An engine whose answers get lost."""

    local_only = False

    def __init__(self) -> None:
        self.said: list[Any] = []

    def link(self, name: str) -> Any:
        return self

    def perform(self, *operations: Any) -> Any:
        self.said.append(operations)
        raise BrokerUnavailable("Redis at nowhere did not answer.")

    def alink(self, name: str) -> Any:
        return _BrokenAsync()

    def inbox(self, process: str) -> Any:
        raise AssertionError

    def close(self) -> None: ...


class _BrokenAsync:
    async def perform(self, *operations: Any) -> Any:
        raise BrokerUnavailable("Redis at nowhere did not answer.")

    async def aclose(self) -> None: ...


class TestTrouble:
    def test_an_anonymous_send_is_not_repeated_but_unknown(self):
        engine = BrokenEngine()
        layer = BaseChannelLayer(engine=engine)

        with pytest.raises(OutcomeUnknown, match="may or may not have been applied"):
            layer.send("a", {})

        assert len(engine.said) == 1

    @pytest.mark.asyncio
    async def test_on_an_event_loop_too(self):
        with pytest.raises(OutcomeUnknown, match="may or may not have been applied"):
            await BaseChannelLayer(engine=BrokenEngine()).asend("a", {})

    def test_what_is_sent_from_a_lost_delivery_is_fenced(self, layer: BaseChannelLayer):
        results = layer.apply([layer.word("a", {})], fence=("W", 12345))

        assert results == ("fenced",)
        with pytest.raises(Fenced):
            layer.raise_for(results, "a")
        assert layer.receive(["a"]) == (None, None)

    def test_other_results_raise_nothing(self, layer: BaseChannelLayer):
        layer.raise_for(("ok", "gone", "unserved"), "a")


class TestParts:
    """A response that goes out while its consumer still runs."""

    address = Address("PROC", "c1", 1)

    def leased(self, layer: BaseChannelLayer) -> tuple[str, int]:
        layer._performs(
            Register("W", "worker", b"", ("http.request",)),
            Register("PROC", "interface", b""),
            Send("", 0, (Push("http.request", b"x"),)),
        )
        claimed = layer._perform(Claim("W", "W.1", ("http.request",), 1))
        return "W", claimed.deliveries[0].token

    def test_a_part_is_sent_under_the_fence_of_its_run(self, layer: BaseChannelLayer):
        fence = self.leased(layer)

        layer.part(fence, self.address, 0, codec.encode({"status": 200, "more_content": True}))

        with pytest.raises(Fenced):
            layer.part(("W", fence[1] + 1), self.address, 1, codec.encode({}))

    def test_a_client_that_left_is_told(self, layer: BaseChannelLayer):
        fence = self.leased(layer)
        layer._perform(Send("PROC", 1, (), (), ("c1",), link="out"))

        with pytest.raises(ProcessGone):
            layer.part(fence, self.address, 0, codec.encode({}))

    @pytest.mark.asyncio
    async def test_its_twin(self, layer: BaseChannelLayer):
        fence = self.leased(layer)

        await layer.apart(fence, self.address, 0, codec.encode({"status": 200}))
        with pytest.raises(Fenced):
            await layer.apart(("W", fence[1] + 1), self.address, 1, codec.encode({}))
        await layer.aclose()

    def test_an_answer_that_got_lost(self):
        with pytest.raises(OutcomeUnknown):
            BaseChannelLayer(engine=BrokenEngine()).part(("W", 1), self.address, 0, b"\x80")


class TestLinks:
    def test_threads_do_not_share_a_connection(self, layer: BaseChannelLayer):
        def send(number: int) -> None:
            for _ in range(20):
                layer.send(f"c{number}", {"n": number})

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        for number in range(8):
            for _ in range(20):
                assert layer.receive([f"c{number}"]) == (f"c{number}", {"n": number})
        assert len(layer._links) <= 8

    def test_idle_ones_are_kept_in_bounds(self, layer: BaseChannelLayer):
        borrowed = [layer._link() for _ in range(40)]
        for link in borrowed:
            link.__enter__()
        for link in borrowed:
            link.__exit__()

        assert len(layer._links) == 32

    def test_a_child_does_not_use_its_parents_connections(
        self, layer: BaseChannelLayer, monkeypatch: pytest.MonkeyPatch
    ):
        layer.send("a", {"n": 1})
        (parents,) = layer._links
        with monkeypatch.context() as patched:
            patched.setattr("djchan.layers.base.os.getpid", lambda: -1)
            layer.send("a", {"n": 2})
            assert parents not in layer._links

        parents.close()


def test_a_word_checks_names_and_message_at_the_call(layer: BaseChannelLayer):
    word = layer.word("a", {"n": 1}, admission=False)

    assert isinstance(word, Push)
    assert word.capacity == 0
    with pytest.raises(InvalidChannelName):
        layer.word("a b", {})
    with pytest.raises(InvalidGroupName):
        layer.group_word("g!", {})
    assert layer._perform(Send("", 0, (word,))).results == ("ok",)
