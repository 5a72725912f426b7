"""More than workers can take, and a Redis that goes away: processes live, and say why."""

import asyncio
import json
import time

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.processes.conftest import Project, socket
from tests.support.processes import Process
from tests.support.servers import Server

pytestmark = pytest.mark.timeout(90)

ROOM = 1.3  # RSS afterwards may be this much of what it was before.


def test_a_flooded_socket_is_closed_with_1013_and_the_process_lives(project: Project) -> None:
    project.env["LAYER_INTERFACE"] = json.dumps({"mailbox_frames": 64})
    server = project.daphne()
    worker = project.worker()
    with socket(server, "/echo/") as client:
        for _ in range(200):
            client.send("warm up")
            client.recv(timeout=10)
    before = server.rss()
    for _ in range(5):
        with socket(server, "/work/") as client:
            client.send("1:slow")
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(100_000):
                    client.send("0:" + "x" * 1000)
                client.recv(timeout=10)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
    assert server.running() and worker.running()
    server.wait_printed(r"mailbox_frames \(64\)")
    assert server.rss() <= ROOM * before
    with socket(server, "/echo/") as client:
        client.send("still there")
        assert client.recv(timeout=15) == "still there"


def test_a_channel_at_capacity_says_so(project: Project) -> None:
    project.env["LAYER_CONFIG"] = json.dumps({"channel_capacity": {"slow": 5}})
    project.shell(
        "from djchan import Channel\n"
        "from djchan.exceptions import ChannelFull\n"
        "for n in range(5): Channel('slow').send({'n': n})\n"
        "try: Channel('slow').send({'n': 6})\n"
        "except ChannelFull as error:\n"
        "    assert all(word in str(error) for word in ('slow', 'channel_capacity', '5'))\n"
        "else: raise SystemExit('no ChannelFull')\n"
    )
    # A socket whose channel is full waits for full_wait seconds, then is closed with 1013.
    project.env["LAYER_CONFIG"] = json.dumps({"channel_capacity": {"websocket.receive": 3}})
    project.env["LAYER_INTERFACE"] = json.dumps({"full_wait": 0.5})
    server = project.daphne()
    worker = project.worker("--only-channels", "websocket.receive")
    project.worker("--exclude-channels", "websocket.receive")
    # One message runs, three wait, and there is no room for two.
    codes = asyncio.run(speak_into_a_full_channel(server))
    assert codes.count(1013) == 2, codes
    assert server.running() and worker.running()
    server.wait_printed(r"websocket\.receive.*channel_capacity")


async def speak_into_a_full_channel(server: Process) -> list[int | None]:
    url = f"ws://127.0.0.1:{server.port}/work/"
    clients = [await connect(url, compression=None) for _ in range(6)]
    for client in clients:
        await client.send("3:slow")

    async def code(client: ClientConnection) -> int | None:
        try:
            await asyncio.wait_for(client.recv(), 2)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        except TimeoutError:
            await client.close()
        return None

    return await asyncio.gather(*(code(client) for client in clients))


def test_redis_away_for_ten_seconds_under_load(project: Project, own_broker: Server) -> None:
    server = project.daphne()
    worker = project.worker()
    with socket(server, "/echo/") as client:
        for _ in range(200):
            client.send("warm up")
            client.recv(timeout=10)
    before = server.rss(), worker.rss()
    answered = asyncio.run(load_while_redis_is_away(server, own_broker))
    assert server.running() and worker.running()
    # Every socket stayed, and got an answer to each of its messages, once and in order.
    for replies in answered:
        assert replies == [str(number) for number in range(len(replies))]
    server.wait_printed(r"did not answer")
    server.wait_printed(r"Redis is back after")
    worker.wait_printed(r"did not answer")
    assert server.rss() <= ROOM * before[0]
    assert worker.rss() <= ROOM * before[1]


async def load_while_redis_is_away(server: Process, broker: Server) -> list[list[str]]:
    url = f"ws://127.0.0.1:{server.port}/echo/"
    back = asyncio.Event()
    first_after: list[float] = []

    async def talk() -> list[str]:
        replies: list[str] = []
        async with connect(url, compression=None) as client:
            for number in range(100_000):
                await client.send(str(number))
                replies.append(str(await asyncio.wait_for(client.recv(), 30)))
                if back.is_set():
                    first_after.append(time.monotonic())
                    return replies
        return replies

    talks = [asyncio.create_task(talk()) for _ in range(20)]
    await asyncio.sleep(1)
    await asyncio.to_thread(broker.stop)
    await asyncio.sleep(10)
    await asyncio.to_thread(broker.start)
    started = time.monotonic()
    back.set()
    answered = await asyncio.wait_for(asyncio.gather(*talks), 30)
    took = max(first_after) - started
    assert took < 5.0, f"service was back {took:.1f} s after Redis"
    return answered
