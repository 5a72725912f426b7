"""Which layers in memory are one, as the stores that they stand in for are."""

import gc
from typing import Any

import pytest

from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer
from djchan.stand_ins import MemoryStandIn, StandIns


def of(stand_ins: StandIns, **config: Any) -> MemoryStandIn:
    entry = {"BACKEND": "djchan.layers.redis.RedisChannelLayer", "CONFIG": config}
    return stand_ins.of(entry, RedisChannelLayer(**config))


def test_wrappers_of_one_store_have_one_layer():
    stand_ins = StandIns()
    first, second = of(stand_ins, capacity=7), of(stand_ins, capacity=7)
    first.get().send("jobs", {})
    assert second.get().waiting() == {"jobs": 1}
    assert first.get() is second.get()
    assert first.get().capacity == 7


@pytest.mark.parametrize("config", [{}, {"prefix": "other"}, {"capacity": 7, "expiry": 1}])
def test_those_of_another_have_another(config):
    stand_ins = StandIns()
    first = of(stand_ins, capacity=7)
    assert of(stand_ins, **config).get() is not first.get()


def test_layers_in_memory_are_one_each_as_in_production():
    stand_ins, layers = StandIns(), [InMemoryChannelLayer(), InMemoryChannelLayer()]
    entry = {"BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer"}
    assert [stand_ins.of(entry, layer).get() for layer in layers] == layers


def test_what_nobody_has_any_more_is_forgotten():
    stand_ins = StandIns()
    of(stand_ins, capacity=7).get().send("jobs", {})
    gc.collect()
    assert of(stand_ins, capacity=7).get().waiting() == {}
