"""Random histories of a layer, on every engine: what must hold after each step.

A small model knows where each delivery is, in its own words: exactly one of

    queued ── claim ──► leased ── commit, give up ──► done
      ▲                  │  │
      └─ release, reap ──┘  └── commit(later) ──► due (now: the next claim promotes it)

and what each inbox must hold: effects once, whole, in order. Each numbered operation may be
said again (its answer was lost): the answer is as before, and nothing changes.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from djchan.layers.engine import Engine, InboxReader
from djchan.layers.operations import (
    STARTED,
    Address,
    Beat,
    Claim,
    Commit,
    Counters,
    Delay,
    Effect,
    Flush,
    GiveUp,
    GroupAdd,
    GroupSend,
    Later,
    Leave,
    Length,
    Members,
    Operation,
    Outcome,
    Part,
    Push,
    Reap,
    Register,
    Release,
    Send,
    Tell,
)

CHANNELS = ("x", "y")
SLOTS = st.integers(0, 1)  # Which of the two workers, or interfaces.
SEQS = st.integers(1, 4)
CONNECTIONS = st.sampled_from(["c1", "c2"])
CAPACITY = 6
HOUR = 3_600_000


class Work(NamedTuple):
    payload: bytes
    attempt: int = 1
    done: int = 0


class Lease(NamedTuple):
    worker: str
    channel: str
    work: Work


class Layer(RuleBasedStateMachine):
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.readers: dict[str, InboxReader] = {}
        self.link = self.engine.link("machine")
        self.do(Flush())
        self.serial = count(1)
        self.queued: dict[str, list[Work]] = {channel: [] for channel in CHANNELS}
        self.due: list[tuple[str, Work]] = []
        self.leased: dict[int, Lease] = {}
        self.buried: list[bytes] = []
        self.pushed = 0
        self.ended = 0
        self.last_token = 0
        self.floors: dict[tuple[str, str], int] = {}
        self.members: set[str] = set()
        self.inboxes: dict[str, list[bytes]] = {}
        self.dead: list[str] = []
        self.workers = [self.new("worker", f"w{n}") for n in range(2)]
        self.interfaces = [self.new("interface", f"i{n}") for n in range(2)]
        self.repeat: tuple[Operation, Callable[[Any], Any], Any] | None = None

    def teardown(self) -> None:
        for reader in self.readers.values():
            self.runner.run(reader.aclose())
        self.link.close()
        self.runner.close()

    def do(self, operation: Operation) -> Any:
        (answer,) = self.link.perform(operation)
        return answer

    def new(self, kind: Any, name: str) -> str:
        process = f"{name}-{next(self.serial)}"
        channels = CHANNELS if kind == "worker" else ()
        assert isinstance(self.do(Register(process, kind, b"", channels)), int)
        if kind == "interface":
            self.inboxes[process] = []
        return process

    def fresh(self) -> bytes:
        return b"%d" % next(self.serial)

    # ------------------------------------------------------------------ rules

    @rule(slot=SLOTS, channel=st.sampled_from(CHANNELS), many=st.integers(1, 3))
    def send(self, slot: int, channel: str, many: int) -> None:
        payloads = [self.fresh() for _ in range(many)]
        pushes = tuple(Push(channel, payload, CAPACITY) for payload in payloads)
        operation = Send(self.interfaces[slot], next(self.serial), pushes, link="out")
        expected = []
        for payload in payloads:
            fits = len(self.queued[channel]) < CAPACITY
            expected.append("ok" if fits else "full")
            if fits:
                self.queued[channel].append(Work(payload))
                self.pushed += 1
        sent = self.do(operation)
        assert list(sent.results) == expected
        self.repeat = operation, lambda sent: list(sent.results), expected

    @rule(channel=st.sampled_from(CHANNELS), far=st.booleans())
    def delay(self, channel: str, far: bool) -> None:
        payload = self.fresh()
        if not far:
            # Those of one moment have no order among them, so there is one at most.
            if self.due:
                return
            self.due.append((channel, Work(payload)))
            self.pushed += 1
        assert self.do(Send("", 0, (Delay(channel, payload, HOUR if far else 0),))) is not None

    @rule(slot=SLOTS, turned=st.booleans(), wanted=st.integers(1, 3))
    def claim(self, slot: int, turned: bool, wanted: int) -> None:
        worker = self.workers[slot]
        channels = CHANNELS[::-1] if turned else CHANNELS
        for channel, work in self.due:
            self.queued[channel].append(work)
        self.due.clear()
        claimed = self.do(Claim(worker, f"{worker}-bell", channels, wanted))
        assert claimed.known
        expected = [(c, work) for c in channels for work in self.queued[c]][:wanted]
        got = [(each.channel, Work(each.payload, each.attempt, each.done)) for each in claimed[3]]
        assert got == expected
        for each, (channel, work) in zip(claimed.deliveries, expected, strict=True):
            assert each.token > self.last_token
            self.last_token = each.token
            self.queued[channel].remove(work)
            self.leased[each.token] = Lease(worker, channel, work)

    @precondition(lambda self: self.leased)
    @rule(
        data=st.data(),
        by=SLOTS,
        home=SLOTS,
        connection=CONNECTIONS,
        seq=SEQS,
        kind=st.sampled_from(["plain", "plain", "numbered", "numbered", "later"]),
    )
    def commit(
        self, data: st.DataObject, by: int, home: int, connection: str, seq: int, kind: str
    ) -> None:
        token = data.draw(st.sampled_from(sorted(self.leased)), "token")
        worker, process = self.workers[by], self.interfaces[home]
        told, spread, pushed, answer = (self.fresh() for _ in range(4))
        effects: tuple[Effect, ...] = (
            Tell(process, told),
            GroupSend("g", spread, b""),
            Push("y", pushed),
        )
        address = Address(process, connection, seq) if kind == "numbered" else None
        later = Later(0, 7, self.fresh()) if kind == "later" and not self.due else None
        outcome = Outcome(token, effects, address, answer if address else b"", later)
        operation = Commit(worker, "commits", next(self.serial), (outcome,))

        lease = self.leased[token]
        if lease.worker != worker:
            expected = "fenced"
        else:
            expected = "done"
            del self.leased[token]
            if address and seq <= self.floors.get((process, connection), 0):
                expected = "superseded"
                self.ended += 1
            else:
                self.told(process, told)
                for member in self.members:
                    self.told(member, spread)
                self.queued["y"].append(Work(pushed))
                self.pushed += 1
                if later:
                    # What has begun to answer stays marked: it must not begin again.
                    done = STARTED if lease.work.done == STARTED else later.done
                    rest = lease.work._replace(payload=later.payload, done=done)
                    self.due.append((lease.channel, rest))
                else:
                    self.ended += 1
                if address:
                    self.floors[process, connection] = seq
                    self.told(process, answer)
        assert list(self.do(operation)) == [expected]
        self.repeat = operation, list, ["already"]

    @precondition(lambda self: self.leased)
    @rule(
        data=st.data(), by=SLOTS, home=SLOTS, connection=CONNECTIONS, seq=SEQS, bury=st.booleans()
    )
    def give_up(
        self, data: st.DataObject, by: int, home: int, connection: str, seq: int, bury: bool
    ) -> None:
        token = data.draw(st.sampled_from(sorted(self.leased)), "token")
        worker, process, answer = self.workers[by], self.interfaces[home], self.fresh()
        operation = GiveUp(worker, token, "poison", bury, Address(process, connection, seq), answer)
        lease = self.leased[token]
        if lease.worker != worker:
            expected = "fenced"
        else:
            del self.leased[token]
            self.ended += 1
            expected = "superseded"
            if seq > self.floors.get((process, connection), 0):
                expected = "done"
                self.floors[process, connection] = seq
                self.told(process, answer)
                if bury:
                    self.buried.append(lease.work.payload)
        assert self.do(operation) == expected
        self.repeat = operation, str, "fenced"

    @rule(slot=SLOTS)
    def release(self, slot: int) -> None:
        worker = self.workers[slot]
        tokens = sorted(t for t, lease in self.leased.items() if lease.worker == worker)
        operation = Release(worker, tuple(tokens))
        assert self.do(operation) == len(tokens)
        self.put_back(tokens, crashed=False)
        self.repeat = operation, int, 0

    @rule(slot=SLOTS, goodbye=st.booleans())
    def worker_dies(self, slot: int, goodbye: bool) -> None:
        worker = self.workers[slot]
        (beat, _, _) = self.do(Beat(worker)).processes[worker]
        assert self.do(Reap(worker, beat - 1)) is False
        operation = Reap(worker, None if goodbye else beat)
        assert self.do(operation) is True
        tokens = sorted(t for t, lease in self.leased.items() if lease.worker == worker)
        self.put_back(tokens, crashed=not goodbye)
        self.dead.append(worker)
        self.workers[slot] = self.new("worker", f"w{slot}")
        self.repeat = operation, bool, False

    @rule(slot=SLOTS)
    def interface_dies(self, slot: int) -> None:
        process = self.interfaces[slot]
        operation = Reap(process, 0)
        assert self.do(operation) is True
        self.members.discard(process)
        del self.inboxes[process]
        self.dead.append(process)
        self.interfaces[slot] = self.new("interface", f"i{slot}")
        self.repeat = operation, bool, False

    @rule(slot=SLOTS)
    def join(self, slot: int) -> None:
        process, entry = self.interfaces[slot], self.fresh()
        operation = Send(
            process, next(self.serial), (GroupAdd("g", process, entry),), link="groups"
        )
        assert list(self.do(operation).results) == ["ok"]
        self.members.add(process)
        self.told(process, entry)
        self.repeat = operation, lambda sent: list(sent.results), ["ok"]

    @rule(slot=SLOTS, behind=st.booleans())
    def leave(self, slot: int, behind: bool) -> None:
        """With all applied, or with all but the last entry."""
        process = self.interfaces[slot]
        pairs = self.read(process)
        cursor = "0-0"
        if pairs:
            cursor = pairs[-2][0] if behind and len(pairs) > 1 else pairs[-1][0]
        operation = Leave(process, ("g",), cursor)
        self.do(operation)
        (members, _) = self.do(Members("g"))
        if not behind:
            assert process not in members
        # Behind, it depends on what the last entry was: then the engine is believed, and
        # only that no other process is touched is checked.
        if process not in members:
            self.members.discard(process)
        self.repeat = operation, repr, "None"

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), home=SLOTS)
    def part(self, data: st.DataObject, home: int) -> None:
        token = data.draw(st.sampled_from(sorted(self.leased)), "token")
        lease, entry, process = self.leased[token], self.fresh(), self.interfaces[home]
        assert self.do(Part("nobody", token, process, "c", entry)) == "fenced"
        assert self.do(Part(lease.worker, token, process, "c", entry)) == "ok"
        self.told(process, entry)
        self.leased[token] = lease._replace(work=lease.work._replace(done=STARTED))

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def a_zombie_speaks(self, data: st.DataObject) -> None:
        zombie = data.draw(st.sampled_from(self.dead), "zombie")
        token = self.last_token
        outcome = Outcome(token, (Push("x", b"zombie"),))
        assert list(self.do(Commit(zombie, "commits", 10**9, (outcome,)))) == ["fenced"]
        assert self.do(Send(zombie, 10**9, (Push("x", b"zombie"),))) is None
        assert not self.do(Claim(zombie, f"{zombie}-bell", CHANNELS, 5)).deliveries
        assert self.do(Beat(zombie)) is None

    @precondition(lambda self: self.repeat)
    @rule()
    def its_answer_was_lost(self) -> None:
        assert self.repeat is not None
        operation, reading, expected = self.repeat
        if getattr(operation, "process", None) in self.dead and isinstance(operation, Send):
            assert self.do(operation) is None
        elif getattr(operation, "worker", None) in self.dead:
            assert self.do(operation) in (("fenced",), ["fenced"], "fenced", 0)
        else:
            assert reading(self.do(operation)) == expected

    # ------------------------------------------------------------- invariants

    @invariant()
    def each_delivery_is_in_one_place(self) -> None:
        lengths = self.link.perform(*(Length(channel) for channel in CHANNELS))
        assert lengths == [len(self.queued[channel]) for channel in CHANNELS]
        here = sum(map(len, self.queued.values())) + len(self.leased) + len(self.due)
        assert here + self.ended == self.pushed

    @invariant()
    def effects_are_applied_once_and_in_order(self) -> None:
        for process, entries in self.inboxes.items():
            assert [entry for _, entry in self.read(process)] == entries

    @invariant()
    def members_are_as_told(self) -> None:
        assert set(self.do(Members("g"))[0]) == self.members

    @invariant()
    def the_dead_are_counted(self) -> None:
        counters = self.do(Counters())
        assert sum(n for name, n in counters.items() if name.startswith("dead:")) == len(
            self.buried
        )

    # ---------------------------------------------------------------- helpers

    def told(self, process: str, entry: bytes) -> None:
        self.inboxes[process].append(entry)

    def put_back(self, tokens: list[int], *, crashed: bool) -> None:
        for token in reversed(tokens):
            lease = self.leased.pop(token)
            work = lease.work._replace(attempt=lease.work.attempt + crashed)
            self.queued[lease.channel].insert(0, work)

    def read(self, process: str) -> list[tuple[str, bytes]]:
        """The whole inbox, which must hold what the model says; an empty one is not read."""
        if not self.inboxes[process]:
            return []

        async def reading() -> list[tuple[str, bytes]]:
            if process not in self.readers:
                self.readers[process] = self.engine.inbox(process)
            return await self.readers[process].read("0-0", trim=False)

        return self.runner.run(reading())


def test_random_histories(engine: Engine) -> None:
    class Machine(Layer):
        pass

    Machine.engine = engine
    examples = 150 if engine.local_only else 60
    phases = (Phase.generate, Phase.shrink) if engine.local_only else (Phase.generate,)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            # Shrinking takes minutes over a socket; the same history fails in memory, or it
            # is the script's own fault and the steps say which.
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )
