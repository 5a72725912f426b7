"""Values that a layer keeps for a time, whoever dies.

From ``djchan.layer_sessions``; on to a link. A call is said again, once, when its answer got
lost: that changes nothing but the answer to "create", which then is that somebody else was first.
"""

from typing import Literal

from djchan.exceptions import MessageTooLarge
from djchan.layers.calls import Calls
from djchan.layers.operations import Drop, Keep, Recall


class Keeping(Calls):
    """The part of a layer that keeps."""

    def keep(
        self, key: str, value: bytes, *, ttl: float, must: Literal["", "create", "exist"] = ""
    ) -> bool:
        """Keep ``value`` under ``key`` for ``ttl`` seconds, whoever dies; whether it is kept.

        ``must``: "create" keeps it only where nothing is, "exist" only where something is.
        Raises MessageTooLarge.
        """
        return bool(self._repeat(self._keep(key, value, ttl, must))[0])

    def recall(self, key: str, *, ttl: float = 0) -> bytes | None:
        """What is kept under ``key``, from now on for ``ttl`` seconds (0: as before); or None."""
        value: bytes | None = self._repeat(Recall(key, _milliseconds(ttl)))[0]
        return value

    def drop(self, key: str) -> bool:
        """Keep nothing under ``key`` any more; whether something was."""
        return bool(self._repeat(Drop(key))[0])

    async def akeep(
        self, key: str, value: bytes, *, ttl: float, must: Literal["", "create", "exist"] = ""
    ) -> bool:
        return bool((await self._arepeat(self._keep(key, value, ttl, must)))[0])

    async def arecall(self, key: str, *, ttl: float = 0) -> bytes | None:
        value: bytes | None = (await self._arepeat(Recall(key, _milliseconds(ttl))))[0]
        return value

    async def adrop(self, key: str) -> bool:
        return bool((await self._arepeat(Drop(key)))[0])

    def _keep(
        self, key: str, value: bytes, ttl: float, must: Literal["", "create", "exist"]
    ) -> Keep:
        if len(value) > self.max_message_size:
            raise MessageTooLarge(
                f"What is to be kept under {key!r} has {len(value)} bytes; the limit is "
                f"{self.max_message_size} (max_message_size in the layer's CONFIG)."
            )
        return Keep(key, value, _milliseconds(ttl) or 1, must)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
