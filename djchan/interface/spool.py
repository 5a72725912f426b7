"""Where a request's body waits until a worker takes it: in memory while it is short, else on disk.

``body_connection`` (on Daphne ``request_bounds``) writes what the client sends, and
``body_connection`` reads it back in chunks. All bodies of a process share one ``Storage``::

    write ──► memory ──longer than ``inline``, or no memory left──► disk ──no disk left──► NoRoom
"""

import contextlib
import io
import tempfile
from typing import BinaryIO

from djchan.interface.http import CHUNK


class NoRoom(Exception):
    """The body does not fit. ``setting``: the limit it reached, or "" when the disk failed."""

    def __init__(self, sentence: str, setting: str = "") -> None:
        super().__init__(sentence)
        self.setting = setting


class Storage:
    """The room for the bodies of all requests. ``memory``, ``disk``: bytes."""

    def __init__(self, *, memory: int, disk: int) -> None:
        self._memory_limit = memory
        self._disk_limit = disk
        self.memory = 0
        self.disk = 0

    def take_memory(self, size: int) -> bool:
        if self.memory + size > self._memory_limit:
            return False
        self.memory += size
        return True

    def take_disk(self, size: int) -> None:
        """Raises NoRoom."""
        if self.disk + size > self._disk_limit:
            raise NoRoom(
                f"the bodies of all requests would take more than {self._disk_limit} bytes of "
                "disk (http_body_disk under INTERFACE in CHANNEL_LAYERS)",
                "http_body_disk",
            )
        self.disk += size

    def give_back(self, *, memory: int = 0, disk: int = 0) -> None:
        self.memory -= memory
        self.disk -= disk


class Spool:
    """One body. ``inline``: bytes that it may have in memory. ``close`` gives its room back."""

    __slots__ = ("_disk", "_file", "_inline", "_memory", "_room", "claimed", "size")

    def __init__(self, room: Storage, *, inline: int) -> None:
        self._room = room
        self._inline = inline
        self._file: BinaryIO | None = io.BytesIO()
        self._memory = 0
        self._disk = 0
        self.size = 0
        self.claimed = False

    def claim(self) -> None:
        """From now on the caller closes it, and not the call that it came with."""
        self.claimed = True

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises NoRoom."""
        assert self._file is not None
        size = self.size + len(data)
        try:
            if not self._disk and size <= self._inline and self._room.take_memory(len(data)):
                self._memory += len(data)
            elif self._disk:
                self._room.take_disk(len(data))
                self._disk += len(data)
            else:
                self._move_to_disk(size)
            self._file.write(data)
            if self._disk:
                # A full disk is noticed here, and not when it is read or closed.
                self._file.flush()
        except OSError as error:
            raise _failed(error) from error
        self.size = size

    def _move_to_disk(self, size: int) -> None:
        """``size``: bytes that it is about to have."""
        memory = self._file
        assert isinstance(memory, io.BytesIO)
        self._room.take_disk(size)
        self._disk = size
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (It is closed by ``close``.)
        self._file.write(memory.getbuffer())
        self._room.give_back(memory=self._memory)
        self._memory = 0

    def whole(self) -> bytes:
        """All of it, for a message. Its room stays taken until ``close``. Raises NoRoom."""
        assert self._file is not None
        try:
            self._file.seek(0)
            data = self._file.read()
        except OSError as error:
            raise _failed(error) from error
        if not self._disk:
            self._file = io.BytesIO()
        return data

    def chunk(self, order: int) -> bytes:
        """The chunk with this number, of CHUNK bytes but for the last. Raises NoRoom."""
        assert self._file is not None
        try:
            self._file.seek(order * CHUNK)
            return self._file.read(CHUNK)
        except OSError as error:
            raise _failed(error) from error

    # Of a file, what Daphne and Twisted use.

    def read(self, size: int = -1) -> bytes:
        assert self._file is not None
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        assert self._file is not None
        return self._file.seek(offset, whence)

    @property
    def closed(self) -> bool:
        return self._file is None

    def __del__(self) -> None:
        self.close()  # Its call was canceled before it began, so it closes no file itself.

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            if self._disk:
                # What a full disk did not take is of no use, and cannot be written now.
                with contextlib.suppress(OSError):
                    file.close()
            self._room.give_back(memory=self._memory, disk=self._disk)


def _failed(error: OSError) -> NoRoom:
    # Not gettempdir(), which fails itself when no folder can be written to.
    where = tempfile.tempdir or "TMPDIR"
    return NoRoom(f"its body could not be kept on disk ({where}): {error}")
