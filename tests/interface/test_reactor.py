"""What is asked of Twisted's reactor; its behavior in a real server is in test_servers.py."""

import asyncio
import time
import types

import daphne.server  # First: it installs the reactor that the others find.
import pytest
from daphne.http_protocol import HTTPFactory
from twisted.internet import reactor
from twisted.internet.main import CONNECTION_DONE
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

from djchan.interface.reactor import _flush, listening_ports


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


class Writer:
    """A connection with something to write."""

    def __init__(self, factory):
        self.protocol = types.SimpleNamespace(factory=factory)


@pytest.mark.asyncio
@pytest.mark.parametrize("taken", [True, False])
async def test_clients_may_take_the_ends_of_their_responses(server, monkeypatch, caplog, taken):
    server.http_factory, server.ws_factory = object(), object()
    writers = [Writer(server.http_factory), Writer(server.ws_factory), object()]
    monkeypatch.setattr(reactor, "getWriters", lambda: writers)
    flushing = asyncio.ensure_future(_flush(server, time.monotonic() + (60 if taken else 0.1)))
    await asyncio.sleep(0.05)
    assert not flushing.done()
    if taken:
        del writers[0]
    await asyncio.wait_for(flushing, 5)
    assert ("1 responses are cut" in caplog.text) is not taken
