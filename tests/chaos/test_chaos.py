"""The short campaign: every kind of fault, and no promise broken.

DJCHAN_CHAOS_SEED=N plays another schedule; the long one is `python -m benchmarks.soak`.
"""

import json
import os

import pytest

from tests.chaos.run import SEED, play
from tests.chaos.schedule import SHORT
from tests.support.servers import find


# It takes 40 s; one that fails waits longer for what does not come.
@pytest.mark.timeout(100)
def test_nothing_is_lost_doubled_or_reordered() -> None:
    find("redis")
    verdict = play(SHORT, int(os.environ.get("DJCHAN_CHAOS_SEED", SEED)))
    print(json.dumps(verdict, indent=1))
    counts = verdict["counts"]
    # It has failed to try, if these are not there.
    assert counts["messages"] > 500 and counts["jobs"] > 50 and counts["requests"] > 30
    assert counts["redelivered"] > 0
    for kind, count in SHORT.counts.items():
        assert counts[kind] == count, kind
    assert verdict["ok"], "\n".join(verdict["violations"])
