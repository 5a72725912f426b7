"""An encrypted layer: nothing of a message can be read in the store, and nothing else differs.

That an encrypted engine keeps the contract is told by the contract's own tests, where it is
one of the engines (``conftest``).
"""

import asyncio
import secrets
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
import redis

from djchan import Channel, Group, route
from djchan.asgi import ChannelLayerWrapper
from djchan.exceptions import InvalidChannelLayer, UndecodableEnvelope
from djchan.layers import codec, sealed
from djchan.layers import operations as ops
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.inbox import Inbox
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.layer import RedisChannelLayer
from djchan.layers.sealed import SealedEngine
from djchan.test import work_off
from tests.layers.talk import Talk
from tests.support.servers import Server

SECRET = b"the-secret-of-this-test"
ADDRESS = ops.Address("i1", "c1", 1)


def layer_over(engine: Engine, *keys: str) -> BaseChannelLayer:
    return BaseChannelLayer(engine=engine, symmetric_encryption_keys=list(keys) or None)


class TestEveryPayload:
    # Bytes that are no payload: which host and which process of it.
    plain = {(ops.Register, "info"), (ops.Resume, "info")}  # noqa: RUF012
    # Sealed by functions of their own.
    own = {(ops.Outcome, "answer"), (ops.Later, "payload"), (ops.Keep, "value")}  # noqa: RUF012

    def test_is_sealed_by_name(self):
        values = {*get_args(ops.Effect), *get_args(ops.Operation), ops.Outcome, ops.Later}
        bytes_of = {
            (value, name)
            for value in values
            for name, kind in get_type_hints(value).items()
            if kind is bytes
        }
        listed = {(kind, name) for kind, names in sealed.FIELDS.items() for name in names}

        assert bytes_of == listed | self.plain | self.own

    @pytest.fixture
    def store(self, redis_server: Server) -> Iterator[tuple[Talk, redis.Redis]]:
        redis_server.start()
        prefix = f"test-{secrets.token_hex(6)}"
        talk = Talk(SealedEngine(RedisEngine([redis_server.url], prefix=prefix), ["key"]))
        raw = redis.Redis.from_url(redis_server.url)
        yield talk, raw
        talk(ops.Flush())
        talk.close()
        raw.close()

    def test_nothing_can_be_read_in_redis(self, store: tuple[Talk, redis.Redis]):
        talk, raw = store
        talk.interface("i1")
        talk.worker("w1", "x", "y")
        talk.send(
            ops.Push("x", SECRET),
            ops.Push("x", SECRET, owner=("i1", "c1")),
            ops.Delay("x", SECRET, 60_000),
            ops.Body("x?y", SECRET, 0, 60_000),
            ops.Tell("i1", SECRET),
            ops.GroupAdd("g", "i1", SECRET),
            ops.GroupAddChannel("g", "y"),
            ops.GroupDiscard("g", "i1", SECRET),
            ops.GroupSend("g", SECRET, SECRET),
            ops.Record("i1", "c1", "x", SECRET),
        )
        one, two = talk.claim("w1", "x")
        assert (one.payload, two.payload) == (SECRET, SECRET)
        assert talk(ops.Part("w1", two.token, "i1", "c1", SECRET)) == "ok"
        later = ops.Later(60_000, 0, SECRET, "x")
        outcomes = ops.Outcome(one.token, (ops.Push("y", SECRET),), later=later)
        assert talk.commit("w1", outcomes) == ["done"]
        (third,) = talk.claim("w1", "y", count=1)
        talk(ops.GiveUp("w1", third.token, "poison", True))
        assert talk(ops.GiveUp("w1", two.token, "lost", False, ADDRESS, SECRET)) == "done"
        talk(ops.Resume("i1", b"", (), ("g",), "0-0", (ops.Record("i1", "c2", "x", SECRET),)))
        assert talk(ops.Keep("session", SECRET, 60_000))

        found: list[bytes] = []
        for key in raw.scan_iter("*", count=1000):
            found += _everything(raw, key)
        assert found and not [value for value in found if SECRET in value]
        # And it is all there, for who has the key.
        assert talk.entries("i1") == [SECRET] * 6
        assert talk(ops.Recall("session")).value == SECRET
        assert talk(ops.Oldest("y")) == SECRET
        assert [letter.payload for letter in talk(ops.DeadLetters("y"))] == [SECRET]
        assert talk(ops.Pop(("x?y",))) == ("x?y", SECRET)


def _everything(raw: Any, key: bytes) -> list[bytes]:
    kind = raw.type(key)
    if kind == b"string":
        return [raw.get(key)]
    if kind == b"list":
        return list(raw.lrange(key, 0, -1))
    if kind == b"hash":
        return [part for pair in raw.hgetall(key).items() for part in pair]
    if kind == b"set":
        return list(raw.smembers(key))
    if kind == b"zset":
        return list(raw.zrange(key, 0, -1))
    assert kind == b"stream", kind
    return [part for _, pairs in raw.xrange(key) for pair in pairs.items() for part in pair]


class TestWithoutTheKey:
    @pytest.fixture
    def base(self) -> MemoryEngine:
        return MemoryEngine()

    @pytest.mark.parametrize("keys", [[], ["another"]])
    def test_a_message_is_dropped_by_receive_with_a_word_in_the_log(
        self, base: MemoryEngine, keys: list[str], caplog: pytest.LogCaptureFixture
    ):
        layer_over(base, "key").send("a", {"n": 1})

        assert layer_over(base, *keys).receive(["a"]) == (None, None)
        assert "A message on a was dropped." in caplog.text
        assert "symmetric_encryption_keys" in caplog.text

    def test_what_is_not_sealed_is_not_taken_either(self, base: MemoryEngine):
        # Who can write to Redis and has no key can make no message.
        layer_over(base).send("a", {"n": 1})

        assert layer_over(base, "key").receive(["a"]) == (None, None)

    def test_a_worker_leaves_it_for_one_that_has_it(self, base: MemoryEngine):
        ran: list[int] = []
        routing = [route("a", lambda message: ran.append(message["n"]))]
        layer_over(base, "key").send("a", {"n": 1})

        with pytest.raises(UndecodableEnvelope, match="symmetric_encryption_keys"):
            work_off(ChannelLayerWrapper(layer_over(base, "another"), "default", routing))
        assert ran == []

        work_off(ChannelLayerWrapper(layer_over(base, "new", "key"), "default", routing))
        assert ran == [1]

    def test_a_dead_letter_stays_and_is_not_read(self, base: MemoryEngine):
        talk = Talk(SealedEngine(base, ["key"]))
        token = talk.lease(talk.worker("w1"), "x")
        talk(ops.GiveUp("w1", token, "poison", True))

        (letter,) = Talk(SealedEngine(base, ["another"]))(ops.DeadLetters("x"))

        with pytest.raises(UndecodableEnvelope, match="symmetric_encryption_keys"):
            codec.decode_envelope(letter.payload)
        (letter,) = talk(ops.DeadLetters("x"))
        assert letter.payload == b"work"

    def test_a_kept_value_is_none(self, base: MemoryEngine):
        one, other = layer_over(base, "key"), layer_over(base, "another")
        one.keep("session", b"", ttl=60)

        assert one.recall("session") == b""
        assert other.recall("session") is None

    def test_an_inbox_entry_of_somebody_else_cannot_be_decoded(self, base: MemoryEngine):
        talk = Talk(base)
        talk.interface("i1")
        forged = codec.encode_entry(codec.REPLY, "c1", [{"text": "forged"}])
        talk.send(ops.Tell("i1", forged))

        (entry,) = [
            entry
            for _, entry in asyncio.run(
                SealedEngine(base, ["key"]).inbox("i1").read("0-0", trim=False)
            )
        ]

        with pytest.raises(UndecodableEnvelope, match="is not sealed with any"):
            codec.decode(entry)


class TestAnotherPlace:
    """What somebody can do who writes to the store, and has no key: copy, and put back."""

    @pytest.fixture
    def base(self) -> MemoryEngine:
        return MemoryEngine()

    @pytest.fixture
    def talk(self, base: MemoryEngine) -> Talk:
        return Talk(SealedEngine(base, ["key"]))

    @pytest.mark.parametrize("channel", ["b", "a!", "A", "a.b"])
    def test_a_message_does_not_open_on_another_channel(
        self, base: MemoryEngine, talk: Talk, channel: str
    ):
        thief = Talk(base)
        talk.send(ops.Push("a", SECRET), ops.Delay("a", SECRET, 0), ops.Push("a", SECRET))
        for _ in range(3):
            found = thief(ops.Pop(("a",)))
            assert found is not None
            thief.send(ops.Push(channel, found[1]))

        moved = [talk(ops.Oldest(channel)), talk(ops.Pop((channel,)))[1]]
        talk.worker("w1")
        moved += [each.payload for each in talk.claim("w1", channel)]
        assert len(moved) == 4
        assert all(payload.startswith(codec.SEALED) for payload in moved)

    def test_what_is_put_off_or_recorded_does_not_either(self, base: MemoryEngine, talk: Talk):
        thief = Talk(base)
        talk.interface("i1")
        talk.worker("w1", "a", "left")
        talk.send(ops.Push("a", b""), ops.Record("i1", "c1", "left", SECRET))
        (leased,) = talk.claim("w1", "a")
        talk.commit("w1", ops.Outcome(leased.token, later=ops.Later(0, 0, SECRET, "a")))
        talk.bury("i1")
        for channel in ("a", "left"):
            (payload,) = talk.payloads("w1", channel)
            assert payload == SECRET
            talk.send(ops.Push(channel, SECRET))
            found = thief(ops.Pop((channel,)))
            assert found is not None
            thief.send(ops.Push("b", found[1]))
            assert talk(ops.Pop(("b",)))[1].startswith(codec.SEALED)

    def test_an_entry_of_another_inbox_does_not_open(self, base: MemoryEngine, talk: Talk):
        thief = Talk(base)
        talk.interface("i1")
        talk.interface("i2")
        talk.worker("w1")
        talk.send(
            ops.Tell("i1", SECRET),
            ops.GroupAdd("g", "i1", SECRET),
            ops.GroupDiscard("g", "i1", SECRET),
        )
        talk(ops.Part("w1", talk.lease("w1", "a"), "i1", "c1", SECRET))
        talk.commit("w1", ops.Outcome(talk.lease("w1", "a"), (), ADDRESS, SECRET))
        talk(
            ops.GiveUp("w1", talk.lease("w1", "a"), "lost", False, ADDRESS._replace(seq=2), SECRET)
        )
        stolen = [entry for _, entry in base.read("i1", "0-0", trim=False)]
        assert len(stolen) == 6
        thief.send(*(ops.Tell("i2", entry) for entry in stolen))

        assert talk.entries("i1") == [SECRET] * 6
        assert all(entry.startswith(codec.SEALED) for entry in talk.entries("i2"))

    def test_a_body_a_message_and_a_kept_value_are_not_each_other(
        self, base: MemoryEngine, talk: Talk
    ):
        thief = Talk(base)
        talk.send(ops.Body("a?b", SECRET, 0, 60_000), ops.Push("a", SECRET))
        talk(ops.Keep("a", SECRET, 60_000))
        body, message = thief(ops.Pop(("a?b",)))[1], thief(ops.Pop(("a",)))[1]
        kept = thief(ops.Recall("a")).value
        for payload in (body, kept):
            thief.send(ops.Push("a", payload))
            assert talk(ops.Pop(("a",)))[1].startswith(codec.SEALED)
        for payload in (message, kept):
            thief.send(ops.Body("a?b", payload, 0, 60_000))
            assert talk(ops.Pop(("a?b",)))[1].startswith(codec.SEALED)
        for payload in (body, message):
            thief(ops.Keep("a", payload, 60_000))
            assert talk(ops.Recall("a")) is None

    def test_another_layers_does_not_open(self, redis_server: Server):
        redis_server.start()
        one, other = (
            RedisEngine([redis_server.url], prefix=f"test-{secrets.token_hex(6)}") for _ in range(2)
        )
        Talk(SealedEngine(one, ["key"])).send(ops.Push("a", SECRET))
        found = Talk(one)(ops.Pop(("a",)))
        talk = Talk(other)
        talk.send(ops.Push("a", found[1]))

        assert Talk(SealedEngine(other, ["key"]))(ops.Pop(("a",)))[1].startswith(codec.SEALED)
        talk(ops.Flush())

    def test_the_kept_value_of_another_key_does_not_open(self, base: MemoryEngine, talk: Talk):
        thief = Talk(base)
        talk(ops.Keep("admin", SECRET, 60_000))
        talk(ops.Keep("mine", b"mine", 60_000))
        thief(ops.Keep("mine", thief(ops.Recall("admin")).value, 60_000))

        assert talk(ops.Recall("mine")) is None
        assert talk(ops.Recall("admin")).value == SECRET

    def test_an_older_value_is_not_put_back_over_a_newer_one(
        self, base: MemoryEngine, talk: Talk, caplog: pytest.LogCaptureFixture
    ):
        thief = Talk(base)
        talk(ops.Keep("s", b"signed in", 60_000))
        older = thief(ops.Recall("s")).value
        assert talk(ops.Recall("s")).value == b"signed in"
        talk(ops.Keep("s", b"signed out", 60_000))
        assert talk(ops.Recall("s")).value == b"signed out"
        thief(ops.Keep("s", older, 60_000))

        assert talk(ops.Recall("s")) is None
        assert "is older than what was there before" in caplog.text
        # And it begins anew.
        talk(ops.Keep("s", b"anew", 60_000))
        assert talk(ops.Recall("s")).value == b"anew"


class TestInboxes:
    def test_a_gap_is_written_by_the_store_and_is_read(self, engine: Engine):
        talk = Talk(SealedEngine(engine, ["key"]))
        talk.interface("i1", inbox=60)
        talk.send(ops.GroupAdd("g", "i1", b"+"))
        talk.send(ops.GroupSend("g", SECRET, b""), ops.GroupSend("g", SECRET, b""))

        gap = codec.encode_entry(codec.GAP, "g")
        assert talk.entries("i1") == [b"+", gap]
        talk.close()

    def test_what_was_read_is_counted_as_it_lay_there(self):
        base = MemoryEngine()
        engine = SealedEngine(base, ["key"])
        talk = Talk(engine)
        talk.interface("i1")
        reply = codec.encode_entry(codec.REPLY, "c1", [{"text": "hi"}])
        talk.send(ops.Tell("i1", reply))
        ((_, raw),) = base.read("i1", "0-0", trim=False)

        inbox = Inbox(lambda: None, engine.entry_size)
        inbox.take(talk.entries("i1")[0])

        assert inbox.read == len(raw) > len(reply)


class TestConfig:
    def test_no_keys_no_cost(self):
        assert type(InMemoryChannelLayer().engine) is MemoryEngine
        without = RedisChannelLayer(["redis://127.0.0.1:1/0"], symmetric_encryption_keys=None)
        assert type(without.engine) is RedisEngine

    @pytest.mark.parametrize("kind", [InMemoryChannelLayer, RedisChannelLayer])
    def test_every_layer_takes_them(self, kind: Any):
        layer = kind(symmetric_encryption_keys=["key"])
        assert type(layer.engine) is SealedEngine
        assert layer.engine.local_only is (kind is InMemoryChannelLayer)
        with pytest.raises(InvalidChannelLayer, match="symmetric_encryption_keys"):
            kind(symmetric_encryption_keys="key")

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch):
        for name in ("djchan.layers.sealed", "djchan.layers.seal"):
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "cryptography.fernet", None)

        with pytest.raises(InvalidChannelLayer, match=r"pip install 'djchan\[crypto\]'"):
            InMemoryChannelLayer(symmetric_encryption_keys=["key"])


def test_a_message_goes_all_the_way(engine: Engine):
    """A consumer that sends on, to a channel and a group, between layers with turned keys."""
    seen: list[Any] = []

    def begin(message: Any) -> None:
        Group("g", channel_layer=message.channel_layer).add("end")
        Channel("end", channel_layer=message.channel_layer).send({"by": "channel"})
        Group("g", channel_layer=message.channel_layer).send({"by": "group"})

    routing = [route("begin", begin), route("end", lambda message: seen.append(message["by"]))]
    sender = layer_over(engine, "old", "new")
    sender.send("begin", {})
    wrapper = ChannelLayerWrapper(layer_over(engine, "new", "old"), "default", routing)

    work_off(wrapper)

    assert sorted(seen) == ["channel", "group"]
    sender.close()
    wrapper.close()
