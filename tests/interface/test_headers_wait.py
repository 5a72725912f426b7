"""Requests whose headers take too long: each has its own time, and one timer is enough."""

import asyncio

import pytest

from djchan.interface.headers_wait import HeadersWait
from tests.interface.fakes import until


@pytest.mark.asyncio
async def test_each_request_has_its_own_time():
    ended = []
    wait = HeadersWait(0.2, ended.append)
    wait.begin("first")
    wait.begin("whole")
    await asyncio.sleep(0.1)
    wait.begin("second")
    wait.over("whole")
    wait.over("unknown")
    await until(lambda: ended)
    assert ended == ["first"]
    await until(lambda: len(ended) == 2)
    assert ended == ["first", "second"]
    wait.begin("third")
    await until(lambda: len(ended) == 3)


@pytest.mark.asyncio
async def test_without_a_limit_nothing_ends():
    ended = []
    wait = HeadersWait(None, ended.append)
    wait.begin("request")
    wait.over("request")
    await asyncio.sleep(0.05)
    assert ended == []
