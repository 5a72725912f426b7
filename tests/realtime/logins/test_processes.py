"""Two servers, two workers, one Redis: a login that ends closes its sockets on both in time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from realtime.logins import reasons
from tests.realtime.running import DEPLOYED, Site
from tests.realtime.visitor import Visitor

pytestmark = pytest.mark.timeout(120)

IN_TIME = 2.0  # seconds: what the page promises
LIFE = 3  # seconds that the session has left, where it is to expire


class Watched:
    """A socket of a visitor, and when and how it was closed."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.welcome = socket.recv(timeout=30)
        self.closed = threading.Event()
        self.at = 0.0
        self.code = 0

    def wait(self) -> None:
        try:
            self._socket.recv()
        except ConnectionClosed as closed:
            self.at = time.monotonic()
            self.code = closed.rcvd.code if closed.rcvd else 1006
            self.closed.set()


@contextmanager
def watched(visitor: Visitor, port: int) -> Iterator[Watched]:
    with visitor.socket("/ws/logins/", port=port) as socket:
        watching = Watched(socket)
        thread = threading.Thread(target=watching.wait)
        thread.start()
        yield watching
    thread.join()


def sign_out(ada: Visitor) -> None:
    ada.post("/people/sign-out/")


def sign_out_elsewhere(ada: Visitor) -> None:
    other = Visitor(ada.address).sign_in("ada")
    other.ask("/logins/end/elsewhere/")


def change_password(ada: Visitor) -> None:
    ada.ask("/logins/end/password/")


def deactivate(ada: Visitor) -> None:
    ada.ask("/logins/end/account/")


def expire(ada: Visitor) -> None:
    ada.ask("/logins/end/time/", seconds=LIFE)


# Each with the code that its sockets get, and the seconds that it leaves the session.
WAYS = [
    (sign_out, reasons.LOGGED_OUT, 0),
    (sign_out_elsewhere, reasons.LOGGED_OUT, 0),
    (change_password, reasons.PASSWORD_CHANGED, 0),
    (deactivate, reasons.DEACTIVATED, 0),
    (expire, reasons.EXPIRED, LIFE),
]


@DEPLOYED
def test_its_sockets_close_in_time_on_both_servers(running: Site) -> None:
    second = running.processes.daphne("realtime.asgi:channel_layer")
    ports = (running.port, second.port)
    bob = Visitor(running.address).sign_in("bob")
    with ExitStack() as stack:
        his = [stack.enter_context(watched(bob, port)) for port in ports]
        for end, code, after in WAYS:
            took = closed_after(end, code, after, running.address, ports)
            print(f"{end.__name__}: closed after {min(took):.3f} to {max(took):.3f} s")
            assert max(took) <= IN_TIME, (end, took)
            if after:
                assert min(took) > -after / 2, took  # Not at once, but when its time was up.
        # What ends her login leaves his sockets alone; a sign that came later says so.
        with watched(bob, second.port) as late:
            assert not any(socket.closed.is_set() for socket in [*his, late])


def closed_after(
    end: Callable[[Visitor], None], code: int, after: int, address: str, ports: tuple[int, ...]
) -> list[float]:
    """Seconds from the end of a login to that of its sockets, two on each server."""
    ada = Visitor(address).sign_in("ada")
    with ExitStack() as stack:
        hers = [stack.enter_context(watched(ada, port)) for port in ports for _ in range(2)]
        assert {socket.welcome for socket in hers} == {'{"name": "ada"}'}
        end(ada)
        since = time.monotonic() + after  # Here the response is there.
        for socket in hers:
            assert socket.closed.wait(after + 10), end
        assert {socket.code for socket in hers} == {code}, end
        return [socket.at - since for socket in hers]
