"""Values that a layer keeps for a time, whoever dies.

From ``djchan.layer_sessions``; on to a link. A call whose answer got lost is repeated for a while.
That changes nothing but its answer: to "create", and where a version was given, it is then that
somebody else was first. So a caller who gave a version reads what is there before it says so.
"""

from typing import Literal

from djchan.exceptions import MessageTooLarge
from djchan.layers.calls import Calls
from djchan.layers.operations import Drop, IsLeased, Keep, Kept, Recall


class Keeping(Calls):
    """The part of a layer that keeps."""

    def keep(
        self,
        key: str,
        value: bytes,
        *,
        ttl: float,
        must: Literal["", "create", "exist"] = "",
        version: int = 0,
    ) -> int:
        """Keep ``value`` under ``key`` for ``ttl`` seconds, whoever dies; its version, 0: not kept.

        ``must``, ``version``: see ``keep_effect``. Raises MessageTooLarge.
        """
        effect = self.keep_effect(key, value, ttl=ttl, must=must, version=version)
        return self.repeat(effect)

    def keep_effect(
        self,
        key: str,
        value: bytes,
        *,
        ttl: float,
        must: Literal["", "create", "exist"] = "",
        version: int = 0,
    ) -> Keep:
        """The operation of ``keep``, which is an effect that a commit can apply, too.

        ``must``: "create" keeps it only where nothing is, "exist" only where something is.
        ``version``: only while that is what is there. Raises MessageTooLarge.
        """
        if len(value) > self.max_message_size:
            raise MessageTooLarge(
                f"What is to be kept under {key!r} has {len(value)} bytes; the limit is "
                f"{self.max_message_size} (max_message_size in the layer's CONFIG)."
            )
        return Keep(key, value, _milliseconds(ttl) or 1, must, version)

    def recall(self, key: str, *, ttl: float = 0) -> bytes | None:
        """What is kept under ``key``, from now on for ``ttl`` seconds (0: as before); or None."""
        kept = self.recall_version(key, ttl=ttl)
        return None if kept is None else kept.value

    def recall_version(self, key: str, *, ttl: float = 0) -> Kept | None:
        """As ``recall``, with the version of what is kept."""
        kept: Kept | None = self._repeat(Recall(key, _milliseconds(ttl)))[0]
        return kept

    def repeat(self, effect: Keep) -> int:
        """Do what ``keep_effect`` has made; its version, 0: not kept."""
        return int(self._repeat(effect)[0])

    def is_leased(self, fence: tuple[str, int]) -> bool:
        """Whether the delivery with this (worker, token) is still leased to that worker."""
        return bool(self._repeat(IsLeased(*fence))[0])

    def drop(self, key: str) -> bool:
        """Keep nothing under ``key`` any more; whether something was."""
        return bool(self._repeat(Drop(key))[0])

    async def akeep(
        self, key: str, value: bytes, *, ttl: float, must: Literal["", "create", "exist"] = ""
    ) -> int:
        return int((await self._arepeat(self.keep_effect(key, value, ttl=ttl, must=must)))[0])

    async def arecall(self, key: str, *, ttl: float = 0) -> bytes | None:
        kept: Kept | None = (await self._arepeat(Recall(key, _milliseconds(ttl))))[0]
        return None if kept is None else kept.value

    async def adrop(self, key: str) -> bool:
        return bool((await self._arepeat(Drop(key)))[0])


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
