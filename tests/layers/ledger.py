"""What must be in a layer after all that was said to it, whatever engine it is.

For the state machine test. It does not know in which order deliveries wait, and nothing of
bells: it knows which deliveries there are, who has leased them, what became of each operation,
and every entry of every inbox. A copy of it is what an engine that went back in time must
hold.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from djchan.layers.operations import (
    STARTED,
    Address,
    Effect,
    GiveUp,
    GroupAdd,
    GroupSend,
    Outcome,
    Push,
    Record,
    Tell,
)
from tests.layers.actors import address_of
from tests.layers.views import Item, Owner, View

MOST_PARKED = 10


class Lease(NamedTuple):
    worker: str
    payload: bytes


Floor = tuple[int, int]  # All up to a seq, and so many frames of the next.


@dataclass
class Ledger:
    live: dict[bytes, Owner] = field(default_factory=dict)  # Payload -> whose it is.
    leased: dict[int, Lease] = field(default_factory=dict)
    letters: dict[str, list[bytes]] = field(default_factory=dict)  # Channel -> oldest first.
    # Process and connection -> its floor; who is not here is not known.
    floors: dict[tuple[str, str], Floor] = field(default_factory=dict)
    inboxes: dict[str, list[bytes]] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    records: dict[str, dict[str, bytes]] = field(default_factory=dict)
    orphans: dict[str, dict[str, bytes]] = field(default_factory=dict)
    beats: dict[str, int] = field(default_factory=dict)  # Of all who are known.
    stale: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    claims: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    copies: bool = False  # An interface has sent again what may be there already.

    # -- who

    def register(self, process: str, *, interface: bool) -> None:
        self.beats.setdefault(process, 0)
        if interface:
            self.inboxes.setdefault(process, [])
            self.records.setdefault(process, {})

    def is_known(self, process: str) -> bool:
        return process in self.beats

    def begin(self) -> None:
        """A new run of the store was found."""
        self.stale = set(self.inboxes)

    def tokens(self, worker: str) -> list[int]:
        return sorted(token for token, lease in self.leased.items() if lease.worker == worker)

    def reap(self, process: str) -> None:
        del self.beats[process]
        self.dead.add(process)
        self.stale.discard(process)
        self.members.discard(process)
        for token in self.tokens(process):
            del self.leased[token]
        self.claims.pop(process, None)
        self.inboxes.pop(process, None)
        busy = {
            owner[1]
            for payload, owner in self.live.items()
            if owner and owner[0] == process and not self.is_over(payload)
        }
        for key in [key for key in self.numbers if key[0] == process]:
            del self.numbers[key]
        for key in [key for key in self.floors if key[0] == process and key[1] not in busy]:
            del self.floors[key]
        for connection, payload in self.records.pop(process, {}).items():
            if connection in busy:
                self.orphans.setdefault(process, {})[connection] = payload
            else:
                self.live[payload] = (process, connection)

    # -- effects

    def apply(self, effects: tuple[Effect, ...], view: View | None = None) -> bool:
        """Those of a commit, with how the layer looked before; whether one was parked."""
        sizes = {
            channel: (
                len(view.waiting.get(channel, ())) + len(view.suspects.get(channel, ())),
                len(view.parked.get(channel, ())),
            )
            for channel in ("jobs",)
            if view is not None
        }
        anything_parked = False
        for effect in effects:
            match effect:
                case Push() if effect.limit:
                    waiting, parked = sizes[effect.channel]
                    if parked or waiting >= effect.limit:
                        anything_parked = True
                        if parked >= MOST_PARKED * effect.limit:
                            self.letters.setdefault(effect.channel, []).append(effect.payload)
                            continue
                        parked += 1
                    else:
                        waiting += 1
                    sizes[effect.channel] = waiting, parked
                    self.live[effect.payload] = effect.owner
                case Push():
                    self.live[effect.payload] = effect.owner
                    if effect.last and effect.owner:
                        self.records.get(effect.owner[0], {}).pop(effect.owner[1], None)
                case Record():
                    self.records[effect.process][effect.connection] = effect.payload
                case Tell():
                    self.tell(effect.process, effect.entry)
                case GroupAdd():
                    if self.tell(effect.process, effect.entry):
                        self.members.add(effect.process)
                case GroupSend():
                    for process in self.members:
                        self.tell(process, effect.entry)
                case _:
                    raise AssertionError(f"the ledger does not know {effect}")
        return anything_parked

    def tell(self, process: str, entry: bytes) -> bool:
        if process not in self.inboxes:
            return False
        self.inboxes[process].append(entry)
        return True

    # -- the end of a lease

    def commit(self, worker: str, outcome: Outcome, view: View) -> str:
        """What an outcome comes to, if its number is new."""
        lease = self.leased.get(outcome.token)
        address = outcome.address
        if lease is None or lease.worker != worker:
            return "fenced"
        if address is not None and address.process in self.stale:
            return "stale"
        refused = self.refuses(outcome, view.leased[worker][outcome.token])
        if refused:
            return refused
        parked = self.apply(outcome.effects, view)
        frames = outcome.progress if outcome.later is None else outcome.later.done
        if address is not None and frames:
            self.floors[address[:2]] = address.seq - 1, frames
            self.tell(address.process, outcome.answer)
        if outcome.later is not None:
            del self.leased[outcome.token]
            self.live[outcome.later.payload] = self.live.pop(lease.payload)
        elif not outcome.progress:
            self.answer(address, outcome.answer)
            self.end(outcome.token)
        return "parked" if parked else "done"

    def refuses(self, end: Outcome | GiveUp, item: Item) -> str:
        """Why a lease ends, or goes back, without what was to be its end; "" if it is that."""
        address = end.address
        if address is not None and self.is_answered(address):
            self.end(end.token)
            return "superseded"
        if address is not None:
            seq, frames = self.floors[address[:2]]
            if address.seq == seq + 1 and end.since < frames:
                del self.leased[end.token]
                if address.process in self.inboxes:
                    del self.live[item.payload]  # Else it is the only copy, perhaps.
                return "superseded"
        if end.since and item.done not in (end.since, STARTED):
            del self.leased[end.token]
            return "fenced"
        return ""

    def is_answered(self, address: Address) -> bool:
        floor = self.floors.get(address[:2])
        return floor is None or address.seq <= floor[0]

    def is_dropped(self, payload: bytes) -> bool:
        """Whether a claim that looks for copies leaves it out."""
        address = address_of(payload)
        return not (address and address.process in self.stale) and self.is_over(payload)

    def is_over(self, payload: bytes) -> bool:
        address = address_of(payload)
        return address is not None and self.is_answered(address)

    def answer(self, address: Address | None, entry: bytes) -> None:
        if address is not None and address.process in self.inboxes:
            self.floors[address[:2]] = address.seq, 0
            self.tell(address.process, entry)

    def end(self, token: int) -> None:
        self.drop(self.leased.pop(token).payload)

    def drop(self, payload: bytes) -> None:
        owner = self.live.pop(payload)
        if owner is not None and owner[0] not in self.inboxes and not self.is_over(payload):
            self.floors.pop(owner, None)
            orphan = self.orphans.get(owner[0], {}).pop(owner[1], None)
            if orphan is not None:
                self.live[orphan] = owner

    # -- what is seen of it

    def check(self, view: View) -> None:
        """Compare all that is known of the layer with a picture of it."""
        assert sorted(view.payloads()) == sorted(self.live), "each delivery is in exactly one place"
        leased = {t: (w, i.payload) for w, items in view.leased.items() for t, i in items.items()}
        assert leased == self.leased
        for worker, items in view.leased.items():
            suspects = [item for item in items.values() if item.attempt > 1]
            assert len(suspects) <= 1, f"{worker} has {suspects}"
        inboxes = {p: [entry for _, entry in pairs] for p, pairs in view.inboxes.items()}
        assert inboxes == _filled(self.inboxes), "effects are there once, whole and in order"
        floors = {(p, c): n for p, by in view.floors.items() for c, n in by.items()}
        assert floors == self.floors
        assert view.records == _filled(self.records)
        assert view.orphans == _filled(self.orphans)
        assert set(view.members) == self.members


def _filled(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value}
