"""What a consumer gets that receives on a request's body channel."""

import asyncio
import time

import pytest

from djchan.layers import codec
from djchan.layers.bodies import channel_of
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import Body, Pop, Register

PROCESS = "Interface0000000000000"
CHANNEL = channel_of(PROCESS, "c1")
CLOSED = (CHANNEL, {"content": b"", "closed": True})


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


def put(layer, order, more=True):
    message = {"content": b"%d" % order, "more_content": more, "order": order}
    layer.apply([Body(CHANNEL, codec.encode(message), 0, 60_000)])


def questions(layer):
    """The chunks that the interface was asked for."""

    async def read():
        entries = await layer.engine.inbox(PROCESS).read("0-0", trim=False)
        return [codec.decode(entry) for _, entry in entries]

    found = asyncio.run(read())
    assert {tuple(each[:2]) for each in found} <= {(codec.ASKED, "c1")}
    return [each[2] for each in found]


@pytest.fixture
def interface(layer):
    layer._perform(Register(PROCESS, "interface", b"", inbox=10_000))


def test_a_body_whose_interface_has_died_is_closed_at_once(layer):
    begun = time.monotonic()

    assert layer.receive([CHANNEL], block=True) == CLOSED
    assert time.monotonic() - begun < 2


def test_what_a_dead_interface_had_put_is_read_first(layer):
    put(layer, 0)

    assert layer.receive([CHANNEL], block=True)[1]["content"] == b"0"
    assert layer.receive([CHANNEL], block=True) == CLOSED


@pytest.mark.usefixtures("interface")
def test_each_chunk_is_asked_for_and_the_last_one_acknowledged(layer):
    assert layer.receive([CHANNEL]) == (None, None)
    for order in range(3):
        put(layer, order, more=order < 2)
        assert layer.receive([CHANNEL], block=True)[1]["order"] == order

    assert questions(layer) == [0, 1, 2, 3]


@pytest.mark.usefixtures("interface")
def test_a_chunk_of_an_earlier_run_is_left_out(layer):
    put(layer, 4)
    put(layer, 0)

    assert layer.receive([CHANNEL], block=True)[1]["order"] == 0
    assert layer._perform(Pop((CHANNEL,))) is None


@pytest.mark.usefixtures("interface")
def test_a_run_that_begins_anew_asks_for_the_first_chunk(layer):
    put(layer, 0)
    layer.receive([CHANNEL])

    layer.begin_body(CHANNEL)
    assert layer.receive([CHANNEL]) == (None, None)

    assert questions(layer) == [0, 0]


@pytest.mark.usefixtures("interface")
def test_the_async_face_reads_alike(layer):
    async def read():
        put(layer, 0, more=False)
        return await layer.areceive([CHANNEL], block=True)

    assert asyncio.run(read())[1]["content"] == b"0"
    assert questions(layer) == [0, 1]


def test_the_async_face_of_a_dead_interface(layer):
    assert asyncio.run(layer.areceive([CHANNEL], block=True)) == CLOSED
