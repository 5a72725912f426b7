"""The life of a delivery: sent, claimed, ended. No I/O happens here.

From ``layers.local`` and ``layers.sending``, which send; and from the lanes of a worker, which
claim and settle. On to an engine. The picture is in the package's text.
"""

from typing import Literal, NamedTuple

from djchan.layers.operations.effects import Effect


class Send(NamedTuple):
    """Apply ``effects`` in order, each on its own. Answer: Sent, or None.

    None: the process is not known, or stale, or the layer's number for ``link`` is below
    ``number`` - 1, so that it has lost what it had answered. Then Resume comes first.

    ``process``: the sender, or "" for an anonymous one. Its ``number`` counts when it has a
    ``link``, the id of a caller: see Pop. Without one it is applied whenever it arrives.
    ``begin``: connections of ``process`` that begin: an outcome with the address of one that did
    not, or that was forgotten, is superseded. ``forget``: those that have ended. ``cut``: those
    whose client has left: a Part for them answers "gone" until they are forgotten.
    ``fence``: ``(worker, token)`` of the delivery this is sent from; a lost lease raises
    nothing here, it answers all "fenced".
    """

    process: str
    number: int
    effects: tuple[Effect, ...]
    forget: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    fence: tuple[str, int] | None = None
    link: str = ""
    begin: tuple[str, ...] = ()


# full: the channel's messages are at their limit. full:bytes: its bytes are. full:total: the
# bytes of the whole layer are. full:share: its source's part of the channel is.
SendResult = Literal[
    "ok", "full", "full:bytes", "full:total", "full:share", "unserved", "gone", "fenced"
]


class Sent(NamedTuple):
    results: tuple[SendResult, ...]  # One for each effect.


class Wait(NamedTuple):
    """Block until ``bell`` is rung, at most ``timeout`` seconds. Answer: None."""

    bell: str
    timeout: float


class Ring(NamedTuple):
    """Wake whoever waits at these bells. Answer: None."""

    bells: tuple[str, ...]


class Claim(NamedTuple):
    """Lease up to ``count`` deliveries of ``channels`` to a worker. Answer: Claimed.

    Due delayed deliveries are moved to their channels first. The channels are looked at in
    the order given (callers rotate it). When nothing was found, ``bell`` is noted as idle:
    the next Push on one of the channels rings it. A worker that is not registered, or is
    closing, gets nothing. One suspect at most is among them, and none while the worker has one.
    What was answered already, or belongs to a connection that is over, is dropped: looked at are
    suspects, and after a Resume, for COPIES ms, all that have a ``seq``.

    ``link``, ``number``: of this claim. With ``again`` the answer to that number was lost: if
    it was applied, what is still leased of it is answered, and nothing else is leased.
    ``above``: the highest token this worker knows; new ones are higher.
    """

    worker: str
    bell: str
    channels: tuple[str, ...]
    count: int  # type: ignore[assignment]  # tuple.count is not missed.
    link: str = ""
    number: int = 0
    again: bool = False
    above: int = 0


class Claimed(NamedTuple):
    now: int  # The layer's clock, ms since the epoch.
    next_due: int  # When the next delayed delivery is due, ms since the epoch; 0: none.
    known: bool  # False: this worker is not registered (reaped, or state lost).
    deliveries: tuple["Leased", ...]


class Leased(NamedTuple):
    token: int
    attempt: int  # 1 at the first run; a Reap counts up, a Release does not.
    done: int  # Frames already committed by an earlier Later, or Outcome with progress.
    channel: str
    payload: bytes
    source: str = ""


class Held(NamedTuple):
    """What a worker knows to be leased to it; the rest goes back, as by Release.

    Said after every error on one of its connections, and now and then: the answer to a claim
    may have been lost, or the store may have gone back in time. ``claims``: for each link, the
    number of its last answered Claim; what a later one leased is left alone, its answer is on
    the way. Answer: how many were given back, or None when the worker is not known; -1: none, for
    it has claimed more since than can be told apart, and has to say it again.
    """

    worker: str
    tokens: tuple[int, ...]
    claims: tuple[tuple[str, int], ...]


class Address(NamedTuple):
    """One numbered delivery of one connection: what its answer is keyed by."""

    process: str
    connection: str
    seq: int


class Later(NamedTuple):
    """Instead of ending the delivery: put it back, due in ``delay`` ms, frames < done done.

    Without a delay it goes to the head of its channel at once, as what is released does.
    ``channel``: the delivery's own, where it stays. An engine knows it; whoever seals asks.
    """

    delay: int
    done: int
    payload: bytes
    channel: str


class Outcome(NamedTuple):
    """The end of one leased delivery.

    With an ``address``, effects are applied iff its connection is known (``Send.begin``) and
    ``seq`` is above its floor, which this raises; of a dead process, once. ``answer`` goes to
    the connection's process, after the effects. Without an address they are always applied.
    ``progress``: not the end yet: the first ``progress`` frames are done, these are their
    effects, and the lease goes on (its crashes so far count as one). With an address that
    many frames of ``seq`` are in the floor from then on, and so are those of ``later``.
    ``since``: frames that were committed before. When the floor has more, this is another copy
    of the delivery: superseded. When the layer's lease has fewer, the layer went back in
    time behind a progress: fenced, and what is leased goes back to its channel.
    """

    token: int
    effects: tuple[Effect, ...] = ()
    address: Address | None = None
    answer: bytes = b""
    later: Later | None = None
    progress: int = 0
    since: int = 0


class Commit(NamedTuple):
    """End leased deliveries, each atomically, in order. Answer: one CommitResult each."""

    worker: str
    link: str
    number: int
    outcomes: tuple[Outcome, ...]


# done: applied. parked: applied, but the channel of a Push was over its limit.
# fenced: the lease is somebody else's, or lost a progress; nothing applied.
# superseded: not above the floor, or the connection is over; the lease ended, nothing applied.
# stale: the address's process is; nothing applied, leased still: to be committed again.
# already: this number was applied before (and nothing of it was stale; else as it was).
CommitResult = Literal["done", "parked", "fenced", "superseded", "stale", "already"]


class GiveUp(NamedTuple):
    """End a leased delivery that is not to be run: the only exit besides Commit.

    With ``bury`` it is kept as a dead letter of its channel under ``reason``. ``since``: as
    of an Outcome. Answer: "done", "fenced", "superseded" or "stale", which mean what they mean
    for an Outcome: after "stale" it is leased still, and has to be given up again.
    """

    worker: str
    token: int
    reason: str
    bury: bool
    address: Address | None = None
    answer: bytes = b""
    since: int = 0


class Release(NamedTuple):
    """Give leased deliveries back, unstarted, to the head of their channels, in order.

    Answer: how many were given back.
    """

    worker: str
    tokens: tuple[int, ...]


class IsLeased(NamedTuple):
    """Answer: whether the delivery is still leased to the worker."""

    worker: str
    token: int


class Part(NamedTuple):
    """Send ``entry`` to a process's inbox while the delivery still runs, and mark it started.

    Answer: "ok", "fenced", or "gone" (the process, or the client of ``connection``). A
    started delivery is told as such at its next claim: Leased.done is STARTED then.
    ``link``, ``number``: as of a Pop, so that a part whose answer was lost is sent once.
    """

    worker: str
    token: int
    process: str
    connection: str
    entry: bytes
    link: str = ""
    number: int = 0


class Room(NamedTuple):
    """How much may be sent of responses that are sent in parts. Answer: a tuple, for each of
    ``streams``, (process, connection), bytes in total; 0: nothing was granted yet, so that it
    is WINDOW; None: nobody wants it any more (the process, or the client, is gone).

    ``wakeup``, the bell of a Wait, is noted for each of them: it is rung once, when more is
    granted, or when its client leaves, or its process is buried.
    """

    wakeup: str
    streams: tuple[tuple[str, str], ...]


# Bytes of parts, as the layer stores them, that a response may have under way at first: between
# the run that sends them and the client's connection.
WINDOW = 4 * 1024 * 1024

STARTED = 999  # Leased.done of a delivery whose response had begun when its worker died.


class Pop(NamedTuple):
    """Take one message off channels at once, without a lease. Answer: (channel, payload) or None.

    ``timeout``: seconds to block for one; 0 does not block.

    ``link``: the id of a caller that is no registered process, or "". ``number``: of this
    operation, counted by that caller, which begins nothing new before it knows the answer or
    has given this one up. The last answer of each caller is kept for REMEMBERED ms: a Pop,
    Part or Send with the same number is answered again and not applied again, and an older
    number changes nothing and is answered None.
    """

    channels: tuple[str, ...]
    timeout: float = 0.0
    link: str = ""
    number: int = 0


REMEMBERED = 60_000  # ms that the last answer to a caller's numbered operation is kept.
