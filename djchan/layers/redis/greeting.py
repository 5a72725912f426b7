"""What a new connection asks first, and what an error reply means. No I/O happens here.

From ``links``, at each connect and for each error::

    connected ──questions()──► checked ──History(run)──► in use
                                  │                        │
                                  └──► BrokerUnsupported   ├──► BrokerRefused: stays open
                                                           └──► BrokerUnavailable: closed

A server that is a replica now, or has no data yet, is not the one that is looked for: its
connection is closed, so that the next one asks Sentinel, or DNS, again. Neither may be, behind
Sentinel, a master whose replicas are gone (NOREPLICAS): they may follow another one already.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.exceptions

from djchan.exceptions import BrokerRefused, BrokerUnavailable, BrokerUnsupported
from djchan.layers.redis.commands import Command
from djchan.layers.redis.scripts import SCRIPTS

_OLD = "djchan needs Redis 7.0 or Valkey 7.2, or newer"

# A replica, or one that has lost its master or its cluster. (LOADING is redis-py's
# ConnectionError already.)
_ELSEWHERE = (redis.exceptions.ReadOnlyError, redis.exceptions.ClusterDownError)


class Greeted(NamedTuple):
    client: str  # Redis's id of the connection.
    run: str  # Of the server; "" where it does not tell.


def scripts() -> list[Command]:
    return [("SCRIPT", "LOAD", text) for text in SCRIPTS.values()]


def questions() -> list[Command]:
    return [("CLIENT", "ID"), ("INFO", "server"), ("INFO", "memory"), *scripts()]


def check(replies: Sequence[Any], where: str) -> Greeted:
    """Read the replies to ``questions``; refuse a server that cannot carry a layer."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise BrokerUnsupported(f"Redis at {where} refused to be set up: {reply}. {_OLD}.")
    check_server(replies[1] + b"\n" + replies[2], where)
    return Greeted(str(replies[0]), _facts(replies[1]).get("run_id", ""))


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


def refused(error: Exception) -> Exception:
    """What an error reply means for the caller."""
    return BrokerRefused(f"Redis refused: {error}")


def is_elsewhere(error: Exception, *, sentinel: bool) -> bool:
    """Whether another server is to be looked for. ``sentinel``: whether there is one to ask."""
    return isinstance(error, _ELSEWHERE) or (sentinel and "NOREPLICAS" in str(error))


def unavailable(error: BaseException, where: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"Redis at {where} did not answer ({type(error).__name__}: {error}). Check that it runs "
        "and that hosts in CHANNEL_LAYERS names it."
    )


def elsewhere(error: BaseException, where: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"Redis at {where} is not the master, or has none, or no replicas ({error}). The next call "
        "asks again where the master is."
    )


def _facts(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
