"""Twisted's own TCP connection, with a kernel that takes as much as a test allows."""

import daphne.server  # noqa: F401, it installs the reactor that the others find.
from twisted.internet import reactor
from twisted.internet.tcp import Connection


class Kernel:
    """A socket, as far as Twisted's constructor looks at it."""

    def setblocking(self, flag):
        pass

    def fileno(self):
        return -1


class Wire(Connection):
    """A TCP connection whose kernel takes ``room`` bytes."""

    def __init__(self, room=10**9):
        super().__init__(Kernel(), None, reactor)
        self.connected = 1
        self.room = room
        self.wrote = b""

    def writeSomeData(self, data):
        taken = data[: self.room]
        self.room -= len(taken)
        self.wrote += taken
        return len(taken)

    def startWriting(self):
        pass

    def startReading(self):
        pass
