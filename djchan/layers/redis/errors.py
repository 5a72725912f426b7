"""The meaning of errors: replies of Redis, and broken connections. No I/O happens here.

``links`` and ``greeting`` ask ``meaning`` at each error. The answer is a row of a table: which
exception to raise, in which words, whether waiting helps, and whether to leave this server.

Sentences begin with "Redis at {where}" and quote Redis itself in ``{text}``, without the
arguments of a command (an AUTH that a server does not know comes back with its password).
"""

import errno
import re
from typing import NamedTuple

import redis.exceptions

from djchan.exceptions import BrokerError, BrokerRefused, BrokerUnavailable, BrokerUnsupported


class Meaning(NamedTuple):
    """``transient``: Redis is there, and will serve again without anybody's help. ``leave``:
    another server is to be looked for, so the connection is closed."""

    raises: type[BrokerError]
    sentence: str
    transient: bool = False
    leave: bool = False


_NOT_MASTER = (
    "is not the master, or has none ({text}). The next call asks again where the master is."
)
_NO_RIGHT = Meaning(
    BrokerUnsupported,
    "does not allow its user what djchan needs: {text}. Give the user that right (ACL SETUSER); "
    'the page "A Redis user for djchan" of the documentation has all of them.',
)
_NO_COMMAND = Meaning(
    BrokerUnsupported,
    "does not know a command that djchan needs: {text}. Is it renamed (rename-command), or "
    "switched off by a hosting service? djchan needs it under its own name.",
)
_LOGIN = Meaning(
    BrokerUnavailable,
    "did not accept the login: {text}. Check the user and the password in hosts or "
    "connection_kwargs of CHANNEL_LAYERS.",
)
_DATABASE = Meaning(
    BrokerUnsupported,
    "has no such database: {text}. Change db in hosts of CHANNEL_LAYERS (a cluster has only 0).",
)
_FULL = Meaning(
    BrokerUnavailable,
    "takes no more connections ({text}). Raise maxclients in its configuration, or run fewer "
    "processes.",
    transient=True,
)

_NO_TLS = Meaning(
    BrokerUnavailable,
    "does not speak TLS on that port ({text}). Write redis:// in hosts of CHANNEL_LAYERS, or the "
    "port that has TLS (tls-port).",
)

_TLS_ONLY = Meaning(
    BrokerUnavailable,
    "speaks only TLS on that port ({text}). Write rediss:// in hosts of CHANNEL_LAYERS, or the "
    "port without TLS.",
)
_NO_REDIS = Meaning(
    BrokerUnavailable,
    "does not answer like a Redis ({text}). Another server has that port: check the port in hosts "
    "of CHANNEL_LAYERS.",
)

# The first word of an error reply -> what it means.
BY_CODE: dict[str, Meaning] = {
    "LOADING": Meaning(
        BrokerUnavailable, "is still loading its data from the disk ({text}).", transient=True
    ),
    "BUSY": Meaning(
        BrokerUnavailable,
        "is busy with a script or function that does not end ({text}). It is none of djchan's; "
        "SCRIPT KILL or FUNCTION KILL stops it.",
        transient=True,
    ),
    "READONLY": Meaning(BrokerUnavailable, _NOT_MASTER, transient=True, leave=True),
    "MASTERDOWN": Meaning(BrokerUnavailable, _NOT_MASTER, transient=True, leave=True),
    # To a command that waits, when its server becomes a replica.
    "UNBLOCKED": Meaning(BrokerUnavailable, _NOT_MASTER, transient=True, leave=True),
    "CLUSTERDOWN": Meaning(
        BrokerUnavailable,
        "belongs to a cluster that is down ({text}). The next call connects anew.",
        transient=True,
        leave=True,
    ),
    "TRYAGAIN": Meaning(
        BrokerUnavailable, "moves the layer's slot to another node ({text}).", transient=True
    ),
    "ASK": Meaning(
        BrokerUnavailable, "moves the layer's slot to another node ({text}).", transient=True
    ),
    "MOVED": Meaning(
        BrokerUnsupported,
        "is a cluster node that does not serve this layer's slot: {text}. Name the node that "
        "serves it in hosts of CHANNEL_LAYERS (a layer lives in one slot), or use a Redis "
        "without cluster mode.",
    ),
    "CROSSSLOT": Meaning(BrokerUnsupported, "refused keys of several slots: {text}."),
    "NOREPLICAS": Meaning(
        BrokerRefused,
        "refused to write: {text} (min-replicas-to-write). It writes again when its replicas are "
        "back.",
        transient=True,
    ),
    "OOM": Meaning(
        BrokerRefused,
        "refused to write: {text} (maxmemory). It writes again when there is room.",
        transient=True,
    ),
    "MISCONF": Meaning(
        BrokerRefused,
        "refused to write, since it cannot save its data to the disk: {text}",
        transient=True,
    ),
    "DENIED": Meaning(
        BrokerUnavailable,
        "is in protected mode, and takes no connection from another machine. Give it a password "
        "(requirepass, or a user of its ACL), and write that in hosts of CHANNEL_LAYERS.",
        leave=True,  # It closes the connection itself.
    ),
    "NOPERM": _NO_RIGHT,
    "WRONGPASS": _LOGIN,
    "NOAUTH": _LOGIN,
}

# Some of it, in lower case, of an error without a code of its own -> what it means.
BY_PHRASE: dict[str, Meaning] = {
    "max number of clients": _FULL,
    "unknown command": _NO_COMMAND,
    "unknown redis command": _NO_COMMAND,
    "unknown subcommand": _NO_COMMAND,
    "acl failure": _NO_RIGHT,
    "the user executing the script": _NO_RIGHT,
    "db index is out of range": _DATABASE,
    "invalid db index": _DATABASE,
    "select is not allowed in cluster": _DATABASE,
    "invalid password": _LOGIN,
    "without any password configured": _LOGIN,
    "client sent auth": _LOGIN,
    "wrong number of arguments for 'auth'": _LOGIN,
    "problem with ldap service": _LOGIN,
    "certificate verify failed": Meaning(
        BrokerUnavailable,
        "has a certificate that this process does not trust ({text}). Name the file of its "
        "authority as ssl_ca_certs in connection_kwargs of CHANNEL_LAYERS.",
    ),
    "wrong version number": _NO_TLS,
    "record layer failure": _NO_TLS,
    "packet length too long": _NO_TLS,
    # The first byte of an alert of TLS.
    'got "\\x15" as reply type byte': _TLS_ONLY,
    "as reply type byte": _NO_REDIS,
}

OTHER_REPLY = Meaning(BrokerRefused, "refused: {text}")

# The number of an OSError -> what it means.
_NO_FILES = Meaning(
    BrokerUnavailable,
    "was not asked: this process has no file descriptor left ({text}). Raise its limit "
    "(LimitNOFILE in systemd, ulimit -n in a shell), or give it fewer threads.",
    transient=True,
)
_REFUSED = Meaning(
    BrokerUnavailable,
    "did not answer: nothing listens there ({text}), so nothing was sent. Check that it runs and "
    "that hosts in CHANNEL_LAYERS names it.",
)
BY_NUMBER: dict[int, Meaning] = {
    errno.EMFILE: _NO_FILES,
    errno.ENFILE: _NO_FILES,
    errno.ECONNREFUSED: _REFUSED,
}

NO_ANSWER = Meaning(
    BrokerUnavailable,
    "did not answer ({text}). Check that it runs and that hosts in CHANNEL_LAYERS names it.",
)

_NOBODY = (NO_ANSWER, _NO_FILES, _REFUSED)
_TIMEOUTS = (TimeoutError, redis.exceptions.TimeoutError)

# Behind Sentinel, a master whose replicas are gone may follow another one already.
_NO_REPLICAS_LEFT = Meaning(
    BrokerUnavailable,
    "is not the master any more, perhaps: it has no replicas ({text}). The next call asks again "
    "where the master is.",
    transient=True,
    leave=True,
)

# redis-py's classes for replies of which it has taken the code away.
_CODES: dict[type[Exception], str] = {
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.TryAgainError: "TRYAGAIN",
    redis.exceptions.MovedError: "MOVED",
    redis.exceptions.AskError: "ASK",
    redis.exceptions.ClusterCrossSlotError: "CROSSSLOT",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.NoScriptError: "NOSCRIPT",
}

_ARGUMENTS = re.compile(r",? with args beginning with:.*", re.DOTALL)


def code_of(error: BaseException) -> str:
    """The code of an error reply (LOADING, NOPERM …); "" for one without."""
    known = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "")
    code = known or getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return code if re.fullmatch(r"[A-Z]{3,}", code) and code != "ERR" else ""


def text_of(error: BaseException) -> str:
    """The text of an error of Redis or the system: one line, without the data of the command."""
    text = " ".join(_ARGUMENTS.sub("", str(error)).split()).rstrip(".")
    code = code_of(error)
    if code and not text.startswith(code):
        text = f"{code} {text}"
    return text or type(error).__name__


def meaning(error: BaseException, *, sentinel: bool = False) -> Meaning:
    """The row for ``error``. ``sentinel``: whether there is one to ask for another server."""
    code = code_of(error)
    if sentinel and code == "NOREPLICAS":
        return _NO_REPLICAS_LEFT
    if code in BY_CODE:
        return BY_CODE[code]
    text = str(error).lower()
    for phrase, row in BY_PHRASE.items():
        if phrase in text:
            return row
    if isinstance(error, redis.exceptions.AuthenticationError):
        return _LOGIN
    if isinstance(error, redis.exceptions.ResponseError):
        return OTHER_REPLY
    number = _number(error)
    return BY_NUMBER.get(number, NO_ANSWER) if number is not None else NO_ANSWER


def translate(
    error: BaseException, where: str, *, sent: bool, sentinel: bool = False
) -> BrokerError:
    """The exception that callers get for ``error``.

    ``sent``: whether what was asked may have reached Redis.
    """
    row = meaning(error, sentinel=sentinel)
    text = text_of(error)
    if row is NO_ANSWER:
        text = f"{type(error).__name__}: {text}"
    sentence = f"Redis at {where} " + row.sentence.format(text=text)
    if issubclass(row.raises, BrokerUnavailable):
        cut = sent and row is NO_ANSWER and not isinstance(error, _TIMEOUTS)
        return row.raises(
            sentence, sent=sent, transient=row.transient, cut=cut, answered=row not in _NOBODY
        )
    return row.raises(sentence, transient=row.transient)


def _number(error: BaseException) -> int | None:
    """The errno of the OSError that ``error`` is, or was made of by redis-py."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen.errno
        seen = seen.__cause__ or seen.__context__
    return None
