"""Which local connections are in which groups. No I/O happens here.

From ``layers.local``, as it applies its inbox and closes connections; on to its ``Leave``.
The layer knows that this process has members in a group; who they are is known only here.

A group without local members is *due to leave*: the process leaves it by naming the last
inbox entry it has applied, so that a member added after that entry keeps it in.
"""


class Membership:
    def __init__(self) -> None:
        self._members: dict[str, dict[str, None]] = {}  # Ordered: fan-out in order of joining.
        self._groups: dict[str, set[str]] = {}
        self._leaving: set[str] = set()

    def add(self, group: str, connection: str) -> None:
        self._members.setdefault(group, {})[connection] = None
        self._groups.setdefault(connection, set()).add(group)
        self._leaving.discard(group)

    def refuse(self, group: str) -> None:
        """An add for a connection that is gone: maybe nobody of ours is in the group."""
        if group not in self._members:
            self._leaving.add(group)

    def discard(self, group: str, connection: str) -> None:
        members = self._members.get(group)
        if members is not None:
            members.pop(connection, None)
            if not members:
                del self._members[group]
        groups = self._groups.get(connection)
        if groups is not None:
            groups.discard(group)
            if not groups:
                del self._groups[connection]
        if group not in self._members:
            self._leaving.add(group)

    def close(self, connection: str) -> None:
        """The connection is gone: it is in no group any more."""
        for group in tuple(self._groups.get(connection, ())):
            self.discard(group, connection)

    def members(self, group: str) -> tuple[str, ...]:
        return tuple(self._members.get(group, ()))

    def groups(self) -> tuple[str, ...]:
        """Groups with members here."""
        return tuple(self._members)

    def take_leaving(self) -> tuple[str, ...]:
        """Groups to leave now; whoever takes them must say so in the layer, or put them back."""
        leaving, self._leaving = tuple(self._leaving), set()
        return leaving

    def put_back(self, groups: tuple[str, ...]) -> None:
        """The leave was not answered: try again, for those without members still."""
        self._leaving.update(group for group in groups if group not in self._members)
