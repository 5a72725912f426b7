"""Values that are nobody's: kept until their time is over, whoever dies. No I/O happens here.

From ``layers.keeping``, for the sessions that live in the layer; on to an engine. A Keep and a
Drop are effects, too: in a Commit they are applied with the rest of a run, or not at all.
"""

from typing import Literal, NamedTuple


class Keep(NamedTuple):
    """Keep ``value`` under ``key`` for ``ttl`` ms, whoever dies. Answer: its version; 0: not kept.

    ``must``: "create" keeps it only where nothing is, "exist" only where something is.
    ``version``: it is kept only while this is the version of what is there (0: any). A value
    gets a new version, above all before it, each time it is kept.
    """

    key: str
    value: bytes
    ttl: int
    must: Literal["", "create", "exist"] = ""
    version: int = 0


class Kept(NamedTuple):
    value: bytes
    version: int


class Recall(NamedTuple):
    """Answer: what is kept under ``key`` (Kept), or None.

    ``ttl``: for so many ms from now on it is kept (0: as long as it was to be).
    """

    key: str
    ttl: int = 0


class Drop(NamedTuple):
    """Keep nothing under ``key`` any more. Answer: whether something was."""

    key: str
