"""What a channel layer can be asked to do, as values. No I/O happens here.

From ``layers.local``, ``worker`` and ``layers.base``, which build these; on to an engine
(``layers.memory.engine`` or ``layers.redis``), which performs each of them atomically and
answers. One list of operations is one round trip; they are applied in order.

The life of a delivery (an entry of a channel)::

              Send ──► queued ──Claim──► leased ──Commit──► gone (its effects applied)
                        ▲  ▲               │ │ └──GiveUp──► gone, or a dead letter
             due ───────┘  └──Release/Reap─┘ └──Commit(later)──► due
             (delayed, later)

A *token* is the fence: it is made by the claim, and every later word about the delivery
must name it. A *number* makes an operation repeatable: a link counts its own operations,
and one whose number is not above the last applied one is answered again, not applied again.
Payloads are opaque bytes; ids, channels and groups are text that ``djchan.names`` let pass.
"""

from typing import Literal, NamedTuple

ProcessKind = Literal["worker", "interface"]

# ------------------------------------------------------------------ effects
# What a Send or a Commit does to channels, groups and inboxes, in order.


class Push(NamedTuple):
    """Append a delivery to a channel.

    In a Send it meets the channel's ``capacity`` (0: exempt), counted in messages;
    in a Commit it is exempt. ``frames`` is how many messages the delivery holds.
    ``if_served``: only while a registered worker serves the channel.

    ``expires`` (ms since the epoch; 0: never) is for a message that nobody waits for: once
    it has passed, the message does not count as waiting where a Send finds the channel full;
    it is taken off, and kept as a dead letter if ``keep``.
    """

    channel: str
    payload: bytes
    capacity: int = 0
    frames: int = 1
    if_served: bool = False
    expires: int = 0
    keep: bool = True


class Delay(NamedTuple):
    """Append a delivery to a channel ``delay`` milliseconds from now.

    ``expires``, ``keep``: as of a Push.
    """

    channel: str
    payload: bytes
    delay: int
    expires: int = 0
    keep: bool = True


class Body(NamedTuple):
    """Append raw bytes to a single-reader channel that vanishes ``ttl`` ms after the last.

    Read with Pop. Meets ``capacity`` (0: exempt) like a Push.
    """

    channel: str
    payload: bytes
    capacity: int
    ttl: int


class Tell(NamedTuple):
    """Append an entry to a process's inbox; nothing happens when that process is gone."""

    process: str
    entry: bytes


class GroupAdd(NamedTuple):
    """Make the process a member of the group and put ``entry`` into its inbox.

    The generation of the membership is the id of that inbox entry. Nothing happens when
    the process is gone.
    """

    group: str
    process: str
    entry: bytes


class GroupDiscard(NamedTuple):
    """Put ``entry`` into the process's inbox. The process itself leaves, with Leave."""

    group: str
    process: str
    entry: bytes


class GroupAddChannel(NamedTuple):
    """Make a plain channel a member of the group."""

    group: str
    channel: str


class GroupDiscardChannel(NamedTuple):
    """Take a plain channel out of the group."""

    group: str
    channel: str


class GroupSend(NamedTuple):
    """Put ``entry`` into the inbox of every member process, ``payload`` on every member channel.

    A member channel that holds ``capacity`` messages is skipped and counted.
    """

    group: str
    entry: bytes
    payload: bytes
    capacity: int = 0


Effect = (
    Push
    | Delay
    | Body
    | Tell
    | GroupAdd
    | GroupDiscard
    | GroupAddChannel
    | GroupDiscardChannel
    | GroupSend
)

# --------------------------------------------------------------- operations


class Register(NamedTuple):
    """Make a process known, with beat 0. Answer: the layer's clock, ms since the epoch.

    A worker names the ``channels`` it serves; an interface gets an empty inbox.
    Registering a living id again changes its channels only.
    """

    process: str
    kind: ProcessKind
    info: bytes
    channels: tuple[str, ...] = ()


class Resume(NamedTuple):
    """Make a living interface known again after the layer lost its state.

    ``floors``: what it has had answered, per connection; ``groups``: where it has members;
    both only ever raise what the layer has. Answer: the layer's clock, or None when this id
    was declared dead (then the process closes its sockets and takes a new id).
    """

    process: str
    info: bytes
    floors: tuple[tuple[str, int], ...]
    groups: tuple[str, ...]
    cursor: str


class Connected(NamedTuple):
    """Whether any connection of the process is still open at Redis.

    ``clients``: as its last Beat said. Answer: True, False, or None when that cannot be
    told (CLIENT LIST not allowed, or an engine without connections).
    """

    process: str
    clients: str


class Beat(NamedTuple):
    """Count the process's beat up. ``clients``: ids of its connections, as text.

    Answer: Beats, or None when the layer does not know the process (reaped, or state lost).
    """

    process: str
    clients: str = ""


class Beats(NamedTuple):
    now: int  # The layer's clock, ms since the epoch.
    processes: dict[str, tuple[int, str, str]]  # id -> (beat, kind, clients)


class Send(NamedTuple):
    """Apply ``effects`` in order, each on its own. Answer: Sent, or None (process gone).

    ``process``: the sender, or "" for an anonymous one (then ``number`` is not looked at).
    ``forget``: connections of ``process`` whose floor is no longer needed. ``cut``: those
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


SendResult = Literal["ok", "full", "unserved", "gone", "fenced"]


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
    closing, gets nothing.
    """

    worker: str
    bell: str
    channels: tuple[str, ...]
    count: int  # type: ignore[assignment]  # tuple.count is not missed.


class Claimed(NamedTuple):
    now: int  # The layer's clock, ms since the epoch.
    next_due: int  # When the next delayed delivery is due, ms since the epoch; 0: none.
    known: bool  # False: this worker is not registered (reaped, or state lost).
    deliveries: tuple["Leased", ...]


class Leased(NamedTuple):
    token: int
    attempt: int  # 1 at the first run; a Reap counts up, a Release does not.
    done: int  # Frames already committed by an earlier Later.
    channel: str
    payload: bytes


class Address(NamedTuple):
    """One numbered delivery of one connection: what its answer is keyed by."""

    process: str
    connection: str
    seq: int


class Later(NamedTuple):
    """Instead of ending the delivery: put it back, due in ``delay`` ms, frames < done done."""

    delay: int
    done: int
    payload: bytes


class Outcome(NamedTuple):
    """The end of one leased delivery.

    With an ``address``, effects are applied iff ``seq`` is above the connection's floor,
    which this raises; ``answer`` goes to the connection's process, after the effects.
    Without one they are always applied. ``later`` leaves floor and answer alone.
    """

    token: int
    effects: tuple[Effect, ...] = ()
    address: Address | None = None
    answer: bytes = b""
    later: Later | None = None


class Commit(NamedTuple):
    """End leased deliveries, each atomically, in order. Answer: one CommitResult each."""

    worker: str
    link: str
    number: int
    outcomes: tuple[Outcome, ...]


# done: applied. fenced: the lease is somebody else's; nothing applied.
# superseded: seq not above the floor; the lease ended, nothing applied.
# already: this number was applied before.
CommitResult = Literal["done", "fenced", "superseded", "already"]


class GiveUp(NamedTuple):
    """End a leased delivery that is not to be run: the only exit besides Commit.

    With ``bury`` it is kept as a dead letter of its channel under ``reason``.
    Answer: "done", "fenced" or "superseded".
    """

    worker: str
    token: int
    reason: str
    bury: bool
    address: Address | None = None
    answer: bytes = b""


class Release(NamedTuple):
    """Give leased deliveries back, unstarted, to the head of their channels, in order.

    Answer: how many were given back.
    """

    worker: str
    tokens: tuple[int, ...]


class Part(NamedTuple):
    """Send ``entry`` to a process's inbox while the delivery still runs, and mark it started.

    Answer: "ok", "fenced", or "gone" (the process, or the client of ``connection``). A
    started delivery is told as such at its next claim: Leased.done is STARTED then.
    """

    worker: str
    token: int
    process: str
    connection: str
    entry: bytes


STARTED = 999  # Leased.done of a delivery whose response had begun when its worker died.


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

    A worker's leases go back to the heads of their channels, attempt + 1 (goodbye: as they
    were). An interface's inbox, floors and memberships go. Its id is remembered as dead.
    Answer: whether this call did it.
    """

    process: str
    beat: int | None


class Pop(NamedTuple):
    """Take one message off channels at once, without a lease. Answer: (channel, payload) or None.

    ``timeout``: seconds to block for one; 0 does not block.
    """

    channels: tuple[str, ...]
    timeout: float = 0.0


class Length(NamedTuple):
    """Answer: messages waiting on the channel."""

    channel: str


class DeadLetters(NamedTuple):
    """Answer: list of (reason, ms since the epoch, payload), newest first, at most ``count``."""

    channel: str
    count: int = 100  # type: ignore[assignment]


class Members(NamedTuple):
    """Answer: (processes, plain channels) in the group, each a sorted tuple."""

    group: str


class Counters(NamedTuple):
    """Answer: dict of counter name -> int (full:CHANNEL, dead:CHANNEL, gone, fenced, reaped …)."""


class Flush(NamedTuple):
    """Remove everything of this layer, and nothing else. Answer: None."""


Operation = (
    Register
    | Resume
    | Connected
    | Beat
    | Send
    | Wait
    | Ring
    | Claim
    | Commit
    | GiveUp
    | Release
    | Part
    | Leave
    | Closing
    | Reap
    | Pop
    | Length
    | DeadLetters
    | Members
    | Counters
    | Flush
)
