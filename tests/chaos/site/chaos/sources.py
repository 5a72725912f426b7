"""Who takes turns, when clients do: all come from one address, so their names are looked at."""

from typing import Any


def client(scope: dict[str, Any]) -> str | None:
    """The client that a path names, without the number of its connection."""
    names = scope["path"].strip("/").split("/")
    return names[1].partition(".")[0] if len(names) > 1 else None
