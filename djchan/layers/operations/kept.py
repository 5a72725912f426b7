"""Values that are nobody's: kept until their time is over, whoever dies. No I/O happens here.

From ``layers.keeping``, for the sessions that live in the layer; on to an engine.
"""

from typing import Literal, NamedTuple


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
