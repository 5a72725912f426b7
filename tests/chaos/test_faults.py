"""What a campaign records of the faults that it makes."""

from types import SimpleNamespace

import pytest

from tests.chaos import faults
from tests.chaos.schedule import Fault


@pytest.mark.asyncio
async def test_a_fault_that_found_no_process_is_told_and_explains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faults, "FREE", 0.0)
    played = faults.Faults(SimpleNamespace(workers=[], interfaces=[]))  # type: ignore[arg-type]

    told = await played.play([Fault(0.0, "worker.stop", 0, 1.0)], 0.0)

    assert "worker.stop at 0.0 could not be made" in told[0]
    assert played.records == []
