"""The ends of connections, on Twisted's own transport."""

import daphne.server  # noqa: F401 (First: it installs the reactor that the others find.)
import pytest
from twisted.internet import reactor
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

from djchan.interface.wires import Wires


class Kernel:
    """A socket that takes nothing."""

    def setblocking(self, flag):
        pass

    def fileno(self):
        return -1

    def setsockopt(self, *_):
        pass

    def close(self):
        pass

    def shutdown(self, how):
        pass


@pytest.fixture
def wires():
    return Wires()


@pytest.fixture
def transport(wires):
    protocol = Protocol()
    wires.watch(protocol)
    it = Connection(Kernel(), protocol, reactor)
    it.connected = 1
    it.startWriting = it.startReading = it.stopWriting = it.stopReading = lambda: None
    protocol.makeConnection(it)
    return it


def test_a_connection_counts_until_it_ends(wires, transport):
    assert wires.open == 1

    transport.connectionLost(Failure(ConnectionLost()))
    transport.connectionLost(Failure(ConnectionLost()))

    assert wires.open == 0


def test_what_waited_for_the_client_is_dropped_when_the_connection_ends(transport):
    transport.dataBuffer = b"x" * 1000
    transport.write(b"y" * 1000)
    assert transport._tempDataBuffer

    transport.connectionLost(Failure(ConnectionLost()))

    assert (transport.dataBuffer, transport._tempDataBuffer, transport._tempDataLen) == (b"", [], 0)


def test_its_protocol_is_told_as_ever(transport):
    told = []
    transport.protocol.connectionLost = told.append
    reason = Failure(ConnectionLost())

    transport.connectionLost(reason)

    assert told == [reason]
