"""The limits of socket views: one table with defaults and units, refused early in words.

From the keywords of ``djchan.urls.websockets``; on to ``socket`` and ``run``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class SocketLimits:
    """Times are seconds, sizes bytes. Raises ValueError for what cannot be a limit."""

    connect_timeout: float = 4.0  # Until the view has accepted; then it is refused.
    backlog_frames: int = 256  # Frames that the view has not taken yet; beyond it nothing …
    backlog_bytes: int = MIB  # … more is read from the network: the client's TCP waits.
    outgoing_bytes: int = MIB  # Waiting for the client, on Daphne; beyond it send_… waits.
    stall: float = 30.0  # Client or view takes nothing for so long: closed (1013).
    leave_grace: float = 5.0  # A view whose client has left may finish; then it is canceled.

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = isinstance(field.default, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise _wrong(field.name, value, whole)
            if not value > 0:
                raise _wrong(field.name, value, whole)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "SocketLimits":
        """Limits out of keywords. Raises TypeError for one that does not exist."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise TypeError(f"websockets() has no {name!r}. Its limits: {', '.join(known)}.")
        return cls(**given)


def _wrong(name: str, value: object, whole: bool) -> ValueError:
    kind = "a whole number above 0" if whole else "a number of seconds above 0"
    return ValueError(f"{name} of websockets() is {kind}, not {value!r}.")
