"""What is asked of Twisted's reactor; its behavior in a real server is in test_servers.py."""

import daphne.server  # First: it installs the reactor that the others find.
import pytest
from daphne.http_protocol import HTTPFactory
from twisted.internet import reactor
from twisted.internet.main import CONNECTION_DONE
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

from djchan.interface.reactor import listening_ports


@pytest.fixture
def server():
    return daphne.server.Server(application=None, endpoints=["tcp:0"])


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "below TLS"])
def test_the_ports_of_a_server_are_found(server, wrapped):
    server.http_factory = HTTPFactory(server)
    factory = WrappingFactory(server.http_factory) if wrapped else server.http_factory
    ports = [
        reactor.listenTCP(0, it, interface="127.0.0.1") for it in (factory, HTTPFactory(server))
    ]
    try:
        assert listening_ports(server) == ports[:1], "not those of another one"
    finally:
        for port in ports:
            port.stopReading()
            port.connectionLost(Failure(CONNECTION_DONE))
