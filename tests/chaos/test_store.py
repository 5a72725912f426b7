"""What the harness knows of failovers that it did not ask for."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.faults import DEMOTION, UNNOTICED, Faults
from tests.chaos.store import SentinelStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SentinelStore]:
    store = SentinelStore(0, tmp_path)
    yield store
    for node in store.nodes:
        node.remove()


def promoted(store: SentinelStore, name: str, *ago: float) -> None:
    """Write the log of a sentinel that promoted a replica so many seconds ago."""
    lines = ["1:X 21 Nov 2026 11:25:58.412 # +monitor master chaosmaster 127.0.0.1 1 quorum 2"]
    for seconds in ago:
        at = datetime.fromtimestamp(time.time() - seconds)
        stamp = f"{at:%d %b %Y %H:%M:%S}.{at.microsecond // 1000:03d}"
        lines += [f"1:X {stamp} # +promoted-slave slave a", f"1:X {stamp} # +switch-master b"]
    (store.server.folder / f"sentinel-{name}.log").write_text("\n".join(lines) + "\n")


def test_promotions_of_all_sentinels_in_order(store: SentinelStore):
    promoted(store, "1", 20, 5)
    promoted(store, "2", 10)
    promoted(store, "3")

    ago = [time.monotonic() - at for at in store.promotions()]

    assert ago == pytest.approx([20, 10, 5], abs=1)


def test_one_that_nobody_planned_is_a_fault_with_bounds_of_its_own(store: SentinelStore):
    promoted(store, "1", 30, 10)
    fleet: Any = SimpleNamespace(store=store)
    faults = Faults(fleet)
    now = time.monotonic()
    faults.records.append({"kind": "store.failover", "at": now - 32, "until": now - 28})

    faults.note_unplanned()

    _, unplanned = faults.records
    assert unplanned["kind"] == "store.failover" and unplanned["planned"] is None
    assert now - unplanned["at"] == pytest.approx(10 + UNNOTICED, abs=1)
    assert unplanned["until"] - unplanned["at"] == pytest.approx(UNNOTICED + DEMOTION)
