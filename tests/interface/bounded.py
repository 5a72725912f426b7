"""A client of a real Daphne protocol, and small limits to meet."""

from twisted.internet.testing import StringTransport

from djchan.interface.arrival import ArrivalLimits
from djchan.interface.bounds import Bounds
from djchan.interface.incoming import Incoming
from djchan.interface.spool import Storage

BODY = 1000
SECONDS, RATE = 0.2, 100  # Of a body, which has a second for so many bytes.
OUTGOING = 5000
INCOMING = 50_000


def bounds_of(journal, **options):
    room = Storage(memory=10 * BODY, disk=10 * BODY)
    return Bounds(
        outgoing=OUTGOING,
        incoming=Incoming(INCOMING),
        body=BODY,
        inline=BODY // 2,
        header_timeout=SECONDS,
        arrival=ArrivalLimits(SECONDS, RATE),
        storage=room,
        journal=journal,
        **options,
    )


class Request:
    """A client of HTTP on one connection."""

    def __init__(self, server):
        self.transport = StringTransport()
        self.channel = server.http_factory.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def post(self, *lines, body=b"", method="POST"):
        head = "\r\n".join([f"{method} / HTTP/1.1", "Host: h", *lines, "", ""])
        self.channel.dataReceived(head.encode() + body)

    @property
    def answer(self):
        return self.transport.value()
