"""The short campaign: every kind of fault, and no promise broken.

DJCHAN_CHAOS_SEED=N plays another schedule; the long one is `python -m benchmarks.soak`.
"""

import json
import os

import pytest

from tests.chaos.run import SEED, play
from tests.chaos.schedule import SHORT
from tests.chaos.timeline import Bounds
from tests.support.servers import find

# Beside other tests, on a machine that others use, seconds say little: nothing may be lost for
# ever here. The bounds that are promised are those of the long campaign, and of processes/.
PATIENT = Bounds(usual=8, kill=8, silence=10, term=6, interface=10, store=10)


# It takes 40 s; one that fails waits longer for what does not come.
@pytest.mark.timeout(150)
def test_nothing_is_lost_doubled_or_reordered() -> None:
    find("redis")
    verdict = play(SHORT, int(os.environ.get("DJCHAN_CHAOS_SEED", SEED)), bounds=PATIENT)
    print(json.dumps(verdict, indent=1))
    counts = verdict["counts"]
    # It has failed to try, if these are not there.
    assert counts["messages"] > 500 and counts["jobs"] > 50 and counts["requests"] > 30
    assert counts["redelivered"] > 0
    for kind, count in SHORT.counts.items():
        assert counts[kind] == count, kind
    assert verdict["ok"], "\n".join(verdict["violations"])
