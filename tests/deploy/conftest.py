"""One site for all tests of a file: half a dozen processes take their time to start."""

from collections.abc import Iterator

import pytest

from tests.deploy.site import Site
from tests.support.processes import Processes
from tests.support.servers import Server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """nginx, supervisor and what it runs, and a Redis of their own."""
    processes = Processes(tmp_path_factory.mktemp("logs"))
    broker = Server("redis")
    try:
        machine = Site(processes, broker)
        try:
            broker.start()
            machine.start()
            yield machine
        finally:
            machine.stop()
            processes.clean_up()
    finally:
        broker.remove()
