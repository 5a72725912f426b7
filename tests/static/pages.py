"""Pages, djchan's static files, and sockets that a test holds the other end of, on one port."""

import mimetypes
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

import djchan

STATIC = Path(djchan.__file__).parent / "static"
PATIENCE = 10.0  # s

# As strict as a page can be that has a script and a socket at all.
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-n0nce'; connect-src 'self'; "
    "base-uri 'none'; require-trusted-types-for 'script'"
)

# What the tests' own scripts use. ``until`` looks again and again, without eval.
TOOLS = """
window.until = (met) => new Promise((settled, failed) => {
  const deadline = Date.now() + 10000;
  (function look() {
    if (met()) settled();
    else if (Date.now() > deadline) failed(new Error(`not within 10 s: ${met}`));
    else setTimeout(look, 2);
  })();
});
window.heard = [];
window.said = [];
console.log = (line) => said.push(line);
console.warn = (line) => said.push(`warning: ${line}`);
window.watch = (socket) => {
  socket.addEventListener("open", () => heard.push("open"));
  socket.addEventListener("message", (event) => heard.push(`message ${event.data}`));
  socket.addEventListener("error", (event) => heard.push(`error ${event.code || ""}`.trim()));
  socket.addEventListener("close", (event) => heard.push(`close ${event.code}`));
  socket.addEventListener("drop", (event) => heard.push(`drop ${event.detail}`));
  return socket;
};
"""

PAGE = """<!doctype html><title>a page</title><link rel="icon" href="data:,">
<script src="/tools.js"></script>
{scripts}
"""

CLASSIC = PAGE.format(scripts='<script src="/static/channels/js/websocketbridge.js"></script>')


class Visit:
    """The server's end of one socket of a page."""

    def __init__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.path = connection.request.path
        self.offered = connection.request.headers.get("Sec-WebSocket-Protocol")
        self.code: int | None = None
        self._connection = connection
        self._frames: queue.Queue[str | bytes] = queue.Queue()
        self._gone = threading.Event()

    def listen(self) -> None:
        try:
            for frame in self._connection:
                self._frames.put(frame)
        except ConnectionClosed:
            pass
        self.code = self._connection.close_code
        self._gone.set()

    def frame(self) -> str | bytes:
        """The next frame of the page."""
        return self._frames.get(timeout=PATIENCE)

    def send(self, frame: str | bytes) -> None:
        self._connection.send(frame)

    def close(self, code: int) -> None:
        self._connection.close(code)

    def cut(self) -> None:
        """Without a close frame, as when the server is killed."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)

    def left(self) -> int | None:
        """The close code, when the socket has closed."""
        assert self._gone.wait(PATIENCE), "the page is still there"
        return self.code


class Pages:
    """``pages["/x/"] = html`` is a page; each socket of a page comes out of ``visit()``."""

    def __init__(self) -> None:
        self.pages = {"/": CLASSIC}
        self.away = False  # refuse new sockets
        self.hasty = False  # accept sockets, and close them at once
        self.voice = threading.Event()  # cleared: handshakes wait for an answer
        self.voice.set()
        self._visits: queue.Queue[Visit] = queue.Queue()
        self._server: Server = serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._answer,
            select_subprotocol=lambda connection, offered: offered[0] if offered else None,
            compression=None,
        )
        self.host = f"127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def visit(self) -> Visit:
        """The next socket that was opened."""
        return self._visits.get(timeout=PATIENCE)

    def open(self, page: Page, path: str = "/") -> None:
        page.goto(f"http://{self.host}{path}")

    def stop(self) -> None:
        self.voice.set()
        self._server.shutdown()
        self._thread.join(PATIENCE)

    def _serve(self, connection: ServerConnection) -> None:
        visit = Visit(connection)
        if self.hasty:
            connection.close(4003)
        else:
            self._visits.put(visit)
            visit.listen()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            self.voice.wait(PATIENCE)
            return connection.respond(503, "away\n") if self.away else None
        if request.path == "/tools.js":
            return response("text/javascript", TOOLS.encode())
        if request.path.startswith("/static/"):
            kind = mimetypes.guess_type(request.path)[0] or "text/plain"
            return response(kind, (STATIC / request.path.removeprefix("/static/")).read_bytes())
        if request.path in self.pages:
            kind = mimetypes.guess_type(request.path)[0] or "text/html"
            return response(f"{kind}; charset=utf-8", self.pages[request.path].encode())
        return connection.respond(404, "not here\n")


def response(kind: str, body: bytes) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
    )
    return Response(200, "OK", headers, body)


@pytest.fixture
def pages() -> Iterator[Pages]:
    """A server of its own for one test."""
    server = Pages()
    yield server
    server.stop()
