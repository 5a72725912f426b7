"""A client that keeps to no rule: bytes over TCP, and frames of any shape.

For tests of what a server makes of them. Every read has a deadline.
"""

import base64
import os
import socket
import struct
import time

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """One frame of a client (RFC 6455, section 5.2), masked with zeros."""
    return header(opcode, len(payload), fin=fin, rsv=rsv, masked=masked) + payload


def header(opcode: int, size: int, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """The beginning of a frame that has ``size`` bytes, or says so."""
    first, mask = (0x80 if fin else 0) | rsv << 4 | opcode, 0x80 if masked else 0
    zeros = b"\0\0\0\0" if masked else b""
    if size < 126:
        return struct.pack("!BB", first, mask | size) + zeros
    if size < 65536:
        return struct.pack("!BBH", first, mask | 126, size) + zeros
    return struct.pack("!BBQ", first, mask | 127, size) + zeros


def handshake(path: str = "/echo/", *lines: str, **replaced: str | None) -> bytes:
    """A WebSocket's request with more header ``lines``.

    ``replaced``: ``key=None`` leaves Sec-WebSocket-Key out, ``version="7"`` changes it.
    """
    fields: dict[str, str | None] = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    for name, value in replaced.items():
        (full,) = (field for field in fields if field.lower().endswith(name))
        fields[full] = value
    head = [f"GET {path} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*head, *lines, "", ""]).encode("latin-1")


class Raw:
    """One TCP connection to ``port`` of this machine."""

    def __init__(self, port: int, data: bytes = b"", *, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.timeout = timeout
        self.buffer = b""
        self.sent = 0
        if data:
            self.send(data)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Leave without a word: the server gets a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Send ``data``; False when the server does not take it any more."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        self.sent += len(data)
        return True

    def flood(self, data: bytes, limit: int, *, heedless: bool = False) -> int:
        """Send ``data`` again and again until the server says something (unless ``heedless``)
        or leaves, or ``limit`` bytes are out, or ``timeout`` has passed; how many were."""
        self.socket.setblocking(False)
        sent, view, end = 0, memoryview(data), time.monotonic() + self.timeout
        position = 0
        try:
            while sent < limit and time.monotonic() < end:
                try:
                    taken = self.socket.send(view[position:])
                    sent += taken
                    position = (position + taken) % len(data)
                except BlockingIOError:
                    time.sleep(0.005)
                if not heedless and self._said():
                    break
        except OSError:
            pass
        finally:
            self.socket.settimeout(self.timeout)
        return sent

    def _said(self) -> bool:
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK)) or True
        except BlockingIOError:
            return False

    def more(self) -> bool:
        """Read on; False at the end. Fails after ``timeout`` seconds of silence."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def rest(self) -> bytes:
        """All that the server says until it closes."""
        while self.more():
            pass
        return self.buffer

    def silent(self, seconds: float) -> bool:
        """Whether the server neither speaks nor closes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.buffer += self.socket.recv(65536)
            return False
        except TimeoutError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(self.timeout)

    def head(self) -> bytes:
        """The next response's status line and headers; empty when the server closes instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return b""
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def status(self) -> int:
        """The status of the next response; 0 when the connection ends without one."""
        head = self.head()
        return int(head.split()[1]) if head else 0

    def body(self) -> tuple[int, bytes]:
        """The next response: status and body, by its Content-Length, in chunks or to the end."""
        head = self.head()
        if not head:
            return 0, b""
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        if b"content-length" in fields:
            content = self._take(int(fields[b"content-length"]))
        elif b"transfer-encoding" not in fields:
            content = self.rest()
        else:
            content = b""
            while size := int(self._line(), 16):
                content += self._take(size)
                self._take(2)
            self._take(2)
        return int(head.split()[1]), content

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            assert self.more(), "the response ends before it is whole"
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            assert self.more(), "the response ends before it is whole"
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame, ``(opcode, payload)``; None when the connection has ended."""
        try:
            first, size = self._take(2)
            if size == 126:
                (size,) = struct.unpack("!H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._take(8))
            return first & 0x0F, self._take(size)
        except AssertionError:
            return None

    def code(self) -> int:
        """The code of the close frame that comes, past other frames; 1006 without one."""
        while (found := self.frame()) is not None:
            opcode, payload = found
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005
        return 1006


def opened(port: int, path: str = "/echo/", *lines: str) -> Raw:
    """A WebSocket that is open."""
    raw = Raw(port, handshake(path, *lines))
    status = raw.status()
    assert status == 101, f"the handshake got {status}"
    return raw
