"""A WebSocket from a page of another site is refused, before any consumer runs."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.processes.conftest import Project, socket

pytestmark = pytest.mark.timeout(60)


def test_only_pages_of_allowed_hosts_get_in(project: Project) -> None:
    project.env["HOSTS"] = '["127.0.0.1", ".example.org"]'
    server = project.daphne()
    worker = project.worker()
    for origin in (None, "http://127.0.0.1:8000", "https://www.example.org"):
        with socket(server, "/echo/", origin=origin) as client:
            client.send("hello")
            assert client.recv(timeout=10) == "hello"
    for origin in ("https://evil.example.com", "null"):
        with (
            pytest.raises(InvalidStatus) as refused,
            socket(server, "/echo/", origin=origin),
        ):
            pass
        assert refused.value.response.status_code == 403
    worker.wait_printed(r"'https://evil\.example\.com' was refused: add its host to ALLOWED_HOSTS")
