"""An event loop's end of a layer: in good weather in memory, in bad weather by a script."""

import asyncio
import dataclasses
import itertools
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from djchan import names
from djchan.exceptions import BrokerRefused, BrokerUnavailable
from djchan.layers import codec, effects
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.local import LocalProcess
from djchan.layers.operations import (
    Address,
    Beat,
    Claim,
    Commit,
    History,
    Leave,
    Length,
    Members,
    Operation,
    Outcome,
    Push,
    Reap,
    Record,
    Register,
    Resume,
    Send,
)
from djchan.layers.redis import RedisChannelLayer
from djchan.layers.redis.commands import inbox_key
from tests.layers.views import parse_floor
from tests.support.servers import Server

HI = {"text": "hi"}


def raw(message: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(codec.encode(message))


class Connection:
    """A handler that notes what it is told."""

    def __init__(self, *, fails: bool = False) -> None:
        self.answered_seq = self.answered_frames = 0
        self.waiting: Push | None = None
        self.kept: Record | None = None
        self.told: list[tuple[Any, ...]] = []
        self.fails = fails

    def _note(self, *what: Any) -> None:
        self.told.append(what)
        if self.fails:
            raise RuntimeError("a bug in a connection")

    def on_answer(self, seq: int, replies: list[dict[str, Any]], status: str) -> None:
        self.answered_seq, self.waiting = seq, None
        self._note("answer", seq, replies, status)

    def on_replies(self, replies: list[dict[str, Any]]) -> None:
        self._note("replies", replies)

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any], size: int) -> None:
        self._note("part", seq, token, index, reply)

    def on_gap(self, group: str) -> None:
        self._note("gap", group)

    def on_dead(self) -> None:
        self._note("dead")

    def unanswered(self) -> Push | None:
        return self.waiting

    def copy(self) -> Push:
        assert self.waiting is not None
        self.waiting = self.waiting._replace(capacity=0)
        return self.waiting

    def record(self) -> Record | None:
        return self.kept


async def until(sign: Callable[[], object], what: str = "it happens") -> None:
    try:
        async with asyncio.timeout(5):
            while not sign():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what}: not within 5 s") from None


class Weather:
    """The engine below a layer, whose async links note what they carry, and fail on demand.

    ``storm``: called with each batch before it is performed; what it returns comes after:
    None (perform it), an exception to be raised instead, or ("lost", exception): performed,
    and its answer lost.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.local_only = engine.local_only
        self.name, self.history = engine.name, engine.history
        self.entry_size = engine.entry_size
        self.carried: list[tuple[Operation, ...]] = []
        self.storm: Callable[[tuple[Operation, ...]], Any] = lambda operations: None
        self.reading: Callable[[], Exception | None] = lambda: None
        self.held: list[Any] = []  # Entries that were read, and wait for the event:
        self.late = asyncio.Event()
        self.late.set()
        # Called in the heartbeat's thread with what each of its calls was answered.
        self.beaten: Callable[[list[Any]], None] = lambda answers: None

    def link(self, name: str) -> Any:
        link = self.engine.link(name)
        return StormyHeartbeat(self, link) if name.endswith(".heartbeat") else link

    def alink(self, name: str) -> "StormyLink":
        return StormyLink(self, self.engine.alink(name))

    def inbox(self, process: str) -> "StormyInbox":
        return StormyInbox(self, self.engine.inbox(process))

    def of(self, kind: type) -> list[Any]:
        return [op for batch in self.carried for op in batch if isinstance(op, kind)]

    def bring(self, *storms: Any) -> None:
        """One storm for each of the next batches that hold a Send, a Resume or a Register."""
        waiting = list(storms)

        def storm(operations: tuple[Operation, ...]) -> Any:
            return waiting.pop(0) if waiting else None

        self.storm = storm


class StormyLink:
    def __init__(self, weather: Weather, link: Any) -> None:
        self._weather = weather
        self._link = link

    async def perform(self, *operations: Operation) -> list[Any]:
        self._weather.carried.append(operations)
        storm = self._weather.storm(operations)
        if isinstance(storm, Exception):
            raise storm
        answers: list[Any] = await self._link.perform(*operations)
        if isinstance(storm, tuple):
            raise storm[1]
        return answers

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self._link.aclose()


class StormyHeartbeat:
    def __init__(self, weather: Weather, link: Any) -> None:
        self._weather = weather
        self._link = link

    def perform(self, *operations: Operation) -> list[Any]:
        answers: list[Any] = self._link.perform(*operations)
        self._weather.beaten(answers)
        return answers

    def client_id(self) -> str:
        return ""

    def close(self) -> None:
        self._link.close()


class StormyInbox:
    def __init__(self, weather: Weather, reader: Any) -> None:
        self._weather = weather
        self._reader = reader

    async def read(self, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        trouble = self._weather.reading()
        if trouble is not None:
            raise trouble
        entries: list[tuple[str, bytes]] = await self._reader.read(cursor, trim=trim)
        self._weather.held = entries
        await self._weather.late.wait()
        return entries

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self._reader.aclose()


class Site:
    """A layer, its local process, and a worker that takes and ends deliveries."""

    def __init__(self, layer: Any = None, **options: Any) -> None:
        self.layer = layer or InMemoryChannelLayer(**options)
        self.weather = Weather(self.layer.engine)
        self.layer.engine = self.weather
        self.local = LocalProcess(self.layer)
        self.link = self.weather.engine.link("worker")
        self.results: list[str] = []
        self.server: Server | None = None
        self._number = 0

    def perform(self, *operations: Operation) -> list[Any]:
        answers: list[Any] = self.link.perform(*operations)
        return answers

    def send(self, *words: effects.Words) -> tuple[str, ...]:
        packed, _ = effects.pack(words)
        (sent,) = self.perform(Send("", 0, packed))
        results: tuple[str, ...] = sent.results
        return results

    def connect(self, handler: Connection | None = None) -> str:
        """A connection that is about to submit its first delivery."""
        connection = self.local.new_connection(handler or Connection())
        self.local.begin(connection)
        return connection

    def submit(self, payload: bytes = b"x", channel: str = "a", **options: Any) -> Push:
        push = Push(channel, payload, **options)
        self.local.submit(push, self.results.append)
        return push

    def claim(self, count: int = 100) -> list[Any]:
        self.perform(Register("W", "worker", b"", ("a",)))
        (claimed,) = self.perform(Claim("W", "W.1", ("a",), count))
        return list(claimed.deliveries)

    def commit(self, token: int, address: Address | None, *words: effects.Words) -> str:
        packed, replies = effects.pack(words, address)
        end = effects.answer(address, replies) if address else b""
        self._number += 1
        outcome = Outcome(token, packed, address, end)
        ((result,),) = self.perform(Commit("W", "1", self._number, (outcome,)))
        return str(result)

    def commit_again(self, connection: str, seq: int) -> str:
        """How a delivery ``seq`` of ``connection`` would end now."""
        self.send(Push("a", b"again"))
        (leased,) = self.claim()
        return self.commit(leased.token, Address(self.local.id, connection, seq))

    def reply(self, connection: str, message: dict[str, Any] = HI) -> tuple[str, ...]:
        return self.send(effects.Reply(self.local.id, connection, codec.encode(message)))

    def name(self, connection: str) -> str:
        return names.reply_channel("websocket.send", self.local.id, connection)

    def members(self, group: str = "g") -> tuple[str, ...]:
        ((processes, _),) = self.perform(Members(group))
        return tuple(processes)

    def unread(self) -> int:
        """Entries in the inbox."""
        engine = self.weather.engine
        if self.server is None:
            return len(engine.read(self.local.id, "0-0", trim=False))
        return int(self.server.command("XLEN", inbox_key(engine.base, self.local.id))[1:])

    def floors(self) -> dict[str, tuple[int, int]]:
        """Of the connections of this process that the layer knows."""
        engine = self.weather.engine
        if self.server is None:
            return dict(engine._state.registry.processes[self.local.id].floors)
        found = self.link._exchange([("HGETALL", f"{engine.base}fl:{self.local.id}")])[0]
        pairs = zip(found[::2], found[1::2], strict=True)
        return {name.decode(): parse_floor(floor) for name, floor in pairs}

    def lose_state(self) -> None:
        """The layer's Redis starts with nothing."""
        self.layer.flush()


@pytest_asyncio.fixture(params=["memory", "redis"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    site = Site()
    if request.param == "redis":
        server: Server = request.getfixturevalue("redis_server")
        server.start()
        layer = RedisChannelLayer([server.url], prefix=f"test-{secrets.token_hex(6)}")
        site = Site(layer)
        site.server = server
    await site.local.start()
    yield site
    site.weather.storm = lambda operations: None
    site.weather.reading = lambda: None
    await site.local.stop()
    site.lose_state()
    site.link.close()
    site.layer.close()
    await site.layer.aclose()


pytestmark = pytest.mark.asyncio


class TestStart:
    async def test_once_whoever_calls(self):
        site = Site()

        await asyncio.gather(*(site.local.start() for _ in range(5)))

        assert len(site.weather.of(Register)) == 1
        assert len(site.local.id) == 22
        assert site.local.down_since is None
        await site.local.stop()

    async def test_without_a_broker_it_raises_and_can_be_tried_again(self):
        site = Site()
        site.weather.bring(BrokerUnavailable("not there"))

        with pytest.raises(BrokerUnavailable, match="not there"):
            await site.local.start()
        await site.local.start()

        assert site.local.id
        await site.local.stop()

    async def test_it_beats(self, site: Site):
        beats = []

        def beats_again() -> bool:
            # A stranger's beat tells everybody's.
            site.perform(Register("other", "interface", b""))
            (answer,) = site.perform(Beat("other"))
            beats.append(answer.processes[site.local.id][0])
            return beats[-1] > beats[0] + 1

        await until(beats_again, "the beat counts up")

    async def test_stop_says_goodbye(self):
        site = Site()
        await site.local.start()
        old = site.local.id
        connection = site.local.new_connection(Connection())
        site.send(effects.group_add(site.layer, "g", site.name(connection)))
        assert site.members() == (old,)

        await site.local.stop()

        assert site.members() == ()
        assert site.send(effects.Reply(old, connection, codec.encode(HI))) == ("gone",)

    async def test_stop_before_start_is_nothing(self):
        await LocalProcess(InMemoryChannelLayer()).stop(1.0)

    async def test_stop_sends_what_is_waiting(self):
        site = Site()
        await site.local.start()
        site.submit()

        await site.local.stop(grace=5)

        assert site.results == ["ok"]
        assert site.perform(Length("a")) == [1]

    async def test_stop_tells_the_layer_first_what_that_has_lost(self):
        site = Site()
        await site.local.start()
        connection = site.local.new_connection(handler := Connection())
        handler.kept = kept(site, connection)
        site.perform(Register("W", "worker", b"", ("a",)))
        site.weather.storm = lambda operations: BrokerUnavailable("away")
        site.lose_state()
        await until(lambda: site.weather.of(Resume))
        stopping = asyncio.ensure_future(site.local.stop(grace=5))
        await asyncio.sleep(0)
        site.perform(Register("W", "worker", b"", ("a",)))

        site.weather.storm = lambda operations: None
        await stopping

        assert [leased.payload for leased in site.claim()] == [handler.kept.payload]

    async def test_stop_does_not_wait_for_a_broker_without_end(
        self, caplog: pytest.LogCaptureFixture
    ):
        site = Site()
        await site.local.start()
        site.weather.storm = lambda operations: BrokerUnavailable("away")
        site.submit()

        async with asyncio.timeout(3):
            await site.local.stop(grace=0.1)

        assert "could not say goodbye" in caplog.text
        assert site.results == []

    async def test_it_can_start_again(self, site: Site):
        first = site.local.id
        await site.local.stop()

        await site.local.start()

        assert site.local.id != first
        site.submit()
        await until(lambda: site.results == ["ok"])

    async def test_after_many_sends_it_starts_again_as_a_new_one(self, site: Site):
        for number in range(1, 6):
            site.submit()
            await until(lambda: len(site.results) == number)  # noqa: B023
        await site.local.stop()

        await site.local.start()

        site.submit()
        await until(lambda: site.results == ["ok"] * 6)
        assert site.weather.of(Send)[-1].number == 1
        assert site.weather.of(Resume) == []

    async def test_it_says_how_much_its_inbox_may_hold(self):
        site = Site(inbox_bytes=1234)
        await site.local.start()

        assert [register.inbox for register in site.weather.of(Register)] == [1234]
        await site.local.stop()


class TestOut:
    async def test_what_one_tick_produced_is_one_send(self, site: Site):
        for number in range(20):
            site.submit(b"%d" % number)
        await until(lambda: len(site.results) == 20)

        (send,) = site.weather.of(Send)
        assert [push.payload for push in send.effects] == [b"%d" % n for n in range(20)]
        assert site.results == ["ok"] * 20
        assert [leased.payload for leased in site.claim()] == [b"%d" % n for n in range(20)]

    async def test_each_is_told_its_own_result(self, site: Site):
        site.submit(capacity=1)
        site.submit(capacity=1)
        site.submit(channel="nobody.serves.it", if_served=True)
        await until(lambda: len(site.results) == 3)

        assert site.results == ["ok", "full", "unserved"]

    async def test_what_comes_meanwhile_goes_with_the_next_one(self, site: Site):
        site.submit(b"1")
        await until(lambda: len(site.weather.of(Send)) == 1)
        site.submit(b"2")
        site.submit(b"3")
        await until(lambda: len(site.results) == 3)

        assert [send.number for send in site.weather.of(Send)] == [1, 2]

    async def test_a_send_whose_answer_was_lost_is_said_again_with_its_number(self, site: Site):
        lost = ("lost", BrokerUnavailable("the connection broke"))
        site.weather.bring(lost, lost, lost)

        site.submit(b"1")
        await until(lambda: site.results)

        sends = site.weather.of(Send)
        assert len(sends) == 4
        assert len(set(sends)) == 1
        assert site.results == ["ok"]
        assert site.perform(Length("a")) == [1]

    async def test_a_send_that_did_not_arrive_is_said_again(self, site: Site):
        site.weather.bring(BrokerUnavailable("no way"), BrokerRefused("out of memory"))

        site.submit(b"1")
        await until(lambda: site.results == ["ok"])

        assert site.perform(Length("a")) == [1]

    async def test_no_error_that_nobody_expected_ends_the_sending(self, site: Site, caplog: Any):
        site.weather.bring(TypeError("odd"), ("lost", ValueError("odd")))

        site.submit(b"1")
        await until(lambda: site.results == ["ok"])

        assert site.perform(Length("a")) == [1]
        assert "Please report this" in caplog.text
        await until(lambda: site.local.down_since is None)

    async def test_availability_is_told_with_the_cause(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level(logging.WARNING, "djchan")
        site.weather.storm = lambda operations: BrokerUnavailable("Redis at x did not answer.")
        site.submit()
        await until(lambda: site.local.down_since is not None)
        assert site.local.down_since is not None

        await asyncio.sleep(0.2)
        site.weather.storm = lambda operations: None
        await until(lambda: site.local.down_since is None)

        assert site.local.down_since is None
        assert caplog.text.count("Redis at x did not answer. Trying again") == 1
        assert "Redis is back after" in caplog.text

    async def test_it_is_available_until_it_has_been_down_for_a_while(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ):
        """One lost answer is no reason to refuse anybody: what comes now waits for the next."""
        site.weather.storm = lambda operations: BrokerUnavailable("Redis at x did not answer.")
        site.submit()
        await until(lambda: site.local.down_since is not None)
        assert site.local.available

        monkeypatch.setattr("djchan.layers.local.PATIENCE", 0.05)
        await until(lambda: not site.local.available)
        site.weather.storm = lambda operations: None
        await until(lambda: site.local.available)

    async def test_who_was_down_is_up_again_though_nobody_has_anything_to_say(self, site: Site):
        """New sockets are refused while it is down: they would never say anything."""
        site.weather.storm = lambda operations: BrokerUnavailable("gone")
        site.weather.reading = lambda: BrokerUnavailable("gone")
        # Wakes the read that waits now.
        site.reply("nobody")
        await until(lambda: site.local.down_since is not None)

        site.weather.reading = lambda: None
        site.weather.storm = lambda operations: None

        await until(lambda: site.local.down_since is None)

    async def test_a_layer_that_refuses_is_not_asked_without_pause(self, site: Site):
        asked = []

        def refuse(operations: tuple[Operation, ...]) -> Any:
            asked.append(time.monotonic())
            return BrokerRefused("OOM command not allowed")

        site.weather.storm = refuse
        site.submit(b"1")
        await until(lambda: len(asked) >= 4)
        site.weather.storm = lambda operations: None
        await until(lambda: site.results == ["ok"])

        pauses = [after - before for before, after in itertools.pairwise(asked)]
        assert pauses[0] >= 0.02 and pauses[2] >= 0.09, "each is longer"
        assert site.perform(Length("a")) == [1]

    async def test_more_than_a_batch_keeps_its_order(self, site: Site):
        for number in range(1200):
            site.submit(b"%d" % number)
        await until(lambda: len(site.results) == 1200)

        assert [len(send.effects) for send in site.weather.of(Send)] == [512, 512, 176]
        assert [d.payload for d in site.claim(2000)] == [b"%d" % n for n in range(1200)]


class TestIn:
    async def test_an_answer_goes_to_its_connection(self, site: Site):
        one, other = Connection(), Connection()
        connection = site.connect(one)
        site.local.new_connection(other)
        site.submit()
        await until(lambda: site.results)

        (leased,) = site.claim()
        address = Address(site.local.id, connection, 1)
        words = [effects.Reply(site.local.id, connection, codec.encode({"n": n})) for n in (1, 2)]
        assert site.commit(leased.token, address, *words) == "done"

        await until(lambda: one.told)
        assert one.told == [("answer", 1, [{"n": 1}, {"n": 2}], "")]
        assert other.told == []

    async def test_replies_and_parts(self, site: Site):
        handler = Connection()
        connection = site.local.new_connection(handler)
        address = Address(site.local.id, connection, 4)

        site.reply(connection)
        site.perform(
            Send("", 0, (effects.Tell(site.local.id, effects.part(address, 9, 0, raw(HI))),))
        )

        await until(lambda: len(handler.told) == 2)
        assert handler.told == [("replies", [HI]), ("part", 4, 9, 0, HI)]

    async def test_to_a_connection_that_is_closed_it_is_dropped(self, site: Site):
        handler, witness = Connection(), Connection()
        connection = site.local.new_connection(handler)
        other = site.local.new_connection(witness)
        site.local.forget(connection)

        site.reply(connection)
        site.reply(other)

        await until(lambda: witness.told)
        assert handler.told == []

    async def test_a_handler_that_raises_harms_nobody(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        bad, good = Connection(fails=True), Connection()
        names_of = [site.local.new_connection(handler) for handler in (bad, good)]
        for connection in names_of:
            site.send(effects.group_add(site.layer, "g", site.name(connection)))

        site.send(site.layer.group_word("g", HI))
        site.reply(names_of[0])
        site.reply(names_of[1])

        await until(lambda: len(good.told) == 2)
        assert bad.told == good.told == [("replies", [HI]), ("replies", [HI])]
        assert caplog.text.count("failed to take what came for it") == 2

    async def test_garbage_in_the_inbox_is_logged_and_passed_over(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        handler = Connection()
        connection = site.local.new_connection(handler)
        for entry in (b"\xc1", b"", codec.encode([99, "?"]), codec.encode([0]), codec.encode(7)):
            site.perform(Send("", 0, (effects.Tell(site.local.id, entry),)))

        site.reply(connection)

        await until(lambda: handler.told)
        assert handler.told == [("replies", [HI])]
        assert "unknown kind 99" in caplog.text

    async def test_an_entry_is_applied_once_and_then_trimmed(self, site: Site):
        handler = Connection()
        connection = site.local.new_connection(handler)
        for number in range(300):
            site.reply(connection, {"n": number})
        await until(lambda: len(handler.told) == 300)

        await until(lambda: site.unread() == 0, "the inbox is empty")
        assert [told[1] for told in handler.told] == [[{"n": n}] for n in range(300)]

    async def test_the_reader_survives_trouble(self, site: Site):
        handler = Connection()
        connection = site.local.new_connection(handler)
        troubles = [BrokerUnavailable("gone"), BrokerRefused("loading"), TypeError("odd")]
        site.weather.reading = lambda: troubles.pop() if troubles else None

        # Wakes the read that waits now; the next ones meet the troubles.
        site.reply(connection, {"n": 1})
        await until(lambda: not troubles)
        site.reply(connection, {"n": 2})

        await until(lambda: len(handler.told) == 2)
        assert handler.told == [("replies", [{"n": 1}]), ("replies", [{"n": 2}])]


class TestGroups:
    async def join(self, site: Site, *handlers: Connection) -> list[str]:
        connections = [site.local.new_connection(handler) for handler in handlers]
        for connection in connections:
            site.send(effects.group_add(site.layer, "g", site.name(connection)))
        await until(
            lambda: set(site.local.membership.members("g")) == set(connections), "they are in it"
        )
        return connections

    async def test_one_entry_reaches_every_member_with_one_message(self, site: Site):
        handlers = [Connection() for _ in range(5)]
        await self.join(site, *handlers)

        site.send(site.layer.group_word("g", HI))

        await until(lambda: all(handler.told for handler in handlers))
        messages = [handler.told[0][1][0] for handler in handlers]
        assert messages == [HI] * 5
        assert len({id(message) for message in messages}) == 1

    async def test_the_process_leaves_with_its_last_member(self, site: Site):
        one, other = await self.join(site, Connection(), Connection())

        site.local.leave_groups(one)
        site.send(effects.group_discard("g", site.name(one)))
        await until(lambda: site.unread() == 0)
        assert site.members() == (site.local.id,)

        site.local.leave_groups(other)
        await until(lambda: site.members() == ())

    async def test_an_add_for_a_connection_that_is_gone_is_undone(self, site: Site):
        connection = site.local.new_connection(Connection())
        site.local.forget(connection)

        site.send(effects.group_add(site.layer, "g", site.name(connection)))

        await until(lambda: site.members() == (), "the process leaves")
        assert len(site.weather.of(Leave)) >= 1

    async def test_a_leave_that_got_lost_is_said_again(self, site: Site):
        (connection,) = await self.join(site, Connection())
        site.weather.bring(BrokerUnavailable("lost on its way"))

        site.local.leave_groups(connection)

        await until(lambda: site.members() == ())

    async def test_who_joins_while_the_last_one_leaves_stays(self, site: Site):
        (one,) = await self.join(site, Connection())
        handler = Connection()
        other = site.local.new_connection(handler)
        # The add is in the inbox, and not yet applied, when the process says that it leaves.
        site.local.leave_groups(one)
        site.send(effects.group_add(site.layer, "g", site.name(other)))
        await until(lambda: site.weather.of(Leave))
        await until(lambda: site.local.membership.members("g") == (other,))

        site.send(site.layer.group_word("g", HI))

        await until(lambda: handler.told)
        assert site.members() == (site.local.id,)


class TestForget:
    async def test_who_began_is_told_with_its_first_delivery_and_again_with_that(self, site: Site):
        site.weather.bring(BrokerUnavailable("lost"), ("lost", BrokerUnavailable("lost")))
        connection = site.connect()
        site.submit()
        await until(lambda: site.results == ["ok"])
        site.submit()
        await until(lambda: site.results == ["ok", "ok"])

        assert [send.begin for send in site.weather.of(Send)] == [*[(connection,)] * 3, ()]
        leased, copy = site.claim()
        assert site.commit(leased.token, Address(site.local.id, connection, 1)) == "done"
        assert site.commit(copy.token, Address(site.local.id, connection, 1)) == "superseded"

    async def test_nothing_is_applied_for_who_never_began(self, site: Site):
        connection = site.local.new_connection(Connection())

        assert site.commit_again(connection, 1) == "superseded"

    async def test_a_finished_connection_gives_up_its_floor(self, site: Site):
        connection = site.connect()
        site.submit()
        await until(lambda: site.results)
        (leased,) = site.claim()
        site.commit(leased.token, Address(site.local.id, connection, 3))
        assert site.commit_again(connection, 3) == "superseded"

        site.local.forget(connection)
        await until(lambda: any(send.forget for send in site.weather.of(Send)))

        assert [send.forget for send in site.weather.of(Send) if send.forget] == [(connection,)]
        site.submit()
        await until(lambda: len(site.results) == 2)
        (leased,) = site.claim()
        assert site.commit(leased.token, Address(site.local.id, connection, 4)) == "superseded"
        assert site.floors() == {}

    async def test_a_client_that_left_is_told_with_its_tick(self, site: Site):
        connection = site.local.new_connection(Connection())
        site.local.cut(connection)
        site.submit()
        await until(lambda: site.results)

        (send,) = site.weather.of(Send)
        assert (send.cut, send.forget) == ((connection,), ())


def kept(site: Site, connection: str) -> Record:
    return Record(site.local.id, connection, "a", b"bye " + connection.encode())


class TestRecord:
    async def test_what_a_process_left_is_queued_when_it_is_buried(self, site: Site):
        site.perform(Register("W", "worker", b"", ("a",)))
        (one, two, three) = (site.connect() for _ in range(3))
        for connection in (one, two, three):
            site.local.submit(kept(site, connection), site.results.append)
        owner = (site.local.id, two)
        site.submit(b"goodbye", owner=owner, last=True)
        site.local.forget(three)
        await until(lambda: site.results == ["ok"] * 4)
        # Whether the forgetting went with them or comes next.
        await until(lambda: any(send.forget for send in site.weather.of(Send)))

        await site.local.stop()

        payloads = [leased.payload for leased in site.claim()]
        assert payloads == [b"goodbye", b"bye " + one.encode()]
        await site.local.start()

    async def test_who_never_said_anything_is_not_forgotten_at_the_layer(self, site: Site):
        silent, known = site.local.new_connection(Connection()), site.connect()

        site.local.forget(silent)
        site.local.forget(known)

        await until(lambda: site.weather.of(Send))
        assert [send.forget for send in site.weather.of(Send)] == [(known,)]


class TestInboxLimit:
    async def test_members_learn_of_what_was_dropped_and_it_ends(self):
        site = Site(inbox_bytes=2000)
        await site.local.start()
        member, other = Connection(), Connection()
        connection = site.local.new_connection(member)
        site.local.new_connection(other)
        site.send(effects.group_add(site.layer, "g", site.name(connection)))
        await until(lambda: site.local.membership.members("g"))
        word = site.layer.group_word("g", {"text": "x" * 500})

        # All before the reader has its turn.
        site.send(*[word] * 10)

        await until(lambda: ("gap", "g") in member.told)
        came = [told for told in member.told if told[0] == "replies"]
        assert 1 <= len(came) < 10
        assert member.told.count(("gap", "g")) == 1
        assert other.told == []

        # The next beat says that it was read.
        member.told.clear()
        async with asyncio.timeout(5):
            while not any(told[0] == "replies" for told in member.told):
                member.told.clear()
                site.send(word)
                await asyncio.sleep(0.05)
        await site.local.stop()


class TestStateLoss:
    async def test_all_that_the_layer_has_of_it_is_told(self, site: Site):
        handlers = [Connection() for _ in range(3)]
        names_of = [site.connect(handler) for handler in handlers]
        for handler, connection in zip(handlers, names_of, strict=True):
            handler.kept = kept(site, connection)
            site.local.submit(handler.kept, site.results.append)
        site.reply(names_of[0])
        await until(lambda: handlers[0].told and len(site.results) == 3)
        handlers[2].kept = None  # Its last delivery is queued.

        site.lose_state()

        await until(lambda: site.weather.of(Resume))
        resume = site.weather.of(Resume)[0]
        assert resume.records == (handlers[0].kept, handlers[1].kept)
        assert resume.floors == tuple((connection, 0, 0) for connection in names_of)
        assert (resume.link, resume.number) == ("out", site.weather.of(Send)[-1].number)
        assert resume.read > 0
        assert resume.inbox == site.layer.inbox_bytes
        # And that is what the layer has.
        await until(lambda: site.reply(names_of[0]) == ("ok",))
        site.perform(Register("W", "worker", b"", ("a",)))
        await site.local.stop()
        assert len(site.claim()) == 2
        await site.local.start()

    async def test_the_record_of_who_just_says_goodbye_is_not_told(self, site: Site):
        handler = Connection()
        connection = site.local.new_connection(handler)
        handler.kept = kept(site, connection)
        site.local.submit(handler.kept, site.results.append)
        await until(lambda: site.results)
        site.lose_state()

        site.submit(b"goodbye", owner=(site.local.id, connection), last=True)

        await until(lambda: site.results == ["ok", "ok"])
        assert site.weather.of(Resume)[0].records == ()
        await site.local.stop()
        assert [leased.payload for leased in site.claim()] == [b"goodbye"]
        await site.local.start()

    async def test_one_loss_is_one_resume_whoever_notices(self, site: Site):
        """The Send is told first, and the beat after it finds a layer that counts anew."""
        beats: list[int] = []

        def beat() -> int:
            site.perform(Register("other", "interface", b""))
            (answer,) = site.perform(Beat("other"))
            return int(answer.processes.get(site.local.id, (0,))[0])

        await until(lambda: beat() > 1, "it has beaten")
        handler = Connection()
        site.local.new_connection(handler)
        site.lose_state()
        handler.waiting = site.submit(b"one")
        await until(lambda: site.results == ["ok"])

        beats.append(beat())
        await until(lambda: beat() > beats[0] + 2, "it beats on")
        assert len(site.weather.of(Resume)) == 1
        assert site.perform(Length("a")) == [1]

    async def test_a_beat_that_was_answered_before_the_resume_asks_for_no_other(self, site: Site):
        noticed, resumed = threading.Event(), threading.Event()
        beats: list[Any] = []

        def beaten(answers: list[Any]) -> None:
            if answers == [None] and not noticed.is_set():
                noticed.set()
                resumed.wait(5)
            elif resumed.is_set():
                beats.append(answers)

        site.weather.beaten = beaten
        handler = Connection()
        site.local.new_connection(handler)
        site.lose_state()
        await until(noticed.is_set)
        handler.waiting = site.submit(b"one")
        await until(lambda: site.results == ["ok"])

        resumed.set()

        await until(lambda: len(beats) > 2)
        assert len(site.weather.of(Resume)) == 1
        assert site.perform(Length("a")) == [1]

    async def test_what_was_read_before_all_was_told_anew_is_not_taken(self, site: Site):
        """It is of the time before: what ran then will run again."""
        handler = Connection()
        connection = site.connect(handler)
        site.submit()
        await until(lambda: site.results == ["ok"])
        site.weather.late.clear()
        site.reply(connection, {"n": "of before"})
        await until(lambda: site.weather.held)
        site.lose_state()
        await until(lambda: site.weather.of(Resume))
        await until(lambda: site.reply(connection, {"n": "of after"}) == ("ok",))

        site.weather.late.set()

        await until(lambda: handler.told)
        assert handler.told == [("replies", [{"n": "of after"}])]

    async def test_a_store_that_went_back_in_time_is_noticed_though_it_knows_the_process(
        self, site: Site
    ):
        handler = Connection()
        connection = site.connect(handler)
        handler.answered_seq = 3
        site.perform(History("one run"))
        site.submit(b"before")
        await until(lambda: site.results == ["ok"])

        site.perform(History("another run"))

        await until(lambda: site.weather.of(Resume))
        assert site.weather.of(Resume)[0].floors == ((connection, 3, 0),)
        site.submit(b"after")
        await until(lambda: site.results == ["ok", "ok"])

    async def test_while_it_is_refused_sockets_stay_and_it_asks_ever_less(self, site: Site):
        handler = Connection()
        site.local.new_connection(handler)
        site.lose_state()
        asked = []

        def refuse(operations: tuple[Operation, ...]) -> Any:
            if isinstance(operations[0], Resume):
                asked.append(time.monotonic())
                return BrokerRefused("OOM command not allowed")
            return None

        site.weather.storm = refuse
        handler.waiting = site.submit(b"one")
        await until(lambda: len(asked) >= 4)
        assert site.local.down_since is not None
        assert handler.told == [] and site.results == []
        site.weather.storm = lambda operations: None

        await until(lambda: site.results == ["ok"])
        assert site.local.down_since is None
        pauses = [after - before for before, after in itertools.pairwise(asked)]
        assert pauses[2] >= 0.09
        assert site.perform(Length("a")) == [1]

    async def test_floors_groups_and_unanswered_deliveries_are_announced_again(self, site: Site):
        idle, busy = Connection(), Connection()
        quiet, connection = site.connect(idle), site.connect(busy)
        silent = site.local.new_connection(Connection())
        idle.answered_seq, busy.answered_seq, busy.answered_frames = 0, 6, 2
        site.send(effects.group_add(site.layer, "g", site.name(connection)))
        await until(lambda: site.local.membership.members("g") == (connection,))
        busy.waiting = site.submit(b"seven", capacity=5)
        await until(lambda: site.results == ["ok"])

        site.lose_state()

        # Its beat notices.
        await until(lambda: site.weather.of(Resume), "it resumes")
        await until(lambda: site.perform(Length("a")) == [1], "the delivery is there again")
        (resume,) = site.weather.of(Resume)
        assert resume.process == site.local.id
        assert resume.floors == ((quiet, 0, 0), (connection, 6, 2))
        site.local.forget(silent)
        assert resume.groups == ("g",)
        assert site.members() == (site.local.id,)
        (leased,) = site.claim()
        assert leased.payload == b"seven"
        assert site.commit(leased.token, Address(site.local.id, connection, 6)) == "superseded"
        assert site.floors() == {quiet: (0, 0), connection: (6, 2)}
        assert idle.told == [] and site.reply(quiet) == ("ok",)
        await until(lambda: idle.told, "replies come again")

    async def test_a_delivery_that_was_not_yet_sent_is_sent_once(self, site: Site):
        handler = Connection()
        site.local.new_connection(handler)
        site.lose_state()

        # Submitted before the beat notices: the Send is the first to be told.
        handler.waiting = site.submit(b"one")
        await until(lambda: site.results == ["ok"])

        await until(lambda: len(site.weather.of(Resume)) == 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert site.perform(Length("a")) == [1]

    async def test_a_resume_that_got_lost_is_said_again(self, site: Site):
        handler = Connection()
        site.local.new_connection(handler)
        handler.waiting = site.submit(b"one")
        await until(lambda: site.results == ["ok"])
        site.lose_state()

        def storm(operations: tuple[Operation, ...]) -> Any:
            if isinstance(operations[0], Resume) and len(site.weather.of(Resume)) < 3:
                return "lost", BrokerUnavailable("its answer got lost")
            return None

        site.weather.storm = storm
        await until(lambda: len(site.weather.of(Resume)) >= 3, "it is said again")
        await until(lambda: site.perform(Length("a")) == [1])
        await until(lambda: site.local.down_since is None)

    async def test_one_that_is_answered_is_not_sent_again(self, site: Site):
        handler = Connection()
        connection = site.connect(handler)
        handler.waiting = site.submit(b"one")
        await until(lambda: site.results)
        (leased,) = site.claim()
        site.commit(leased.token, Address(site.local.id, connection, 1))
        await until(lambda: handler.answered_seq == 1)

        site.lose_state()
        await until(lambda: site.weather.of(Resume))
        await until(lambda: site.reply(connection) == ("ok",))

        assert site.perform(Length("a")) == [0]
        assert site.weather.of(Resume)[0].floors == ((connection, 1, 0),)


class TestBuried:
    async def test_all_its_connections_are_told_and_it_goes_on_under_a_new_id(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        old = site.local.id
        handlers = [Connection(), Connection(fails=True), Connection()]
        connections = [site.local.new_connection(handler) for handler in handlers]
        site.send(effects.group_add(site.layer, "g", site.name(connections[0])))
        await until(lambda: site.local.membership.groups() == ("g",))

        # Another process has declared it dead while it was silent.
        (buried,) = site.perform(Reap(old, None))
        assert buried

        await until(lambda: all(("dead",) in handler.told for handler in handlers))
        await until(lambda: site.local.id != old and site.local.down_since is None)
        assert all(handler.told == [("dead",)] for handler in handlers)
        assert site.local.membership.groups() == ()
        assert "its 3 connections are closed" in caplog.text

        fresh = Connection()
        connection = site.local.new_connection(fresh)
        site.submit()
        await until(lambda: site.results == ["ok"])
        await until(lambda: site.reply(connection) == ("ok",))
        await until(lambda: fresh.told == [("replies", [HI])])

    async def test_what_was_waiting_is_not_sent_by_the_new_one(self, site: Site):
        handler = Connection()
        site.local.new_connection(handler)
        old = site.local.id
        site.perform(Reap(old, None))

        site.submit(b"of a connection that is dead now")

        await until(lambda: site.local.id != old and handler.told == [("dead",)])
        assert site.results == ["gone"], "whoever waits for it is told"
        site.submit(b"new")
        await until(lambda: site.results == ["gone", "ok"])
        assert [leased.payload for leased in site.claim()] == [b"new"]

    async def test_the_old_reader_ends(self, site: Site):
        """Nothing that was meant for the old id is taken for the new one's."""
        old = site.local.id
        site.perform(Reap(old, None))
        await until(lambda: site.local.id != old)
        handler = Connection()
        connection = site.local.new_connection(handler)

        site.perform(Register(old, "interface", b""))
        assert site.send(effects.Reply(old, connection, codec.encode({"n": 1}))) == ("gone",)
        await until(lambda: site.reply(connection) == ("ok",))

        await until(lambda: handler.told)
        assert handler.told == [("replies", [HI])]


@dataclasses.dataclass(frozen=True)
class OverRedis:
    """An interface's end of a layer with one connection, whose first message was sent."""

    layer: RedisChannelLayer
    local: LocalProcess
    handler: Connection
    reply_channel: str
    results: list[str]


@pytest_asyncio.fixture
async def over_redis(own_broker: Server) -> AsyncIterator[OverRedis]:
    layer = RedisChannelLayer([own_broker.url])
    local = LocalProcess(layer)
    await local.start()
    handler = Connection()
    connection = local.new_connection(handler)
    results: list[str] = []
    handler.waiting = Push("a", b"x")
    local.submit(handler.waiting, results.append)
    await until(lambda: results == ["ok"])
    name = names.reply_channel("websocket.send", local.id, connection)
    yield OverRedis(layer, local, handler, name, results)
    await local.stop()
    await layer.aclose()


class TestOverRedis:
    async def test_a_redis_that_dies_and_comes_back_empty(
        self, own_broker: Server, over_redis: OverRedis, caplog: pytest.LogCaptureFixture
    ):
        layer, local = over_redis.layer, over_redis.local
        handler, results = over_redis.handler, over_redis.results
        own_broker.kill()
        local.submit(Push("b", b"y"), results.append)
        await until(lambda: local.down_since is not None, "it notices")
        own_broker.start()

        await until(lambda: results == ["ok", "ok"], "what waited is sent")
        link = layer.engine.link("worker")
        await until(lambda: link.perform(Length("a"), Length("b")) == [1, 1], "and what was lost")
        name = over_redis.reply_channel
        await layer.asend(name, HI)
        await until(lambda: handler.told, "replies come again")
        assert handler.told == [("replies", [HI])]
        assert caplog.text.count("Trying again; sockets are kept") == 1
        link.close()

    async def test_a_redis_without_memory_that_has_lost_its_state(
        self, own_broker: Server, over_redis: OverRedis, caplog: pytest.LogCaptureFixture
    ):
        layer, local = over_redis.layer, over_redis.local
        handler, results = over_redis.handler, over_redis.results
        own_broker.flush()
        own_broker.command("CONFIG", "SET", "maxmemory", "1")
        local.submit(Push("b", b"y"), results.append)
        await until(lambda: local.down_since is not None, "it notices")
        await asyncio.sleep(0.5)
        assert handler.told == [] and results == ["ok"], "nobody is told to go"
        own_broker.command("CONFIG", "SET", "maxmemory", "0")

        await until(lambda: results == ["ok", "ok"], "what waited is sent")
        link = layer.engine.link("worker")
        await until(lambda: link.perform(Length("a"), Length("b")) == [1, 1], "and what was lost")
        await layer.asend(over_redis.reply_channel, HI)
        await until(lambda: handler.told == [("replies", [HI])], "replies come again")
        assert local.down_since is None
        assert caplog.text.count("Trying again; sockets are kept") == 1
        link.close()
