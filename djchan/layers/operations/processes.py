"""That a process is there, what it knows, and that it ends. No I/O happens here.

From ``layers.local`` (an interface), ``lanes.registration`` (a worker) and the heartbeat of both;
on to an engine.
"""

from typing import Literal, NamedTuple

from djchan.layers.operations.effects import Record

ProcessKind = Literal["worker", "interface"]

COPIES = 3_600_000  # ms after a Resume for which claims look for copies.


class Register(NamedTuple):
    """Make a process known, with beat 0. Answer: the layer's clock, ms since the epoch.

    A worker names the ``channels`` it serves; an interface gets an empty inbox, which holds
    at most ``inbox`` bytes of group messages and replies (0: no limit).
    Registering a living id again changes its channels only. ``dead_bytes``: what dead letters may
    take in the layer before the oldest of the channel with the most of them go; the last one to
    say so counts (0: as it was; nobody has: no limit).
    """

    process: str
    kind: ProcessKind
    info: bytes
    channels: tuple[str, ...] = ()
    inbox: int = 0
    dead_bytes: int = 0


class History(NamedTuple):
    """Say which run of the store a new connection has found (Redis: its run_id).

    The first to find another run than the one noted makes every interface stale: a restart or
    a failover may have taken the store back in time. It rings all bells that are noted as idle,
    and forgets them: whose they are may be busy now. Answer: whether this call did.
    """

    run: str


class Resume(NamedTuple):
    """Make a living interface known again after the layer lost state, or may have.

    ``floors``: what it has had answered, per connection: (connection, seq, frames), all up to
    seq (0: none yet), and so many frames of the one behind it. The layer's are raised to these,
    and those of other connections go. ``groups``: where it has members; it
    leaves others as by Leave. ``records``: as of Record, all there are. ``number``: of the
    last Send on ``link`` that was answered: the layer's is raised to it. ``read``: bytes, as of
    Beat; ``inbox``: as of Register. It is not stale any more. For COPIES ms claims drop what was
    answered, as what it sends again may be in the layer already; not if the layer holds nothing.
    Answer: the layer's clock, or None when this id was declared dead (then the process closes its
    sockets and takes a new id).
    """

    process: str
    info: bytes
    floors: tuple[tuple[str, int, int], ...]
    groups: tuple[str, ...]
    cursor: str
    records: tuple[Record, ...] = ()
    link: str = ""
    number: int = 0
    read: int = 0
    inbox: int = 0


class Connected(NamedTuple):
    """Whether any connection of the process is still open at Redis.

    ``clients``: as its last Beat said. Answer: True, False, or None when that cannot be
    told (CLIENT LIST not allowed, or an engine without connections).
    """

    process: str
    clients: str


class Beat(NamedTuple):
    """Count the process's beat up. ``clients``: ids of its connections, as text.

    ``beat``: the number of the last one that was answered; ``link``, ``number``: of the last
    Send that was (0: not looked at). ``read``: bytes of group messages and replies that this
    interface has taken from its inbox so far.

    Answer: Beats, or None when the layer does not know the process (reaped), when it is
    stale, or when the layer has lower numbers: state was lost.
    """

    process: str
    clients: str = ""
    beat: int = 0
    link: str = ""
    number: int = 0
    read: int = 0


class Beats(NamedTuple):
    now: int  # The layer's clock, ms since the epoch.
    processes: dict[str, tuple[int, str, str]]  # id -> (beat, kind, clients)


class Leave(NamedTuple):
    """Take the process out of groups, each iff its generation is not above ``cursor``.

    Answer: None.
    """

    process: str
    groups: tuple[str, ...]
    cursor: str  # Id of the last inbox entry that the process has applied.


class Closing(NamedTuple):
    """The worker claims no more: its channels are no longer served by it. Rings its bells."""

    worker: str
    bells: tuple[str, ...]


class Reap(NamedTuple):
    """Bury a process iff its beat still is ``beat`` (None: in any case, its own goodbye).

    A worker's leases become suspects of their channels (goodbye: they go back as they were):
    attempt + 1 for what was none before, and for the one that was. An interface's inbox
    and memberships go, and its floors, but for connections of which a delivery is queued or
    leased: until that has ended. Its Records are queued, in any order. Its id is remembered as
    dead.
    Answer: whether this call did it.
    """

    process: str
    beat: int | None
