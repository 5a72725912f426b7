"""Which processes of a layer have died. No I/O happens here, and no clock is read.

From ``layers.heartbeat``, which brings what a Beat answered and the time; on to it again, as
the operations that it is to perform. Every process that beats watches all the others::

                        same beat for 1 s               no, twice, 0.5 s apart
    BEATING ───────────────────────────────► LATE ─────────────────────────────► Reap
       ▲                                      │  "is it still connected?"          ▲
       └──────────── another beat ────────────┘  yes, or nobody can tell:          │
                                                 the silence limit of its kind ────┘

A beat is a counter, and time is that of the observer's own monotonic clock: neither a step
of a clock nor an outage of Redis looks like a death. What is told apart here is only a
process that others could hear from one that they could not, so the memory of it all starts
anew whenever the observer itself was deaf: after an error on its connection (``reset``), or
when it was not asked for a while. A process that was there already, and has not beaten since
then, may be on its way back to the same Redis: it is asked about only when ``settle`` seconds
have passed.
"""

from typing import NamedTuple

from djchan.layers.operations import Beats, Connected, Reap

# What a thread that looks every half a second may be early by.
_SLACK = 0.05


class Limits(NamedTuple):
    """How long a process may be silent, in seconds.

    ``late``: until it is asked whether it is connected. ``confirm``: between two such
    questions. ``fresh`` and ``settle``: instead of ``late``, for one that was there before us
    and has not beaten since, when we have just started, or were deaf; the latter is longer
    than anybody's way back to Redis takes. ``worker``, ``interface``: until it is buried
    though it may be connected. ``gap``: between two looks, above which we were deaf.
    """

    late: float = 1.0
    confirm: float = 0.5
    fresh: float = 1.5
    settle: float = 6.0
    worker: float = 15.0
    interface: float = 45.0
    gap: float = 3.0

    @property
    def doubt(self) -> float:
        """Seconds without an answered beat after which a worker may have been declared dead."""
        return min(self.late + self.confirm, self.worker)


class _Seen:
    __slots__ = ("asked_at", "beat", "cannot_tell", "patience", "since")

    def __init__(self, beat: int, since: float, *, patience: float) -> None:
        self.beat = beat
        self.since = since
        self.patience = patience
        self.asked_at = 0.0  # When it first was found not connected; 0: was not.
        self.cannot_tell = False


class Watch:
    """What process ``own`` has seen of the others."""

    def __init__(self, own: str, limits: Limits | None = None) -> None:
        self.own = own
        self.limits = limits or Limits()
        self._seen: dict[str, _Seen] = {}
        self._looked_at: float | None = None
        self._first_patience = self.limits.fresh  # With who is there at the next look.

    def reset(self) -> None:
        """Forget what was seen: we were deaf ourselves."""
        self._seen.clear()
        self._first_patience = self.limits.settle

    def observe(self, beats: Beats, at: float) -> list[Connected | Reap]:
        """What to do about ``beats``, seen at ``at`` (monotonic, seconds).

        The answer to a Connected goes to ``answered``.
        """
        if self._looked_at is not None and at - self._looked_at > self.limits.gap:
            self.reset()
        self._looked_at = at
        patience, self._first_patience = self._first_patience, self.limits.late
        for process in self._seen.keys() - beats.processes.keys():
            del self._seen[process]
        wanted: list[Connected | Reap] = []
        for process, (beat, kind, clients) in beats.processes.items():
            if process == self.own:
                continue
            seen = self._seen.get(process)
            if seen is None:
                self._seen[process] = _Seen(beat, at, patience=patience)
                continue
            if seen.beat != beat:
                self._seen[process] = _Seen(beat, at, patience=self.limits.late)
                continue
            silent = at - seen.since
            if silent >= (self.limits.worker if kind == "worker" else self.limits.interface):
                wanted.append(Reap(process, beat))
            elif clients and not seen.cannot_tell and silent >= seen.patience - _SLACK:
                wanted.append(Connected(process, clients))
        return wanted

    def answered(self, process: str, connected: bool | None, at: float) -> Reap | None:
        """What to do now that ``process`` is ``connected`` (None: nobody can tell)."""
        seen = self._seen.get(process)
        if seen is None:
            return None
        if connected is None:
            seen.cannot_tell = True
        elif connected:
            seen.asked_at = 0.0
        elif not seen.asked_at:
            seen.asked_at = at
        elif at - seen.asked_at >= self.limits.confirm - _SLACK:
            return Reap(process, seen.beat)
        return None

    def silence(self, process: str, at: float) -> float:
        """Seconds since ``process`` was last seen to beat."""
        seen = self._seen.get(process)
        return at - seen.since if seen is not None else 0.0
