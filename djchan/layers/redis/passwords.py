"""Keeps Redis passwords out of exceptions: their messages, causes, reprs and frames.

redis-py and Redis may quote their input. ``Passwords.scrub`` is called on each of their exceptions
before it is translated or logged. Error reports such as Sentry's show the local variables of the
frames in a traceback, so those are cleared as well.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from djchan.tracebacks import clear_locals, with_causes

MASK = "***"
_NAMES = ("password", "ssl_password")
_SHORTEST = 4  # Shorter ones occur in every text, so masking them hides nothing.


class Passwords:
    """``values``: the secrets."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {value for value in values if len(value) >= _SHORTEST}
        # The longest first: one may contain another.
        self._values = sorted(found, key=len, reverse=True)

    def masked(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def scrub(self, error: BaseException) -> None:
        """Mask them in ``error`` and in its causes, whose frames lose their local variables."""
        for each in with_causes(error):
            each.args = tuple(self._masked(argument) for argument in each.args)
        clear_locals(error)

    def _masked(self, argument: object) -> object:
        if isinstance(argument, bytes):
            return self.masked(argument.decode("utf-8", "replace")).encode()
        return self.masked(argument) if isinstance(argument, str) else argument


def passwords_in(*kwargs: Mapping[str, object], url: str = "") -> Passwords:
    """The passwords in options for redis-py and in a URL, as written and percent-decoded."""
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
