"""What a Send or a Commit does to channels, groups and inboxes, in order. No I/O happens here.

From ``layers.effects``, which makes them of what users send, and the interface's state machines;
on to an engine inside a Send, or inside the Outcomes of a Commit (``operations.deliveries``).
"""

from typing import NamedTuple

from djchan.layers.operations.kept import Drop, Keep


class Push(NamedTuple):
    """Append a delivery to a channel.

    What is for ``prefix!local`` lies in one queue with all of ``prefix!``; Pop answers whole names.
    In a Send it meets the channel's ``capacity`` (0: exempt), counted in messages;
    in a Commit it is exempt. ``frames`` is how many messages the delivery holds.
    ``if_served``: only while a registered worker serves the channel.

    ``expires`` (ms since the epoch; 0: never) is for a message that nobody waits for: once
    it has passed, the message does not count as waiting where a Send finds the channel full;
    it is taken off, and kept as a dead letter if ``keep``.

    ``owner``: the (process, connection) of a numbered delivery, and ``seq`` its number there:
    once that was answered, or the connection is over, a Claim may drop it. ``last``: it is the
    owner's last one, so its Record is dropped when this is queued. ``limit``: in a Commit, messages
    the channel may hold before this one is parked (0: no limit); when ten times as many are
    parked it becomes a dead letter ("overflow"). ``done``: frames of it that need not run, as
    they were answered before the layer lost its state.

    ``max_bytes``: bytes that may wait on the channel, and ``total``: in the whole layer (what
    waits, is parked, or is delayed), before a Send is refused ("full:bytes", "full:total") and
    in a Commit the delivery is parked (0: no limit). It becomes a dead letter when as many bytes
    of the channel are parked, or when the layer holds twice ``total``.

    ``source``: hexadecimal digits that stand for who has caused it, or "". Claims take from the
    sources of a channel in turn (what has none is one of them), and a Send is refused
    ("full:share") when its source holds as much of the channel as is free. One whose source holds
    nothing of it is not refused while fewer sources than ``capacity`` wait there.
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
    max_bytes: int = 0
    total: int = 0
    source: str = ""
    seq: int = 0


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

    ``expires``, ``keep``: as of a Push. ``max_bytes``: bytes that may be delayed for the channel,
    and ``total``: as of a Push (0: no limit); beyond either a Send is refused, and in a Commit it
    becomes a dead letter ("overflow").
    """

    channel: str
    payload: bytes
    delay: int
    expires: int = 0
    keep: bool = True
    max_bytes: int = 0
    total: int = 0


class Body(NamedTuple):
    """Append raw bytes to a single-reader channel that vanishes ``ttl`` ms after the last.

    Read with Pop. Meets ``capacity`` (0: exempt) like a Push.
    """

    channel: str
    payload: bytes
    capacity: int
    ttl: int


class Grant(NamedTuple):
    """Let the response to ``connection`` have ``total`` bytes of parts, from its first on.

    What has been granted last is answered by Room, whose bell is rung.
    """

    process: str
    connection: str
    total: int


class EndBody(NamedTuple):
    """Delete the chunks on the channel of a body, which has no reader any more."""

    channel: str


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
    its time over takes it out. ``max_bytes``, ``total``: as of a Push, and skipped beyond them.
    """

    group: str
    channel: str
    capacity: int = 0
    ttl: int = 0
    max_bytes: int = 0
    total: int = 0


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
    | Grant
    | EndBody
    | Tell
    | GroupAdd
    | GroupDiscard
    | GroupAddChannel
    | GroupDiscardChannel
    | GroupSend
    | Keep
    | Drop
)
