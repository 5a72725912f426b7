"""Keeps passwords of Redis out of exceptions: their texts, their causes, their reprs.

redis-py and Redis may quote what they were given. ``Passwords.scrub`` is called on each exception
of theirs before anything is made of it.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

MASK = "***"
_NAMES = ("password", "ssl_password")
_SHORTEST = 4  # Shorter ones are found in every text, and hide nothing.


class Passwords:
    """``values``: what must not be seen."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {value for value in values if len(value) >= _SHORTEST}
        # The longest first: one may lie in another.
        self._values = sorted(found, key=len, reverse=True)

    def masked(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def scrub(self, error: BaseException) -> None:
        """Take them out of ``error``, and of all that led to it."""
        seen: list[BaseException] = []
        waiting: list[BaseException | None] = [error]
        while waiting:
            each = waiting.pop()
            if each is None or each in seen:
                continue
            seen.append(each)
            each.args = tuple(self._masked(argument) for argument in each.args)
            waiting += [each.__cause__, each.__context__]

    def _masked(self, argument: object) -> object:
        if isinstance(argument, bytes):
            return self.masked(argument.decode("utf-8", "replace")).encode()
        return self.masked(argument) if isinstance(argument, str) else argument


def passwords_in(*kwargs: Mapping[str, object], url: str = "") -> Passwords:
    """Those in options for redis-py, and in a URL: as it is written, and as it is meant."""
    values: list[str] = []
    for each in kwargs:
        for name in _NAMES:
            value = each.get(name)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            if value is not None:
                values.append(str(value))
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    written = authority.partition(":")[2]
    return Passwords([*values, written, unquote(written)])
