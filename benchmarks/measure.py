"""Numbers: percentiles of latencies, and the CPU time that processes used meanwhile."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def milliseconds(seconds: Iterable[float]) -> dict[str, float]:
    """p50, p99 and the maximum of ``seconds``, in ms; empty for no values."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {
        name: round(ordered[min(last, int(share * len(ordered)))] * 1000, 3)
        for name, share in (("p50_ms", 0.50), ("p99_ms", 0.99), ("max_ms", 1.0))
    }


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far (10 ms resolution)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Window:
    """The measured part of a run: its length, and who used how much CPU in it."""

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids = pids
        self.began = time.perf_counter()
        self.before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        self.own = time.process_time()

    def close(self, units: int) -> dict[str, object]:
        """The window's length in s, and µs of CPU per unit (message, delivery, …) by process."""
        seconds = time.perf_counter() - self.began
        used = {name: cpu_seconds(pid) - self.before[name] for name, pid in self.pids.items()}
        used["driver"] = time.process_time() - self.own
        per_unit = {name: round(value / max(units, 1) * 1e6, 1) for name, value in used.items()}
        return {"seconds": round(seconds, 3), "cpu_us_per_unit": per_unit}
