"""An interface is killed with its sockets: the disconnect of each is run, exactly once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from websockets.sync.client import ClientConnection

from tests.processes.conftest import Project, socket
from tests.support.processes import Process
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)

SOON = 5.0  # Seconds: an interface that was killed is missed within three.


@pytest.fixture
def site(project: Project) -> Project:
    project.env["DJANGO_SETTINGS_MODULE"] = "app.farewell_settings"
    return project


@contextmanager
def sockets(server: Process, *paths: str) -> Iterator[list[ClientConnection]]:
    with ExitStack() as stack:
        yield [stack.enter_context(socket(server, path)) for path in paths]


def gone(site: Project) -> dict[str, list[str]]:
    """path -> the codes of its disconnects."""
    found: dict[str, list[str]] = {}
    for _, text in site.lines():
        word, path, *rest = text.split()
        if word == "go":
            found.setdefault(path, []).append(rest[0])
    return found


def keys(site: Project, kind: str) -> int:
    """How many processes Redis has something of this kind of."""
    return int(site.broker.command("KEYS", f"*1:{kind}:*").split(b"\r\n")[0][1:])


def say_hello(server: Process) -> None:
    """What was queued before has been run when this has its answer."""
    with socket(server, "/hello/") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
    # And its own disconnect comes after all others.


def test_each_of_its_sockets_is_said_goodbye_to_once(site: Project) -> None:
    doomed, other = site.daphne(), site.daphne()
    for _ in range(2):
        site.worker()
    paths = [f"/{number}/" for number in range(30)]
    with sockets(other, "/other/") as (survivor,), sockets(doomed, *paths) as clients:
        for client in clients[:10]:
            client.send("hello")
            assert client.recv(timeout=10) == "hello"
        doomed.kill9()
        wait_for(lambda: set(gone(site)) >= set(paths), timeout=SOON, what="all disconnects")
        survivor.send("still here")
        assert survivor.recv(timeout=10) == "still here"
        say_hello(other)
        wait_for(lambda: "/hello/" in gone(site), timeout=SOON, what="the last disconnect")
        assert gone(site) == {**{path: ["1006"] for path in paths}, "/hello/": ["1000"]}
        assert (keys(site, "rec"), keys(site, "orph")) == (1, 0), "the living one's record is left"
    attempts = Counter(text.split()[-1] for _, text in site.lines() if text.startswith("go"))
    assert set(attempts) == {"attempt=1"}


def test_it_comes_after_what_the_socket_had_said(site: Project) -> None:
    doomed, other = site.daphne(), site.daphne()
    busy = [site.worker(), site.worker()]
    with sockets(doomed, "/slow/", "/quick/") as (slow, quick):
        slow.send("4:first")
        wait_for(
            lambda: any("begin /slow/" in text for _, text in site.lines()),
            timeout=10,
            what="the frame is run",
        )
        quick.send("hello")
        assert quick.recv(timeout=10) == "hello"
        doomed.kill9()
        wait_for(lambda: "/quick/" in gone(site), timeout=SOON, what="the one that is idle")
        assert "/slow/" not in gone(site)
        wait_for(lambda: "/slow/" in gone(site), timeout=10, what="the one that was busy")
    texts = [text for _, text in site.lines() if "/slow/" in text]
    assert texts == [
        "come /slow/",
        "begin /slow/ first",
        "end /slow/ first",
        "go /slow/ 1006 attempt=1",
    ]
    say_hello(other)
    assert len(gone(site)["/slow/"]) == 1
    assert all(worker.running() for worker in busy)


def test_those_that_were_just_going_go_once(site: Project) -> None:
    """Killed while disconnects are queued, leased, waiting for a turn, or not yet said."""
    site.env["LAYER_INTERFACE"] = '{"disconnects": 3}'
    doomed, other = site.daphne(), site.daphne()
    for _ in range(2):
        site.worker()
    paths = [f"/{number}/" for number in range(40)]
    with sockets(doomed, *paths) as clients:
        for client in clients:
            # No closing handshake: all of them at once.
            client.socket.close()
        wait_for(lambda: len(gone(site)) >= 3, timeout=5, what="some are gone")
        doomed.kill9()
    wait_for(lambda: set(gone(site)) >= set(paths), timeout=SOON, what="all disconnects")
    say_hello(other)
    wait_for(lambda: "/hello/" in gone(site), timeout=SOON, what="the last disconnect")
    assert {
        path: len(codes) for path, codes in gone(site).items() if path in paths
    } == dict.fromkeys(paths, 1)


def test_they_wait_for_a_worker(site: Project) -> None:
    doomed = site.daphne()
    worker = site.worker()
    paths = [f"/{number}/" for number in range(5)]
    with sockets(doomed, *paths):
        assert worker.stop() == 0
        doomed.kill9()
    site.worker()
    wait_for(lambda: set(gone(site)) >= set(paths), timeout=10, what="all disconnects")
    assert gone(site) == {path: ["1006"] for path in paths}
