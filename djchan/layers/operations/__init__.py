"""What a channel layer can be asked to do, as values. No I/O happens here.

From ``layers.local``, ``lanes`` and a layer's own calls (``layers.calls``), which build these; on
to an engine (``layers.memory.engine`` or ``layers.redis``), which performs each of them
atomically and answers. One list of operations is one round trip; they are applied in order.

``effects``: what is sent. ``deliveries``: how it is sent, claimed and ended. ``processes``: who
is there. ``kept``: values that outlive them. ``inspection``: what lies in the layer. All of them
are imported from here.

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
A *caller* (a view, a thread that reads a body) is no registered process: it has an id and
numbers of its own, and the layer remembers its last answer for a minute.
A *suspect* was leased to a worker that died: a worker has at most one at a time, so that a
second death is charged to nobody else. *Parked* is what a Commit sent to a channel that is
over its hard limit; it moves up as deliveries of the channel are claimed.
An interface is *stale* after the store began a new history (History): what it had answered
may be forgotten, so nothing is committed to its connections until its Resume.
What is *kept* (a connection's session) is nobody's: it outlives all processes, until its time
is over.
Payloads are opaque bytes; ids, channels and groups are text that ``djchan.names`` let pass.
"""

from djchan.layers.operations.deliveries import (
    REMEMBERED,
    STARTED,
    WINDOW,
    Address,
    Claim,
    Claimed,
    Commit,
    CommitResult,
    GiveUp,
    Held,
    IsLeased,
    Later,
    Leased,
    Outcome,
    Part,
    Pop,
    Release,
    Ring,
    Room,
    Send,
    SendResult,
    Sent,
    Wait,
)
from djchan.layers.operations.effects import (
    Body,
    Delay,
    Effect,
    EndBody,
    Grant,
    GroupAdd,
    GroupAddChannel,
    GroupDiscard,
    GroupDiscardChannel,
    GroupSend,
    Push,
    Record,
    Tell,
)
from djchan.layers.operations.inspection import (
    Counters,
    DeadChannels,
    DeadLetter,
    DeadLetters,
    Discard,
    Flush,
    Length,
    Members,
    Oldest,
    Redrive,
    Usage,
    Used,
    Waiting,
)
from djchan.layers.operations.kept import (
    Drop,
    Keep,
    Kept,
    Recall,
)
from djchan.layers.operations.processes import (
    COPIES,
    Beat,
    Beats,
    Closing,
    Connected,
    History,
    Leave,
    ProcessKind,
    Reap,
    Register,
    Resume,
)

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
    | IsLeased
    | Commit
    | GiveUp
    | Release
    | Part
    | Room
    | Leave
    | Closing
    | Reap
    | Pop
    | Length
    | Waiting
    | Usage
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

__all__ = [
    "COPIES",
    "REMEMBERED",
    "STARTED",
    "WINDOW",
    "Address",
    "Beat",
    "Beats",
    "Body",
    "Claim",
    "Claimed",
    "Closing",
    "Commit",
    "CommitResult",
    "Connected",
    "Counters",
    "DeadChannels",
    "DeadLetter",
    "DeadLetters",
    "Delay",
    "Discard",
    "Drop",
    "Effect",
    "EndBody",
    "Flush",
    "GiveUp",
    "Grant",
    "GroupAdd",
    "GroupAddChannel",
    "GroupDiscard",
    "GroupDiscardChannel",
    "GroupSend",
    "Held",
    "History",
    "IsLeased",
    "Keep",
    "Kept",
    "Later",
    "Leased",
    "Leave",
    "Length",
    "Members",
    "Oldest",
    "Operation",
    "Outcome",
    "Part",
    "Pop",
    "ProcessKind",
    "Push",
    "Reap",
    "Recall",
    "Record",
    "Redrive",
    "Register",
    "Release",
    "Resume",
    "Ring",
    "Room",
    "Send",
    "SendResult",
    "Sent",
    "Tell",
    "Usage",
    "Used",
    "Wait",
    "Waiting",
]
