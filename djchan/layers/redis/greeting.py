"""The first commands of a new connection. No I/O happens here.

From ``links``, at each connect; what an error reply means is in ``errors``::

    connected ──questions()──► checked ──History(run)──► in use
                                  │
                                  └──► the version, the policy or the user's rights are unfit:
                                       BrokerUnsupported
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.exceptions

from djchan.exceptions import BrokerUnsupported
from djchan.layers.redis.commands import Command, rights
from djchan.layers.redis.scripts import SCRIPTS

_OLD = "djchan needs Redis 7.0 or Valkey 7.2, or newer"


class Greeted(NamedTuple):
    client: str  # Redis's id of the connection.
    run: str  # Of the server; "" where it does not tell.


def scripts() -> list[Command]:
    return [("SCRIPT", "LOAD", text) for text in SCRIPTS.values()]


def questions(base: str) -> list[Command]:
    about = [("CLIENT", "ID"), ("INFO", "server"), ("INFO", "memory")]
    return [*about, *scripts(), rights(base)]


def check(replies: Sequence[Any], base: str, where: str) -> Greeted:
    """Read the replies to ``questions``; refuse a server that cannot carry a layer.

    Raises the first error reply, as it is, and BrokerUnsupported.
    """
    server, memory = replies[1:3]
    if isinstance(server, bytes):
        # First of all: an old server refuses the rest for the reason that it is old.
        check_server(server + b"\n" + (memory if isinstance(memory, bytes) else b""), where)
    last = replies[-1]
    if isinstance(last, redis.exceptions.NoPermissionError) and "key" in str(last):
        raise BrokerUnsupported(
            f"Redis at {where} does not allow its user the layer's keys ({last}). Give the user "
            f"this right (ACL SETUSER): ~{_keys(base)}"
        )
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    _check_rights([name.decode() for name in replies[-1]], base, where)
    return Greeted(str(replies[0]), _facts(server).get("run_id", ""))


def _check_rights(denied: Sequence[str], base: str, where: str) -> None:
    if denied:
        names = [name.removesuffix(" streams") for name in denied]
        rules = " ".join(f"+{name.lower().replace(' ', '|')}" for name in names)
        raise BrokerUnsupported(
            f"Redis at {where} does not allow its user to run {', '.join(names)} on the layer's "
            f"keys. Give the user these rights (ACL SETUSER): ~{_keys(base)} {rules}"
        )


def _keys(base: str) -> str:
    return base.partition("}")[0] + "}*"


def check_server(info: bytes, where: str) -> None:
    """Refuse a server that cannot carry a layer. ``info``: the reply to INFO."""
    facts = _facts(info)
    name, lowest = ("valkey", (7, 2)) if "valkey_version" in facts else ("redis", (7, 0))
    version = facts.get(f"{name}_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < lowest:
        raise BrokerUnsupported(f"{name.title()} {version} at {where} is too old: {_OLD}.")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys-"):
        raise BrokerUnsupported(
            f"The Redis at {where} has maxmemory-policy {policy}: it would throw away queues and "
            "groups when memory runs short. Set it to noeviction or volatile-lru."
        )


def _facts(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
