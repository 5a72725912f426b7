"""Channels 4 consumers in the interface process and worker consumers, over one layer."""

import pytest

from tests.processes.conftest import Project, socket

pytestmark = pytest.mark.timeout(60)


def test_group_messages_cross_both_ways(project: Project) -> None:
    server = project.daphne("app.asgi:application")
    project.worker()
    with socket(server, "/inprocess/") as inside, socket(server, "/mixed/") as outside:
        # From the Channels 4 consumer to its group: both members hear it, and the worker that
        # it wrote to on a custom channel answers to the same group.
        inside.send("hello")
        assert {inside.recv(timeout=10), inside.recv(timeout=10)} == {"hello", "worker heard hello"}
        assert {outside.recv(timeout=10), outside.recv(timeout=10)} == {
            "hello",
            "worker heard hello",
        }
        # From a worker's consumer to the group: both members again.
        outside.send("hi")
        assert inside.recv(timeout=10) == "worker heard hi"
        assert outside.recv(timeout=10) == "worker heard hi"


def test_echo_on_uvicorn(project: Project) -> None:
    server = project.uvicorn()
    project.worker()
    with socket(server, "/echo/") as client:
        for number in range(50):
            client.send(f"message {number}")
        assert [client.recv(timeout=10) for _ in range(50)] == [f"message {n}" for n in range(50)]
