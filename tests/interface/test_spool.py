import errno
import io
import tempfile

import pytest

from djchan.interface import spool as spools
from djchan.interface.http import CHUNK
from djchan.interface.spool import NoRoom, Spool, Storage


@pytest.fixture
def room():
    return Storage(memory=1000, disk=4 * CHUNK)


def test_a_short_body_is_in_memory_until_it_is_closed(room):
    body = Spool(room, inline=100)
    body.write(b"one")
    body.write(b"two")

    assert (room.memory, room.disk, body.size) == (6, 0, 6)
    assert body.whole() == b"onetwo"
    assert room.memory == 6, "the message with it is in memory, too"
    body.close()
    body.close()
    assert (room.memory, room.disk) == (0, 0)


def test_a_longer_one_is_on_disk_in_chunks(room):
    body = Spool(room, inline=100)
    content = bytes(range(256)) * (5 * CHUNK // 1024)  # A chunk and a quarter.
    for start in range(0, len(content), 60):
        body.write(content[start : start + 60])

    assert (room.memory, room.disk) == (0, len(content))
    assert body.chunk(1) == content[CHUNK:]
    assert body.chunk(0) == content[:CHUNK]
    assert body.chunk(2) == b""
    body.close()
    assert (room.memory, room.disk) == (0, 0)


def test_without_memory_left_a_short_body_is_on_disk(room):
    bodies = [Spool(room, inline=600) for _ in range(2)]
    for body in bodies:
        body.write(b"x" * 600)

    assert (room.memory, room.disk) == (600, 600)
    assert bodies[1].whole() == b"x" * 600
    for body in bodies:
        body.close()


def test_without_disk_left_there_is_no_room_and_the_setting_is_named(room):
    bodies = [Spool(room, inline=0) for _ in range(5)]
    for body in bodies[:4]:
        body.write(bytes(CHUNK))

    with pytest.raises(NoRoom, match=r"http_body_disk") as refused:
        bodies[4].write(b"x")
    assert str(4 * CHUNK) in str(refused.value)
    for body in bodies:
        body.close()
    assert (room.memory, room.disk) == (0, 0)


def test_a_disk_that_fails_is_no_room(room, monkeypatch):
    def fail():
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(spools.tempfile, "TemporaryFile", fail)
    body = Spool(room, inline=1)

    with pytest.raises(NoRoom, match=tempfile.gettempdir()):
        body.write(b"xx")
    body.close()
    assert (room.memory, room.disk) == (0, 0)


def test_it_is_a_file_to_daphne(room):
    body = Spool(room, inline=100)
    body.write(b"onetwo")
    body.seek(0, 0)

    assert (body.read(3), body.read()) == (b"one", b"two")
    assert not body.closed
    body.close()
    assert body.closed


def test_a_body_that_nobody_closes_gives_its_room_back(room):
    Spool(room, inline=0).write(b"x" * 10)

    assert (room.memory, room.disk) == (0, 0)


def full_disk():
    return open("/dev/full", "w+b")


@pytest.mark.parametrize("size", [2, 100, io.DEFAULT_BUFFER_SIZE + 1, 3 * CHUNK])
def test_a_full_disk_is_no_room_when_it_is_written_and_leaves_nothing(room, monkeypatch, size):
    monkeypatch.setattr(spools.tempfile, "TemporaryFile", full_disk)
    body = Spool(room, inline=1)

    with pytest.raises(NoRoom, match="No space left on device"):
        body.write(b"x" * size)
    body.close()
    assert body.closed
    assert (room.memory, room.disk) == (0, 0)


def test_a_disk_that_gets_full_between_two_parts_is_no_room(room, monkeypatch):
    monkeypatch.setattr(spools.tempfile, "TemporaryFile", full_disk)
    body = Spool(room, inline=10)
    body.write(b"x" * 10)

    with pytest.raises(NoRoom):
        body.write(b"x")
    body.close()
    assert (room.memory, room.disk) == (0, 0)


def test_without_any_folder_that_can_be_written_to_there_is_no_room(room, monkeypatch):
    def nowhere():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(spools.tempfile, "tempdir", None)
    monkeypatch.setattr(spools.tempfile, "_get_default_tempdir", nowhere)
    body = Spool(room, inline=1)

    with pytest.raises(NoRoom, match="No usable temporary directory"):
        body.write(b"xx")
    body.close()
    assert (room.memory, room.disk) == (0, 0)


def test_a_disk_that_cannot_be_read_is_no_room(room):
    body = Spool(room, inline=1)
    body.write(b"xx")
    body._file.close()  # So it fails, as a disk can.
    body._file = Unreadable()

    with pytest.raises(NoRoom):
        body.whole()
    with pytest.raises(NoRoom):
        body.chunk(0)
    body.close()
    assert (room.memory, room.disk) == (0, 0)


class Unreadable(io.BytesIO):
    def read(self, size=-1):
        raise OSError(errno.EIO, "Input/output error")
