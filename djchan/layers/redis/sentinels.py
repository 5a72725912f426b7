"""Which Redis is the master: what all sentinels know together, not what one of them says.

From the connections of ``hosts``, which ask whenever they connect; back with an address.

A sentinel that has not heard of a failover yet still names the old master. That one may be up
again by then, takes writes, and forgets them when it is told that it is a replica now. Each
failover has a number, the config epoch, and the sentinel that made it knows the number first;
so all are asked, and the highest number counts, also if its master cannot be reached.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import ConnectionError, TimeoutError
from redis.sentinel import MasterNotFoundError

State = Mapping[str, Any]  # What a sentinel says of a master, as redis-py reads it.
Address = tuple[str, int]

_SILENT = (ConnectionError, TimeoutError, OSError)


def newest_master(states: Iterable[State]) -> Address | None:
    """The master after the last failover that any of ``states`` knows of.

    None when nobody knows one, or whoever knows the last one finds it down: then a failover
    is under way, and the master before is not to be used.
    """
    found = list(states)
    epoch = max((state["config-epoch"] for state in found), default=0)
    for state in found:
        if state["config-epoch"] == epoch and _is_up(state):
            return str(state["ip"]), int(state["port"])
    return None


def _is_up(state: State) -> bool:
    return state["is_master"] and not (state["is_sdown"] or state["is_odown"])


class Sentinel(redis.sentinel.Sentinel):
    """redis-py's, with another way to find the master."""

    def discover_master(self, service_name: str) -> Address:
        """Raises MasterNotFoundError."""
        answers: list[Any] = []
        silent: list[str] = []
        for sentinel in self.sentinels:
            try:
                answers.append(sentinel.sentinel_masters())
            except _SILENT as error:
                silent.append(_silence(sentinel, error))
        return _address(service_name, answers, silent)


class AsyncSentinel(redis.asyncio.sentinel.Sentinel):
    """The same for event loops; all are asked at the same time."""

    async def discover_master(self, service_name: str) -> Address:
        """Raises MasterNotFoundError."""
        asked = [sentinel.sentinel_masters() for sentinel in self.sentinels]
        answers: list[Any] = []
        silent: list[str] = []
        found = await asyncio.gather(*asked, return_exceptions=True)
        for sentinel, answer in zip(self.sentinels, found, strict=True):
            if isinstance(answer, _SILENT):
                silent.append(_silence(sentinel, answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                answers.append(answer)
        return _address(service_name, answers, silent)


def _silence(sentinel: Any, error: Exception) -> str:
    where = sentinel.connection_pool.connection_kwargs
    return f"{where['host']}:{where['port']}: {type(error).__name__} {error}"


def _address(service: str, answers: list[Any], silent: list[str]) -> Address:
    address = newest_master(answer[service] for answer in answers if service in answer)
    if address is None:
        raise MasterNotFoundError(
            f"No master found for {service!r}: {len(answers)} sentinels answered and know none "
            f"that is up{''.join(f'; {each}' for each in silent)}"
        )
    return address
