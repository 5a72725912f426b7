"""Who is in a group: processes, each with its generation, and plain channels. No I/O here.

From ``layers.memory.engine``; on to nobody. The generation of a process is the id of the
inbox entry that told it of its latest member. It leaves only by naming a cursor that is
not below: then it has applied that entry, and no later member can have been forgotten.
Ids only grow, so a generation is never seen twice.
"""

from djchan.layers.memory.inbox import EntryId
from djchan.layers.memory.queue import QueueLimits


class Groups:
    def __init__(self) -> None:
        self._processes: dict[str, dict[str, EntryId]] = {}
        # Group -> channel -> its limits, and until when it is in (ms; 0: for ever), in the
        # order of adding.
        self._channels: dict[str, dict[str, tuple[QueueLimits, int]]] = {}

    def clear(self) -> None:
        self._processes.clear()
        self._channels.clear()

    def add(self, group: str, process: str, generation: EntryId) -> None:
        """Make the process a member, or raise its generation."""
        members = self._processes.setdefault(group, {})
        members[process] = max(members.get(process, generation), generation)

    def leave(self, group: str, process: str, cursor: EntryId) -> bool:
        """Take the process out unless it has a member it has not heard of; whether it is out."""
        generation = self._processes.get(group, {}).get(process)
        if generation is not None and generation > cursor:
            return False
        self.remove(group, process)
        return True

    def remove(self, group: str, process: str) -> None:
        members = self._processes.get(group, {})
        members.pop(process, None)
        if not members:
            self._processes.pop(group, None)

    def add_channel(self, group: str, channel: str, limits: QueueLimits, until: int = 0) -> None:
        self._channels.setdefault(group, {})[channel] = limits, until

    def expire(self, group: str, now: int) -> None:
        """Take out the channels whose time is over."""
        for channel, (_, until) in tuple(self._channels.get(group, {}).items()):
            if 0 < until <= now:
                self.discard_channel(group, channel)

    def discard_channel(self, group: str, channel: str) -> None:
        members = self._channels.get(group, {})
        members.pop(channel, None)
        if not members:
            self._channels.pop(group, None)

    def processes(self, group: str) -> tuple[str, ...]:
        return tuple(self._processes.get(group, ()))

    def channels(self, group: str) -> dict[str, QueueLimits]:
        """Channel -> its limits."""
        members = self._channels.get(group, {})
        return {channel: limits for channel, (limits, _) in members.items()}
