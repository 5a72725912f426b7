"""The processes of the state machine test: what an interface and a worker know and say.

They follow the protocol of ``djchan.layers.operations`` as ``layers.local`` and ``worker`` do,
in the smallest form: what a layer that lost its state cannot take from them.
"""

from dataclasses import dataclass, field

from djchan.layers.operations import Address, Push, Record, Resume

RECEIVE, DISCONNECT, JOBS = "websocket.receive", "websocket.disconnect", "jobs"
CHANNELS = (RECEIVE, DISCONNECT, JOBS)


@dataclass
class Connection:
    process: str
    name: str
    seq: int = 0  # Of its last delivery.
    answered: int = 0
    frames: int = 0  # Of the delivery behind those, that are answered.
    closed: bool = False
    last: bool = False  # Its disconnect is on its way.
    said: int = 0  # How often its delivery was sent.

    @property
    def is_waiting(self) -> bool:
        return self.seq > self.answered

    def record(self) -> Record:
        payload = f"left {self.process} {self.name}".encode()
        return Record(self.process, self.name, DISCONNECT, payload)

    def push(self) -> Push:
        """Its delivery; each time it is sent it can be told from before."""
        self.said += 1
        payload = f"{self.process} {self.name} {self.seq} {self.said}".encode()
        owner = (self.process, self.name)
        channel = DISCONNECT if self.last else RECEIVE
        return Push(channel, payload, owner=owner, last=self.last, done=self.frames, seq=self.seq)

    def next(self) -> Push:
        self.seq += 1
        self.last = self.closed
        return self.push()


def address_of(payload: bytes) -> Address | None:
    """What the worker reads in an envelope."""
    words = payload.decode().split()
    return Address(words[0], words[1], int(words[2])) if words[0].startswith("i") else None


@dataclass
class Interface:
    name: str
    connections: dict[str, Connection] = field(default_factory=dict)
    number: int = 0  # Of the last Send that was answered.
    beat: int = 0
    cursors: list[str] = field(default_factory=list)  # One for each store.
    local: set[str] = field(default_factory=set)  # Connections that are in the group.
    forget: list[str] = field(default_factory=list)

    @property
    def is_quiet(self) -> bool:
        """Nothing is to be said, and nothing is waited for."""
        there = self.connections.values()
        return not self.forget and not any(each.is_waiting or each.closed for each in there)

    def apply(self, entry: bytes) -> None:
        """An entry of its inbox. Whatever was lost: a socket gets nothing twice."""
        kind, *words = entry.decode().split()
        of_socket = kind in ("answer", "progress", "reply", "add")
        connection = self.connections.get(words[0]) if of_socket else None
        if connection is None:
            return
        if kind == "answer":
            seq = int(words[1])
            assert seq <= connection.seq
            if seq > connection.answered:
                connection.answered, connection.frames = seq, 0
                if connection.last:
                    del self.connections[connection.name]
                    self.forget.append(connection.name)
        elif kind == "progress":
            seq, frames = int(words[1]), int(words[2])
            assert seq == connection.seq and frames > connection.frames
            connection.frames = frames
        elif kind == "reply":
            # Of the frames from ``since`` on.
            seq, since = int(words[1]), int(words[2])
            assert seq > connection.answered, f"{entry!r} after its answer"
            assert since >= connection.frames, f"{entry!r} after that of its frames"
        elif not connection.closed:
            self.local.add(connection.name)

    def close(self, connection: Connection) -> None:
        connection.closed = True
        self.local.discard(connection.name)

    def resume(self, store: int) -> Resume:
        there = self.connections.values()
        return Resume(
            self.name,
            b"",
            tuple((each.name, each.answered, each.frames) for each in there),
            ("g",) if self.local else (),
            self.cursors[store],
            tuple(each.record() for each in there if not each.last),
            "out",
            self.number,
        )


@dataclass
class Worker:
    name: str
    known: dict[int, bytes] = field(default_factory=dict)  # Token -> payload.
    done: dict[int, int] = field(default_factory=dict)  # Token -> frames that are committed.
    claim: int = 0  # Number of its last claim.
    lost: bool = False  # The answer to that one did not come.
    commit: int = 0

    @property
    def answered(self) -> int:
        return self.claim - self.lost
