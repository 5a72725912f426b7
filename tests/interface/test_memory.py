import pytest

from djchan.interface import memory
from djchan.interface.application import Interface
from djchan.interface.memory import Growth, resident
from tests.interface.fakes import FakeLayer

MIB = 1024 * 1024


def test_growth_by_the_step_counts_from_the_least_that_was_seen():
    growth = Growth(64 * MIB)

    assert not growth.has_grown(100 * MIB)
    assert not growth.has_grown(163 * MIB)
    assert growth.has_grown(164 * MIB)
    assert not growth.has_grown(80 * MIB)
    assert growth.has_grown(144 * MIB)


def test_after_a_collection_growth_counts_from_there():
    growth = Growth(64 * MIB)
    growth.has_grown(100 * MIB)
    growth.collected(150 * MIB)

    assert not growth.has_grown(213 * MIB)
    assert growth.has_grown(214 * MIB)


def test_a_large_process_collects_when_it_has_grown_by_a_quarter():
    growth = Growth(64 * MIB)
    growth.has_grown(1000 * MIB)

    assert not growth.has_grown(1249 * MIB)
    assert growth.has_grown(1250 * MIB)


def test_the_resident_memory_grows_with_what_is_held():
    before = resident()
    held = b"x" * (32 * MIB)

    assert before is not None and len(held) == 32 * MIB
    assert (resident() or 0) > before + 16 * MIB


def test_a_process_that_has_grown_collects_once(monkeypatch):
    sizes = iter([100 * MIB, 170 * MIB, 120 * MIB, 183 * MIB])
    collections = []
    monkeypatch.setattr(memory, "resident", lambda: next(sizes))
    monkeypatch.setattr(memory, "collect", lambda: collections.append(1))
    interface = Interface(FakeLayer())
    interface._growth = Growth(interface.options.collect_growth)

    for _ in range(3):
        interface._collect()

    assert len(collections) == interface.counts["memory.collected"] == 1


def test_a_process_whose_collections_were_left_alone_runs_none(monkeypatch):
    monkeypatch.setattr(memory, "collect", lambda: pytest.fail("collected"))
    monkeypatch.setattr(memory, "resident", lambda: 10**12)

    Interface(FakeLayer())._collect()
