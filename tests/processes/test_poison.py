"""A message whose consumer ends its process: tried three times, kept, and nobody with it."""

import asyncio
import contextlib
import http.client
import os
import signal
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from djchan.layers.operations import DeadChannels, DeadLetter, DeadLetters
from djchan.layers.redis.layer import RedisChannelLayer
from tests.processes.conftest import Project, socket
from tests.processes.supervisor import Supervisor
from tests.support.processes import Process
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(90)

GOOD = 100


@pytest.fixture
def trouble(project: Project) -> Project:
    project.env["DJANGO_SETTINGS_MODULE"] = "app.trouble_settings"
    return project


def dead_letters(project: Project) -> dict[str, list[str]]:
    """Channel -> the reasons of its dead letters."""
    found = letters(project)
    return {name: [letter.reason for letter in each] for name, each in found.items()}


def letters(project: Project) -> dict[str, list[DeadLetter]]:
    layer = RedisChannelLayer(hosts=[project.broker.url])
    link = layer.engine.link("test")
    try:
        (channels,) = link.perform(DeadChannels())
        found = {channel: link.perform(DeadLetters(channel))[0] for channel in channels}
        assert {name: len(each) for name, each in found.items()} == channels
        return found
    finally:
        link.close()
        layer.close()


def runs(project: Project, of: str) -> list[str]:
    return [text for _, text in project.lines() if text.startswith(f"run {of} ")]


def tries(of: str) -> list[str]:
    return [f"run {of} attempt={attempt}" for attempt in (1, 2, 3)]


def test_a_poison_on_a_channel_is_tried_three_times_and_kept(trouble: Project) -> None:
    # Each on a worker of its own, so that nobody dies of another's poison.
    with contextlib.ExitStack() as stack:
        workers = {
            how: stack.enter_context(Supervisor(trouble, "--only-channels", f"poison.{how}"))
            for how in ("exit", "segfault", "kill", "memory")
        }
        trouble.shell(
            "from djchan import Channel\n"
            "for how in ('exit', 'segfault', 'kill', 'memory'):\n"
            "    Channel(f'poison.{how}').send({'text': how})\n"
            "    Channel(f'poison.{how}').send({'text': 'good'})\n"
        )
        wait_for(lambda: len(dead_letters(trouble)) == 3, timeout=60, what="three dead letters")
        wait_for(
            lambda: all(runs(trouble, f"poison.{how} good") for how in workers),
            timeout=20,
            what="the good ones run, too",
        )
    assert dead_letters(trouble) == {
        "poison.exit": ["poison"],
        "poison.segfault": ["poison"],
        "poison.kill": ["poison"],
    }
    for how in ("exit", "segfault", "kill"):
        assert runs(trouble, f"poison.{how} {how}") == tries(f"poison.{how} {how}")
        assert workers[how].started[-1].running()
    assert workers["exit"].deaths == [7, 7, 7]
    assert workers["segfault"].deaths == [-signal.SIGSEGV] * 3
    assert workers["kill"].deaths == [-signal.SIGKILL] * 3
    # An exception like any other: the worker lives, and its message is done.
    assert workers["memory"].deaths == []
    assert runs(trouble, "poison.memory memory") == ["run poison.memory memory attempt=1"]
    workers["memory"].started[0].wait_printed("MemoryError")


def test_its_socket_closes_with_1011_and_its_http_client_gets_503(trouble: Project) -> None:
    server = trouble.daphne()
    with (
        Supervisor(trouble, "--only-channels", "websocket.*") as sockets,
        Supervisor(trouble, "--only-channels", "http.*") as requests,
        socket(server, "/poison/") as other,
        socket(server, "/poison/") as client,
    ):
        client.send("exit")
        posted = time.monotonic()
        assert request(server, "POST", "/poison/?exit") == 503
        assert time.monotonic() - posted < 10.0, "not run again, so told when its worker died"
        assert request(server, "GET", "/poison/?segfault") == 503
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        # Everybody else is served as before.
        assert request(server, "GET", "/poison/") == 200
        other.send("good")
        assert other.recv(timeout=10) == "well good"
    assert runs(trouble, "websocket.receive exit") == tries("websocket.receive exit")
    assert runs(trouble, "http.request segfault") == tries("http.request segfault")
    assert len(runs(trouble, "http.request exit")) == 1
    assert sockets.deaths == [7] * 3
    assert requests.deaths == [7, *[-signal.SIGSEGV] * 3]
    kept = dead_letters(trouble)
    assert kept["websocket.receive"] == ["poison"]
    assert "poison" in kept["http.request"]


def request(server: Process, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body=b"" if method == "POST" else None)
        return connection.getresponse().status
    finally:
        connection.close()


def test_one_poison_among_a_hundred_good_ones_of_one_batch(trouble: Project) -> None:
    server = trouble.daphne()
    with Supervisor(trouble, "--concurrency", str(GOOD + 1)) as workers:
        answers = asyncio.run(crowd(server))
    texts = [text for _, text in trouble.lines()]
    first_pid = workers.started[0].pid
    begun = [text for pid, text in trouble.lines() if pid == first_pid]
    assert len(begun) == GOOD + 1, "all of them died with the first worker"
    assert answers.pop("exit") == 1011
    assert answers == {f"good{number}": f"well good{number}" for number in range(GOOD)}
    assert [text for text in texts if text.startswith("run exit")] == tries("exit")
    # Everybody else died once, with the poison, and then ran alone.
    assert max(texts.count(f"run good{number} attempt=2") for number in range(GOOD)) == 1
    assert not any("attempt=3" in text for text in texts if "good" in text)
    assert workers.deaths == [7, 7, 7]
    assert dead_letters(trouble) == {"websocket.receive": ["poison"]}


async def crowd(server: Process) -> dict[str, str | int]:
    """What each of the sockets got: its answer, or the code it was closed with."""
    url = f"ws://127.0.0.1:{server.port}/crowd/"
    texts = ["exit", *[f"good{number}" for number in range(GOOD)]]
    sockets = [await connect(url, compression=None) for _ in texts]

    async def answer(place: int) -> str | int:
        try:
            return str(await asyncio.wait_for(sockets[place].recv(), 60))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else os.EX_UNAVAILABLE

    for place, text in enumerate(texts):
        await sockets[place].send(text)
    answers = await asyncio.gather(*(answer(place) for place in range(len(texts))))
    await asyncio.gather(*(client.close() for client in sockets))
    return dict(zip(texts, answers, strict=True))


def test_the_frames_before_a_poison_count_and_those_behind_it_are_kept(trouble: Project) -> None:
    server = trouble.daphne()
    trouble.worker("--only-channels", "basin")
    with (
        Supervisor(trouble, "--only-channels", "websocket.*") as workers,
        socket(server, "/frames/") as client,
    ):
        # What comes while the first one runs goes to a worker together.
        for text in ("slow", "first", "second", "exit", "last"):
            client.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
    texts = [text for _, text in trouble.lines()]
    assert [text for text in texts if text.startswith("run exit")] == tries("exit")
    # They may have run again with the first redelivery; what they sent counts once.
    assert [text for text in texts if text.startswith("basin")] == [
        "basin slow",
        "basin first",
        "basin second",
    ]
    assert not any("last" in text for text in texts)
    assert workers.deaths == [7, 7, 7]
    (letter,) = letters(trouble)["websocket.receive"]
    assert (letter.reason, letter.done) == ("poison", 2)
