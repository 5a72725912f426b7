"""Who waits for work, and who is to be woken. No I/O happens here.

From ``layers.memory.queues`` (a delivery came) and ``layers.memory.leases`` (a claim found
nothing); on to ``layers.memory.links``, which wakes those whom ``signals`` names.

::

    busy ──note (its claim found nothing)──► idle ──ring──► rung ──take (its Wait)──► busy
      ▲                                       │
      └────────────── forget (it claims) ─────┘

A rung bell stays rung until its owner takes it, so that a ring between claim and Wait is
not lost. A note and the look that found nothing are one step, so that no push falls between.
"""

from typing import Literal

RUNG = 10_000  # Bells that may lie rung without anybody taking them; the oldest go.

# What happened, for those who sleep: a bell was rung, a process's inbox or a channel got
# something, or there is a new next due time (then the name is "").
Signal = tuple[Literal["bell", "inbox", "channel", "due"], str]


class Bells:
    def __init__(self, signals: set[Signal]) -> None:
        self._signals = signals
        self._idle: dict[str, dict[str, None]] = {}  # channel -> idle bells, longest first
        self._noted: dict[str, tuple[str, ...]] = {}  # idle bell -> its channels
        self._rung: dict[str, None] = {}

    def note(self, bell: str, channels: tuple[str, ...]) -> None:
        self._noted[bell] = channels
        for channel in channels:
            self._idle.setdefault(channel, {})[bell] = None

    def forget(self, bell: str) -> None:
        """The owner of ``bell`` is not idle any more."""
        for channel in self._noted.pop(bell, ()):
            idle = self._idle.get(channel)
            if idle is not None:
                idle.pop(bell, None)
                if not idle:
                    del self._idle[channel]

    def drop(self, bell: str) -> None:
        """The owner of ``bell`` is gone."""
        self.forget(bell)
        self._rung.pop(bell, None)

    def ring(self, bell: str) -> None:
        self.forget(bell)
        self._rung[bell] = None
        if len(self._rung) > RUNG:
            del self._rung[next(iter(self._rung))]
        self._signals.add(("bell", bell))

    def ring_all(self) -> None:
        for bell in tuple(self._noted):
            self.ring(bell)

    def ring_for(self, channel: str, *, times: int = 1) -> None:
        """Ring ``times`` of the bells that are idle for ``channel``, as far as there are."""
        self._signals.add(("channel", channel))
        for _ in range(times):
            idle = self._idle.get(channel)
            if idle is None:
                return
            self.ring(next(iter(idle)))

    def ring_all_for(self, channel: str) -> None:
        self._signals.add(("channel", channel))
        for bell in tuple(self._idle.get(channel, ())):
            self.ring(bell)

    def ring_for_due(self, channel: str = "") -> None:
        """Ring one idle bell, best one that serves ``channel``: there is a new next due time, or
        the one that was to wait for it does not."""
        self._signals.add(("due", ""))
        bells = self._idle.get(channel) or self._noted
        if bells:
            self.ring(next(iter(bells)))

    def take(self, bell: str) -> bool:
        """Whether ``bell`` was rung; it is not any longer."""
        if bell in self._rung:
            del self._rung[bell]
            return True
        return False
