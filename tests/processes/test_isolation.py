"""No byte of one user reaches another, on any path, whoever leaves or is slow.

Every word that is sent names its sender and its number; every answer must be the one to
what its own connection sent, in the order of that connection.
"""

import asyncio
import hashlib
import json
import random

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.processes.conftest import Project
from tests.support import raw
from tests.support.processes import Process
from tests.support.raw import Raw, frame, opened

pytestmark = pytest.mark.timeout(60)

USERS = ("alice", "bob")
SOCKETS = 3  # Of each user and each way.
WORDS = 60  # Of each socket.
REQUESTS = 40  # Of each of two connections of each user.


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest, project: Project) -> Process:
    """Over two workers of four threads each, so that answers overtake each other."""
    project.env["DJANGO_SETTINGS_MODULE"] = "app.hostile_settings"
    project.env["LAYER_CONFIG"] = json.dumps({"capacity": 1000})
    process: Process = getattr(project, request.param)()
    for _ in range(2):
        project.worker("--threads", "4")
    return process


async def talk(url: str, user: str, way: str, index: int, gate: asyncio.Barrier) -> int:
    """One socket's words, a few in flight at a time; how many answers came."""
    async with connect(f"{url}/user/{user}{way}{index}/", compression=None) as client:
        await gate.wait()
        words = [f"{way} {user} {index} {number} {'x' * 50}" for number in range(WORDS)]
        for begin in range(0, WORDS, 5):
            batch = words[begin : begin + 5]
            for word in batch:
                await client.send(word)
            answers = [await asyncio.wait_for(client.recv(), 20) for _ in batch]
            if way == "channel":  # Runs of their own, by whoever has time.
                answers.sort()
                batch.sort()
            assert answers == batch
        await nothing_more(client)
        return WORDS


async def nothing_more(client: ClientConnection) -> None:
    try:
        stray = await asyncio.wait_for(client.recv(), 0.2)
    except TimeoutError:
        return
    raise AssertionError(f"{stray!r} came to a socket that waited for nothing")


async def ask(port: int, user: str, index: int, gate: asyncio.Barrier) -> int:
    """Requests with bodies on one kept-alive connection; how many were answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await gate.wait()
    for number in range(REQUESTS):
        body = f"{user} {index} {number} ".encode() * random.choice((1, 50, 3000))
        query = f"0-{user}-{index}-{number}"
        head = f"POST /user/?{query} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        expected = f"{query} {hashlib.sha256(body).hexdigest()}".encode()
        assert await response(reader) == expected
    writer.close()
    return REQUESTS


async def response(reader: asyncio.StreamReader) -> bytes:
    """The content of the next response, however its length is told."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).lower()
    assert head.startswith(b"http/1.1 200 "), head
    if b"content-length: " in head:
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await reader.readexactly(size)
    content = b""
    while size := int(await reader.readline(), 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return content


def test_two_users_interleaved_on_every_path(server: Process) -> None:
    async def everything() -> list[int]:
        gate = asyncio.Barrier(len(USERS) * (3 * SOCKETS + 2))
        url = f"ws://127.0.0.1:{server.port}"
        jobs = [
            talk(url, user, way, index, gate)
            for user in USERS
            for way in ("echo", "group", "channel")
            for index in range(SOCKETS)
        ]
        jobs += [ask(server.port, user, index, gate) for user in USERS for index in range(2)]
        return await asyncio.gather(*jobs)

    answered = asyncio.run(everything())
    assert sum(answered) == len(USERS) * (3 * SOCKETS * WORDS + 2 * REQUESTS)


def test_pipelined_requests_are_answered_in_order_though_workers_are_not(server: Process) -> None:
    """Twisted's CVE-2024-41671, with workers that finish later requests first."""

    async def pipeline(user: str, index: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        queries = [
            f"{0.15 if number % 3 == 0 else 0}-{user}-{index}-{number}" for number in range(9)
        ]
        writer.write(
            b"".join(
                f"GET /user/?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for query in queries
            )
        )
        empty = hashlib.sha256(b"").hexdigest()
        for query in queries:
            assert await response(reader) == f"{query} {empty}".encode()
        writer.close()
        return len(queries)

    async def everything() -> list[int]:
        return await asyncio.gather(*(pipeline(user, n) for n in range(4) for user in USERS))

    assert asyncio.run(everything()) == [9] * 8


def test_answers_to_clients_that_left_reach_nobody(server: Process) -> None:
    """Half of the clients leave between question and answer, on sockets and on HTTP."""
    port = server.port
    empty = hashlib.sha256(b"").hexdigest()
    with opened(port, "/user/stayer/") as stayer:
        for number in range(60):
            leaver = opened(port, "/user/leaver/")
            leaver.send(
                frame(raw.TEXT, f"{('echo', 'group', 'channel')[number % 3]} left".encode())
            )
            asker = Raw(port, f"GET /user/?0.01-left-{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            for client in (leaver, asker):
                (Raw.reset if number % 2 else Raw.close)(client)

            stayer.send(frame(raw.TEXT, b"echo stays %d" % number))
            assert stayer.frame() == (raw.TEXT, b"echo stays %d" % number)
            query = f"0-stays-{number}"
            with Raw(port, f"GET /user/?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as client:
                assert client.body() == (200, f"{query} {empty}".encode())
            with opened(port, "/user/comer/") as comer:
                comer.send(frame(raw.TEXT, b"channel comes %d" % number))
                assert comer.frame() == (raw.TEXT, b"channel comes %d" % number)
        assert stayer.silent(0.3)
