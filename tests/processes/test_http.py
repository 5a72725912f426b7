"""HTTP through workers: bodies and responses in parts, clients and workers that go away."""

import hashlib
import http.client
import os
import signal
import urllib.error
import urllib.request

import pytest

from tests.processes.conftest import Project
from tests.support.processes import Process
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


def url(server: Process, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def marked(project: Project, text: str) -> bool:
    return any(text in line for _, line in project.lines())


@pytest.mark.parametrize("size", [0, 1, 1 << 19, (1 << 19) + 1, 20 << 20])
def test_a_body_of_any_size_reaches_the_view(project: Project, size: int) -> None:
    server = project.daphne()
    project.worker()
    body = os.urandom(size)
    request = urllib.request.Request(url(server, "/upload/"), data=body, method="POST")
    request.add_header("Content-Type", "application/octet-stream")
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.read().decode() == hashlib.sha256(body).hexdigest()


def test_a_response_comes_part_by_part_and_ends_when_its_client_leaves(project: Project) -> None:
    server = project.daphne()
    project.worker()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/stream/")
    response = connection.getresponse()
    assert [response.readline() for _ in range(3)] == [b"part 0\n", b"part 1\n", b"part 2\n"]
    assert not marked(project, "stream ends")
    response.close()
    connection.close()
    # The worker is told, so that nobody's generator runs for nobody.
    wait_for(lambda: marked(project, "stream ends"), timeout=5, what="the generator is closed")
    with urllib.request.urlopen(url(server, "/hello/"), timeout=10) as answer:
        assert answer.read() == b"hello"


def test_a_response_that_has_begun_is_cut_when_its_worker_dies(project: Project) -> None:
    server = project.daphne()
    workers = [project.worker(), project.worker()]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/stream/")
    response = connection.getresponse()
    assert response.readline() == b"part 0\n"
    pid = project.lines()[0][0]
    os.kill(pid, signal.SIGKILL)
    # Cut, never a clean end: a proxy must not take half of it for the whole.
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    assert sum("stream begins" in line for _, line in project.lines()) == 1
    assert [worker.running() for worker in workers].count(True) == 1


def test_a_held_response_gets_what_its_group_is_told_until_its_client_leaves(
    project: Project,
) -> None:
    project.env["LAYER_INTERFACE"] = '{"http_timeout": 0.5}'
    server = project.daphne()
    project.worker()
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=15) for _ in "12"]
    held = []
    for connection in connections:
        connection.request("GET", "/hold/")
        held.append(connection.getresponse())
    assert [response.readline() for response in held] == [b"held\n"] * 2
    # Starting a shell takes longer than http_timeout: it does not end what is held.
    for number in (1, 2):
        content = f"{{'content': b'news {number}\\n', 'more_content': True}}"
        project.shell(f"from djchan import Group; Group('held').send({content})")
        assert [response.readline() for response in held] == [b"news %d\n" % number] * 2

    held[0].close()
    connections[0].close()
    wait_for(lambda: marked(project, "let go"), timeout=10, what="http.disconnect")
    content = "{'content': b'the end\\n'}"
    project.shell(f"from djchan import Group; Group('held').send({content})")
    assert held[1].read() == b"the end\n"
    connections[1].close()
    look = "from djchan.asgi import channel_layers; assert not channel_layers['default']"
    wait_for(
        lambda: sum("let go" in line for _, line in project.lines()) == 2,
        timeout=10,
        what="the other http.disconnect",
    )
    project.shell(f"{look}.group_channels('held')")


def test_a_held_response_does_not_hold_the_server(project: Project) -> None:
    project.env["LAYER_INTERFACE"] = '{"shutdown_grace": 60}'
    server = project.daphne()
    project.worker()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    connection.request("GET", "/hold/")
    response = connection.getresponse()
    assert response.readline() == b"held\n"
    server.stop(timeout=20)  # Well before shutdown_grace.
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    wait_for(lambda: marked(project, "let go"), timeout=10, what="http.disconnect")


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 503)])
def test_only_a_safe_request_is_run_again(project: Project, method: str, status: int) -> None:
    server = project.daphne()
    for _ in range(2):
        project.worker()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    connection.request(method, "/slow/", headers={"Content-Length": "0"})
    wait_for(project.lines, timeout=10, what="the view runs")
    os.kill(project.lines()[0][0], signal.SIGKILL)
    response = connection.getresponse()
    assert response.status == status
    if status == 200:
        assert response.read() == b"GET done"
    connection.close()
    assert len(project.lines()) == (2 if method == "GET" else 1)


def test_nobody_to_ask_is_a_503(project: Project) -> None:
    project.env["LAYER_INTERFACE"] = '{"http_timeout": 1.0}'
    server = project.daphne()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(url(server, "/hello/"), timeout=10)
    assert error.value.code == 503
    error.value.close()
