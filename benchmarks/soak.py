"""The long fault campaign: the harness of ``tests/chaos`` for many minutes, with its verdict.

    python -m benchmarks.soak --minutes 20 --seed 1 --out soak.json     in the background
    python -m benchmarks.soak --minutes 2 --sentinel 0 --break fencing  to see it fail

First one Redis behind a proxy, then (for ``--sentinel`` minutes) a master, its replica and
three sentinels. Everything is private and on loopback; Ctrl-C or SIGTERM cleans up. The same
seed gives the same schedule. ``--out`` gets both verdicts as JSON, after each of the two;
``--raw`` a folder for all that was seen (gzipped JSON). Ends with 0 if both are clean.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import django

import djchan
from tests.chaos.broken import RULES
from tests.chaos.fleet import interrupted
from tests.chaos.run import play
from tests.chaos.schedule import sentinel, soak
from tests.support.servers import find


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def about() -> dict[str, str]:
    """What this was run on."""
    redis = subprocess.run([find("redis"), "--version"], capture_output=True, text=True, check=True)
    return {
        "djchan": djchan.__version__,
        "django": django.get_version(),
        "python": platform.python_version(),
        "redis": redis.stdout.split()[2].removeprefix("v="),
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--sentinel", type=float, default=3.0, help="minutes, after the others")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a file for the verdicts")
    parser.add_argument("--raw", type=Path, help="a folder for all that was seen")
    parser.add_argument("--break", dest="broken", choices=RULES, default="")
    options = parser.parse_args()
    interrupted()
    if options.raw is not None:
        options.raw.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"about": about(), "command": sys.argv[1:]}
    parts = {"redis": options.minutes, "sentinel": options.sentinel}
    for name, minutes in parts.items():
        if not minutes:
            continue
        profile = soak(minutes) if name == "redis" else sentinel(minutes)
        say(f"{name}: {minutes:g} minutes, {sum(profile.counts.values())} faults")
        raw = options.raw and options.raw / f"{name}-{options.seed}.json.gz"
        result[name] = play(profile, options.seed, broken=options.broken, raw=raw, say=say)
        say(f"{name}: {'clean' if result[name]['ok'] else 'NOT clean'}")
        if options.out is not None:
            options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    clean = all(result[name]["ok"] for name in parts if name in result)
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
