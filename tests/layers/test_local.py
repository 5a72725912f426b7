"""An event loop's end of a layer: in good weather in memory, in bad weather by a script."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from djchan import names
from djchan.exceptions import BrokerError, BrokerRefused, BrokerUnavailable
from djchan.layers import codec, effects
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.local import LocalProcess
from djchan.layers.operations import (
    Address,
    Beat,
    Claim,
    Commit,
    Leave,
    Length,
    Members,
    Operation,
    Outcome,
    Push,
    Reap,
    Register,
    Resume,
    Send,
)
from djchan.layers.redis import RedisChannelLayer
from tests.support.servers import Server

HI = {"text": "hi"}


def raw(message: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(codec.encode(message))


class Connection:
    """A handler that notes what it is told."""

    def __init__(self, *, fails: bool = False) -> None:
        self.answered_seq = 0
        self.waiting: Push | None = None
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

    def on_part(self, seq: int, token: int, index: int, reply: dict[str, Any]) -> None:
        self._note("part", seq, token, index, reply)

    def on_gap(self, group: str) -> None:
        self._note("gap", group)

    def on_dead(self) -> None:
        self._note("dead")

    def unanswered(self) -> Push | None:
        return self.waiting


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
        self.carried: list[tuple[Operation, ...]] = []
        self.storm: Callable[[tuple[Operation, ...]], Any] = lambda operations: None
        self.reading: Callable[[], BrokerError | None] = lambda: None

    def link(self, name: str) -> Any:
        return self.engine.link(name)

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
        if isinstance(storm, BrokerError):
            raise storm
        answers: list[Any] = await self._link.perform(*operations)
        if isinstance(storm, tuple):
            raise storm[1]
        return answers

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self._link.aclose()


class StormyInbox:
    def __init__(self, weather: Weather, reader: Any) -> None:
        self._weather = weather
        self._reader = reader

    async def read(self, cursor: str, *, trim: bool) -> list[tuple[str, bytes]]:
        trouble = self._weather.reading()
        if trouble is not None:
            raise trouble
        entries: list[tuple[str, bytes]] = await self._reader.read(cursor, trim=trim)
        return entries

    def client_id(self) -> str:
        return ""

    async def aclose(self) -> None:
        await self._reader.aclose()


class Site:
    """A layer in memory, its local process, and a worker that takes and ends deliveries."""

    def __init__(self) -> None:
        self.layer = InMemoryChannelLayer()
        self.weather = Weather(self.layer.engine)
        self.layer.engine = self.weather
        self.local = LocalProcess(self.layer)
        self.link = self.weather.engine.link("worker")
        self.results: list[str] = []
        self._number = 0

    def perform(self, *operations: Operation) -> list[Any]:
        answers: list[Any] = self.link.perform(*operations)
        return answers

    def send(self, *words: effects.Words) -> tuple[str, ...]:
        packed, _ = effects.pack(words)
        (sent,) = self.perform(Send("", 0, packed))
        results: tuple[str, ...] = sent.results
        return results

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

    def lose_state(self) -> None:
        """The layer's Redis starts with nothing."""
        self.layer.flush()


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.local.start()
    yield site
    site.weather.storm = lambda operations: None
    site.weather.reading = lambda: None
    await site.local.stop()


pytestmark = pytest.mark.asyncio


class TestStart:
    async def test_once_whoever_calls(self):
        site = Site()

        await asyncio.gather(*(site.local.start() for _ in range(5)))

        assert len(site.weather.of(Register)) == 1
        assert len(site.local.id) == 22
        assert site.local.available
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
        site.send(effects.group_add("g", site.name(connection)))
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

    async def test_availability_is_told_with_the_cause(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level(logging.WARNING, "djchan")
        site.weather.storm = lambda operations: BrokerUnavailable("Redis at x did not answer.")
        site.submit()
        await until(lambda: not site.local.available)
        assert site.local.down_since is not None

        await asyncio.sleep(0.2)
        site.weather.storm = lambda operations: None
        await until(lambda: site.local.available)

        assert site.local.down_since is None
        assert caplog.text.count("Redis at x did not answer. Trying again") == 1
        assert "Redis is back after" in caplog.text

    async def test_more_than_a_batch_keeps_its_order(self, site: Site):
        for number in range(1200):
            site.submit(b"%d" % number)
        await until(lambda: len(site.results) == 1200)

        assert [len(send.effects) for send in site.weather.of(Send)] == [512, 512, 176]
        assert [d.payload for d in site.claim(2000)] == [b"%d" % n for n in range(1200)]


class TestIn:
    async def test_an_answer_goes_to_its_connection(self, site: Site):
        one, other = Connection(), Connection()
        connection = site.local.new_connection(one)
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
            site.send(effects.group_add("g", site.name(connection)))

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

        await until(lambda: inbox_of(site) == [], "the inbox is empty")
        assert [told[1] for told in handler.told] == [[{"n": n}] for n in range(300)]

    async def test_the_reader_survives_trouble(self, site: Site):
        handler = Connection()
        connection = site.local.new_connection(handler)
        troubles = [BrokerUnavailable("gone"), BrokerRefused("loading"), BrokerUnavailable("gone")]
        site.weather.reading = lambda: troubles.pop() if troubles else None

        # Wakes the read that waits now; the next ones meet the troubles.
        site.reply(connection, {"n": 1})
        await until(lambda: not troubles)
        site.reply(connection, {"n": 2})

        await until(lambda: len(handler.told) == 2)
        assert handler.told == [("replies", [{"n": 1}]), ("replies", [{"n": 2}])]


def inbox_of(site: Site) -> list[Any]:
    entries: list[Any] = site.weather.engine.read(site.local.id, "0-0", trim=False)
    return entries


class TestGroups:
    async def join(self, site: Site, *handlers: Connection) -> list[str]:
        connections = [site.local.new_connection(handler) for handler in handlers]
        for connection in connections:
            site.send(effects.group_add("g", site.name(connection)))
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
        await until(lambda: inbox_of(site) == [])
        assert site.members() == (site.local.id,)

        site.local.leave_groups(other)
        await until(lambda: site.members() == ())

    async def test_an_add_for_a_connection_that_is_gone_is_undone(self, site: Site):
        connection = site.local.new_connection(Connection())
        site.local.forget(connection)

        site.send(effects.group_add("g", site.name(connection)))

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
        site.send(effects.group_add("g", site.name(other)))
        await until(lambda: site.weather.of(Leave))
        await until(lambda: site.local.membership.members("g") == (other,))

        site.send(site.layer.group_word("g", HI))

        await until(lambda: handler.told)
        assert site.members() == (site.local.id,)


class TestForget:
    async def test_a_finished_connection_gives_up_its_floor(self, site: Site):
        connection = site.local.new_connection(Connection())
        site.submit()
        await until(lambda: site.results)
        (leased,) = site.claim()
        site.commit(leased.token, Address(site.local.id, connection, 3))
        assert site.commit_again(connection, 3) == "superseded"

        site.local.forget(connection)
        await until(lambda: any(send.forget for send in site.weather.of(Send)))

        assert [send.forget for send in site.weather.of(Send) if send.forget] == [(connection,)]
        await until(lambda: site.commit_again(connection, 3) == "done", "the floor is gone")

    async def test_a_client_that_left_is_told_with_its_tick(self, site: Site):
        connection = site.local.new_connection(Connection())
        site.local.cut(connection)
        site.submit()
        await until(lambda: site.results)

        (send,) = site.weather.of(Send)
        assert (send.cut, send.forget) == ((connection,), ())


class TestStateLoss:
    async def test_floors_groups_and_unanswered_deliveries_are_announced_again(self, site: Site):
        idle, busy = Connection(), Connection()
        quiet = site.local.new_connection(idle)
        connection = site.local.new_connection(busy)
        idle.answered_seq, busy.answered_seq = 0, 6
        site.send(effects.group_add("g", site.name(connection)))
        await until(lambda: site.local.membership.members("g") == (connection,))
        busy.waiting = site.submit(b"seven", capacity=5)
        await until(lambda: site.results == ["ok"])

        site.lose_state()

        # Its beat notices.
        await until(lambda: site.weather.of(Resume), "it resumes")
        await until(lambda: site.perform(Length("a")) == [1], "the delivery is there again")
        (resume,) = site.weather.of(Resume)
        assert resume.process == site.local.id
        assert resume.floors == ((connection, 6),)
        assert resume.groups == ("g",)
        assert site.members() == (site.local.id,)
        (leased,) = site.claim()
        assert leased.payload == b"seven"
        assert site.commit(leased.token, Address(site.local.id, connection, 6)) == "superseded"
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

        assert site.local.available

    async def test_one_that_is_answered_is_not_sent_again(self, site: Site):
        handler = Connection()
        connection = site.local.new_connection(handler)
        handler.waiting = site.submit(b"one")
        await until(lambda: site.results)
        (leased,) = site.claim()
        site.commit(leased.token, Address(site.local.id, connection, 1))
        await until(lambda: handler.answered_seq == 1)

        site.lose_state()
        await until(lambda: site.weather.of(Resume))
        await until(lambda: site.reply(connection) == ("ok",))

        assert site.perform(Length("a")) == [0]
        assert site.weather.of(Resume)[0].floors == ((connection, 1),)


class TestBuried:
    async def test_all_its_connections_are_told_and_it_goes_on_under_a_new_id(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        old = site.local.id
        handlers = [Connection(), Connection(fails=True), Connection()]
        connections = [site.local.new_connection(handler) for handler in handlers]
        site.send(effects.group_add("g", site.name(connections[0])))
        await until(lambda: site.local.membership.groups() == ("g",))

        # Another process has declared it dead while it was silent.
        (buried,) = site.perform(Reap(old, None))
        assert buried

        await until(lambda: all(("dead",) in handler.told for handler in handlers))
        await until(lambda: site.local.id != old and site.local.available)
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
        site.submit(b"new")
        await until(lambda: site.results == ["ok"])
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


class TestOverRedis:
    async def test_a_redis_that_dies_and_comes_back_empty(
        self, own_broker: Server, caplog: pytest.LogCaptureFixture
    ):
        layer = RedisChannelLayer([own_broker.url])
        local = LocalProcess(layer)
        await local.start()
        handler = Connection()
        connection = local.new_connection(handler)
        results: list[str] = []
        handler.waiting = Push("a", b"x")
        local.submit(handler.waiting, results.append)
        await until(lambda: results == ["ok"])

        own_broker.kill()
        local.submit(Push("b", b"y"), results.append)
        await until(lambda: not local.available, "it notices")
        own_broker.start()

        await until(lambda: results == ["ok", "ok"], "what waited is sent")
        link = layer.engine.link("worker")
        await until(lambda: link.perform(Length("a"), Length("b")) == [1, 1], "and what was lost")
        name = names.reply_channel("websocket.send", local.id, connection)
        await layer.asend(name, HI)
        await until(lambda: handler.told, "replies come again")
        assert handler.told == [("replies", [HI])]
        assert caplog.text.count("Trying again until it does") == 1
        link.close()
        await local.stop()
        await layer.aclose()
