"""Asynchronous views in a worker of one thread: they hold it not, and end with their client."""

import http.client
import urllib.request
from collections import Counter

import pytest

from tests.processes.conftest import Project
from tests.support.processes import Process
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


def texts(project: Project) -> Counter[str]:
    return Counter(text for _, text in project.lines())


def get(server: Process, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as response:
        text: str = response.read().decode()
    return text


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest, project: Project) -> Process:
    project.env["DJANGO_SETTINGS_MODULE"] = "app.async_settings"
    process: Process = getattr(project, request.param)()
    return process


def test_they_hold_no_thread_and_are_canceled_when_their_clients_leave(
    project: Project, server: Process
) -> None:
    worker = project.worker("--threads", "1")
    clients = []
    for path in ("/events/", "/events/", "/waits/"):
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        client.request("GET", path)
        clients.append(client)
    responses = [client.getresponse() for client in clients[:2]]
    assert [response.readline() for response in responses] == [b"data: first\n"] * 2
    wait_for(lambda: texts(project)["waits begins"], timeout=5, what="the view that waits")
    assert get(server, "/hello/") == "hello"
    assert not texts(project)["events end"]
    for response in responses:
        response.close()
    for client in clients:
        client.close()
    expected = {"events begin": 2, "events end": 2, "waits begins": 1, "waits ends": 1}
    wait_for(lambda: texts(project) == expected, timeout=5, what="their ends")
    # What a module keeps of the loop works from one request to the next.
    assert [get(server, "/loop/") for _ in range(3)] == ["True"] * 3
    assert get(server, "/stream-of-sync-view/") == "True"
    assert "Traceback" not in worker.output()


def test_the_asynchronous_stream_of_a_synchronous_view_holds_no_thread(
    project: Project, server: Process
) -> None:
    worker = project.worker("--threads", "1")
    clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(2)]
    for client in clients:
        client.request("GET", "/events-of-sync-view/")
    responses = [client.getresponse() for client in clients]
    # In the context of its view.
    assert [response.readline() for response in responses] == [b"data: de\n"] * 2
    assert get(server, "/hello/") == "hello"
    for client, response in zip(clients, responses, strict=True):
        response.close()
        client.close()
    wait_for(lambda: texts(project)["events end"] == 2, timeout=5, what="their ends")
    # What the view has sent is committed with the end of its stream, once.
    wait_for(lambda: sum("of a view" in text for text in texts(project)), timeout=5, what="a note")
    assert "Traceback" not in worker.output()
