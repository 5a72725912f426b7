"""djchan beside Channels 4, in one run: ``make bench``.

Each system gets a private Redis and its own processes, and every workload in turn; this is
repeated, and the medians are shown. djchan runs Daphne and one worker; Channels 4 runs its
consumers inside Daphne. Both have the same views, the same messages, and no middleware.

::

    python -m benchmarks.compare --only channels4 --workloads echo1,http --repeat 1
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, Processes
from tests.support.servers import Server, any_kind

APPS = ROOT / "benchmarks" / "apps"
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("Django", "channels", "channels_redis", "daphne", "redis", "djchan")

# Name -> (workload of benchmarks.load, path, options, what one unit is).
WORKLOADS: dict[str, tuple[str, str, list[str], str]] = {
    "echo1": ("echo", "/echo/", ["--connections", "1", "--ordered"], "msgs/s"),
    "echo100": ("echo", "/echo/", ["--connections", "100", "--ordered"], "msgs/s"),
    "pipeline": (
        "pipeline",
        "/echo/",
        ["--connections", "20", "--window", "16", "--ordered"],
        "msgs/s",
    ),
    "broadcast": ("broadcast", "/room/", ["--connections", "500"], "deliveries/s"),
    "connect": ("connect", "/echo/", ["--connections", "1000"], "accepted/s"),
    "http": ("http", "/hello/", ["--connections", "32"], "requests/s"),
}


def channels4(processes: Processes) -> int:
    """Consumers inside Daphne; its port."""
    return processes.daphne("app.asgi:application", "-v", "0", cwd=APPS / "channels4").port


def djchan(processes: Processes) -> int:
    """Daphne and one worker; Daphne's port."""
    cwd = APPS / "djchan"
    worker = processes.runworker(cwd=cwd)
    daphne = processes.daphne("app.asgi:channel_layer", "-v", "0", cwd=cwd)
    worker.wait_printed(r"djchan worker \S+ is ready")
    return daphne.port


SYSTEMS: dict[str, Callable[[Processes], int]] = {"djchan": djchan, "channels4": channels4}


def run_system(name: str, workloads: list[str], folder: Path) -> list[dict[str, Any]]:
    """Every workload once, against fresh processes; a row each."""
    folder.mkdir(parents=True)
    server = Server(any_kind())
    processes = Processes(folder)
    try:
        server.start()
        processes.env = {"REDIS_URL": server.url, "DJANGO_SETTINGS_MODULE": "app.settings"}
        port = SYSTEMS[name](processes)
        pids = {process.name: process.pid for process in processes.started}
        pids["redis"] = server.pid
        rows = []
        for workload in workloads:
            row = run_load(workload, port, pids)
            rows.append({"system": name, "workload": workload, **row})
            print(line(rows[-1]), flush=True)
        return rows
    finally:
        for process in processes.started:
            process.clean_up()
        server.remove()


def run_load(workload: str, port: int, pids: dict[str, int]) -> dict[str, Any]:
    command, path, options, _ = WORKLOADS[workload]
    scheme = "http" if command == "http" else "ws"
    argv = [sys.executable, "-m", "benchmarks.load", command]
    argv += [f"{scheme}://127.0.0.1:{port}{path}", *options]
    argv += ["--pids", ",".join(f"{name}={pid}" for name, pid in pids.items())]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=180)
    if done.returncode:
        raise RuntimeError(f"the driver failed at {workload}:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def line(row: dict[str, Any]) -> str:
    unit = WORKLOADS[row["workload"]][3]
    return (
        f"{row['system']:<10} {row['workload']:<10} {row['per_second']:>10,.0f} {unit:<13}"
        f" p50 {row.get('p50_ms', 0):>8.2f} ms  p99 {row.get('p99_ms', 0):>8.2f} ms"
        f"  errors {row['errors']}"
    )


def median(rows: list[dict[str, Any]], system: str, workload: str, field: str) -> float | None:
    values = [
        row[field]
        for row in rows
        if row["system"] == system and row["workload"] == workload and field in row
    ]
    return statistics.median(values) if values else None


def table(rows: list[dict[str, Any]]) -> str:
    """Medians side by side, as Markdown; the ratio is djchan's rate by Channels 4's."""
    lines = [
        "| workload | unit | djchan | channels4 | ratio | djchan p50 | channels4 p50 | errors |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workload in dict.fromkeys(row["workload"] for row in rows):
        ours, theirs = (median(rows, system, workload, "per_second") for system in SYSTEMS)
        cells = [workload, WORKLOADS[workload][3], number(ours, 0), number(theirs, 0)]
        cells.append(f"{ours / theirs:.2f}" if ours and theirs else "-")
        cells += [number(median(rows, system, workload, "p50_ms"), 2) for system in SYSTEMS]
        cells.append(str(sum(row["errors"] for row in rows if row["workload"] == workload)))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def machine() -> dict[str, Any]:
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def names(known: dict[str, Any]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - known.keys():
            raise argparse.ArgumentTypeError(f"{sorted(unknown)}: choose from {', '.join(known)}")
        return chosen

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare")
    parser.add_argument("--only", type=names(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--workloads", type=names(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="djchan-bench-") as folder:
        for repetition in range(options.repeat):
            for name in options.only:
                # Systems in turn: what else the machine does meanwhile hits both.
                logs = Path(folder) / f"{repetition}-{name}"
                rows += [
                    {"repetition": repetition, **row}
                    for row in run_system(name, options.workloads, logs)
                ]
    print(f"\n{table(rows)}\n")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps({**machine(), "rows": rows}, indent=1) + "\n")
    print(f"Kept in {file.relative_to(ROOT)}")
    if errors := sum(row["errors"] for row in rows):
        sys.exit(f"{errors} errors: these rates are not worth comparing.")


if __name__ == "__main__":
    main()
