"""What a channel layer can be asked to do, as values. No I/O happens here.

From ``layers.local``, ``worker`` and ``layers.base``, which build these; on to an engine
(``layers.memory.engine`` or ``layers.redis``), which performs each of them atomically and
answers. One list of operations is one round trip; they are applied in order.

The life of a delivery (an entry of a channel)::

              Send ──► queued ──Claim──► leased ──Commit──► gone (its effects applied)
               │        ▲ ▲ ▲              │ │ └──GiveUp──► gone, or a dead letter ─┐
               │ parked ┘ │ └─Release/Held─┤ └──Commit(later)──► due                │
             due ─────────┘                │                                        │
             (delayed, later)     suspect ◄┘ Reap                                   │
                        └── claimed one at a time ──► leased         Redrive ◄──────┘

A *token* is the fence: it is made by the claim, and every later word about the delivery
must name it. A *number* makes an operation repeatable: a link counts its own operations,
and one whose number is not above the last applied one is answered again, not applied again.
A *suspect* was leased to a worker that died: a worker has at most one at a time, so that a
second death is charged to nobody else. *Parked* is what a Commit sent to a channel that is
over its hard limit; it moves up as deliveries of the channel are claimed.
An interface is *stale* after the store began a new history (History): what it had answered
may be forgotten, so nothing is committed to its connections until its Resume.
What is *kept* (a connection's session) is nobody's: it outlives all processes, until its time
is over.
Payloads are opaque bytes; ids, channels and groups are text that ``djchan.names`` let pass.
"""

from typing import Literal, NamedTuple

ProcessKind = Literal["worker", "interface"]

# ------------------------------------------------------------------ effects
# What a Send or a Commit does to channels, groups and inboxes, in order.


class Push(NamedTuple):
    """Append a delivery to a channel.

    What is for ``prefix!local`` lies in one queue with all of ``prefix!``; Pop answers whole names.
    In a Send it meets the channel's ``capacity`` (0: exempt), counted in messages;
    in a Commit it is exempt. ``frames`` is how many messages the delivery holds.
    ``if_served``: only while a registered worker serves the channel.

    ``expires`` (ms since the epoch; 0: never) is for a message that nobody waits for: once
    it has passed, the message does not count as waiting where a Send finds the channel full;
    it is taken off, and kept as a dead letter if ``keep``.

    ``owner``: the (process, connection) of a numbered delivery. ``last``: it is the owner's
    last one, so its Record is dropped when this is queued. ``limit``: in a Commit, messages
    the channel may hold before this one is parked (0: no limit); when ten times as many are
    parked it becomes a dead letter ("overflow"). ``done``: frames of it that need not run, as
    they were answered before the layer lost its state.
    """

    channel: str
    payload: bytes
    capacity: int = 0
    frames: int = 1
    if_served: bool = False
    expires: int = 0
    keep: bool = True
    owner: tuple[str, str] | None = None
    last: bool = False
    limit: int = 0
    done: int = 0


class Record(NamedTuple):
    """Keep a connection's last delivery, for the day its process dies without sending it.

    Reap queues it on ``channel`` as a delivery of one message, behind the connection's
    delivery that is queued or leased then, if there is one (when that has ended); not on a
    channel that no worker ever served. A Push with ``last``, or ``forget``, drops it.
    """

    process: str
    connection: str
    channel: str
    payload: bytes


class Delay(NamedTuple):
    """Append a delivery to a channel ``delay`` milliseconds from now; in order for one time.

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
    """Append an entry to a process's inbox; nothing happens when that process is gone.

    In a Send it is refused ("full") while the inbox is over its limit.
    """

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
    """Make a plain channel a member; one that holds ``capacity`` messages is skipped (0: never).

    It is one for ``ttl`` ms, unless it is added again (0: for ever). The next GroupSend that finds
    its time over takes it out.
    """

    group: str
    channel: str
    capacity: int = 0
    ttl: int = 0


class GroupDiscardChannel(NamedTuple):
    """Take a plain channel out of the group."""

    group: str
    channel: str


class GroupSend(NamedTuple):
    """Put ``entry`` into the inbox of every member process, ``payload`` on every member channel.

    A member channel that is full is skipped and counted. For an inbox over its limit the
    entry is dropped and counted, and one entry (codec.GAP, group) says so in its place.
    """

    group: str
    entry: bytes
    payload: bytes


Effect = (
    Push
    | Record
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

    A worker names the ``channels`` it serves; an interface gets an empty inbox, which holds
    at most ``inbox`` bytes of group messages and replies (0: no limit).
    Registering a living id again changes its channels only.
    """

    process: str
    kind: ProcessKind
    info: bytes
    channels: tuple[str, ...] = ()
    inbox: int = 0


class History(NamedTuple):
    """Say which run of the store a new connection has found (Redis: its run_id).

    The first to find another run than the one noted makes every interface stale: a restart or
    a failover may have taken the store back in time. Answer: whether this call did.
    """

    run: str


class Resume(NamedTuple):
    """Make a living interface known again after the layer lost state, or may have.

    ``floors``: what it has had answered, per connection: (connection, seq, frames), all up to
    seq (0: none yet), and so many frames of the one behind it. The layer's are raised to these,
    and those of other connections go. ``groups``: where it has members; it
    leaves others as by Leave. ``records``: as of Record, all there are. ``number``: of the
    last Send on ``link`` that was answered: the layer's is raised to it. ``read``: bytes, as of
    Beat; ``inbox``: as of Register. It is not stale any more. Answer: the layer's clock, or
    None when this id was declared dead (then the process closes its sockets and takes a new id).
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


class Send(NamedTuple):
    """Apply ``effects`` in order, each on its own. Answer: Sent, or None.

    None: the process is not known, or stale, or the layer's number for ``link`` is below
    ``number`` - 1, so that it has lost what it had answered. Then Resume comes first.

    ``process``: the sender, or "" for an anonymous one (then ``number`` is not looked at).
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
    closing, gets nothing. One suspect at most is among them, and none while the worker has one.

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


class Held(NamedTuple):
    """What a worker knows to be leased to it; the rest goes back, as by Release.

    Said after every error on one of its connections, and now and then: the answer to a claim
    may have been lost, or the store may have gone back in time. ``claims``: for each link, the
    number of its last answered Claim; what a later one leased is left alone, its answer is on
    the way. Answer: how many were given back, or None when the worker is not known.
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
    """Instead of ending the delivery: put it back, due in ``delay`` ms, frames < done done."""

    delay: int
    done: int
    payload: bytes


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
    of an Outcome. Answer: "done", "fenced" or "superseded".
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

    A worker's leases become suspects of their channels (goodbye: they go back as they were):
    attempt + 1 for what was none before, and for the one that was. An interface's inbox
    and memberships go, and its floors, but for connections of which a delivery is queued or
    leased: until that has ended. Its Records are queued. Its id is remembered as dead.
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


class Waiting(NamedTuple):
    """Answer: dict of channel -> messages waiting on it, for those that have some."""


class Oldest(NamedTuple):
    """Answer: the payload at the head of the channel; None when nothing waits there."""

    channel: str


class DeadChannels(NamedTuple):
    """Answer: dict of channel -> how many dead letters it has."""


class DeadLetters(NamedTuple):
    """Answer: list of DeadLetter, newest first, at most ``count``, older than ``before``.

    ``before``: the id of a dead letter of this channel, or "" for the newest.
    """

    channel: str
    count: int = 100  # type: ignore[assignment]
    before: str = ""


class DeadLetter(NamedTuple):
    id: str  # Of its channel, and never used again.
    reason: str
    at: int  # ms since the epoch.
    attempt: int  # Runs it had had, with the one that was not to be.
    done: int  # Frames that were committed before.
    payload: bytes


class Redrive(NamedTuple):
    """Take a dead letter off, and queue ``payload`` on its channel. Answer: was it there."""

    channel: str
    id: str
    payload: bytes


class Discard(NamedTuple):
    """Delete a dead letter. Answer: whether it was there."""

    channel: str
    id: str


class Keep(NamedTuple):
    """Keep ``value`` under ``key`` for ``ttl`` ms, whoever dies. Answer: whether it is kept.

    ``must``: "create" keeps it only where nothing is, "exist" only where something is.
    """

    key: str
    value: bytes
    ttl: int
    must: Literal["", "create", "exist"] = ""


class Recall(NamedTuple):
    """Answer: the value that is kept under ``key``, or None.

    ``ttl``: for so many ms from now on it is kept (0: as long as it was to be).
    """

    key: str
    ttl: int = 0


class Drop(NamedTuple):
    """Keep nothing under ``key`` any more. Answer: whether something was."""

    key: str


class Members(NamedTuple):
    """Answer: (processes, plain channels) in the group, each a sorted tuple."""

    group: str


class Counters(NamedTuple):
    """Answer: dict of counter name -> int (full:CHANNEL, taken:CHANNEL, gone, reaped …).

    Single-reader channels share the counters of their name up to its ``?``. ``taken`` counts
    messages that were claimed or popped, less those that came back.
    """


class Flush(NamedTuple):
    """Remove everything of this layer, and nothing else. Answer: None."""


Operation = (
    Register
    | History
    | Resume
    | Connected
    | Beat
    | Send
    | Wait
    | Ring
    | Claim
    | Held
    | Commit
    | GiveUp
    | Release
    | Part
    | Leave
    | Closing
    | Reap
    | Pop
    | Length
    | Waiting
    | Oldest
    | DeadChannels
    | DeadLetters
    | Redrive
    | Discard
    | Keep
    | Recall
    | Drop
    | Members
    | Counters
    | Flush
)
