"""Autobahn's test suite for WebSocket servers, through an echo consumer over workers.

::

    python -m benchmarks.autobahn                        # every server, cases 1-7 and 10
    python -m benchmarks.autobahn --servers uvicorn --cases "6.*"
    python -m benchmarks.autobahn --venv ~/.cache/djchan-wstest --python2 /usr/bin/python2.7

The suite (``wstest``) exists for Python 2.7 only: it gets a virtual environment of its own in
``--venv``, made once, outside this repository. Each server gets a private Redis, its own
processes and one worker; ``…-alone`` is the server with an application that echoes by itself.
Prints a table, keeps every case in ``results/``, and fails if a case fails over djchan that
does not fail on the same server alone. Bounded: at most ten minutes for the installation, five
for each server.
"""

import argparse
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import djchan
from benchmarks.compare import APPS, RESULTS, names
from tests.support.processes import ROOT, Processes
from tests.support.servers import Server, any_kind

SUITE = "autobahntestsuite==0.8.2"
VIRTUALENV = "virtualenv<20.16"  # The last ones that run under, and make, Python 2.7.
INSTALL = 300  # s, each of the two steps.
RUN = 300  # s, one server.

SECTIONS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "close handling",
    "10": "automatic fragmentation",
}
CASES = [f"{section}.*" for section in SECTIONS]
# What the suite calls right: by the letter of RFC 6455, allowed by it, or only looked at.
RIGHT = ("OK", "NON-STRICT", "INFORMATIONAL")

DAPHNE = ("daphne", "autobahn", "twisted")
# Name -> (packages whose versions count, arguments of the server, through workers).
SERVERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    "daphne": (DAPHNE, (), True),
    "uvicorn": (("uvicorn", "websockets"), ("--ws", "auto"), True),
    "websockets": (("uvicorn", "websockets"), ("--ws", "websockets"), True),
    "wsproto": (("uvicorn", "wsproto"), ("--ws", "wsproto"), True),
    "daphne-alone": (DAPHNE, (), False),
    "uvicorn-alone": (("uvicorn", "websockets"), ("--ws", "auto"), False),
}


def install(venv: Path, python2: str) -> Path:
    """``wstest``, in a virtual environment at ``venv`` that is made if it is not there."""
    wstest = venv / "bin" / "wstest"
    if wstest.exists():
        return wstest
    print(f"Installing {SUITE} into {venv}, once ...", flush=True)
    maker = venv.with_name(venv.name + "-maker")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([python2, *pip, "--target", str(maker), VIRTUALENV], INSTALL)
    run([python2, "-m", "virtualenv", "--quiet", str(venv)], INSTALL, PYTHONPATH=str(maker))
    run([str(venv / "bin" / "pip"), *pip[2:], SUITE], INSTALL)
    return wstest


def run(argv: list[str], timeout: float, **env: str) -> str:
    """Run ``argv`` to its end; what it printed. Raises RuntimeError with it, if it failed."""
    done = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in env.items()), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def find_python2() -> str:
    """A Python 2.7: on the path, or one of pyenv's."""
    found = shutil.which("python2.7")
    # One of pyenv's shims is on the path whether or not its Python is switched on.
    if found and not subprocess.run([found, "-c", ""], capture_output=True).returncode:
        return found
    if shutil.which("pyenv"):
        listed = subprocess.run(["pyenv", "root"], capture_output=True, text=True, timeout=10)
        versions = Path(listed.stdout.strip()) / "versions"
        for folder in sorted(versions.glob("2.7*"), reverse=True):
            if (folder / "bin" / "python2.7").exists():
                return str(folder / "bin" / "python2.7")
    sys.exit("No Python 2.7 here, which wstest needs: pyenv install 2.7.18, or --python2 PATH.")


def start(name: str, processes: Processes) -> int:
    """The server called ``name``, and a worker where it needs one; its port."""
    packages, arguments, workers = SERVERS[name]
    serve = processes.daphne if packages is DAPHNE else processes.uvicorn
    quiet = ("-v", "0") if packages is DAPHNE else ("--log-level", "warning")
    if not workers:
        return serve("app.asgi:application", *quiet, *arguments, cwd=APPS / "alone").port
    cwd = APPS / "djchan"
    worker = processes.runworker(cwd=cwd)
    server = serve("app.asgi:channel_layer", *quiet, *arguments, cwd=cwd)
    worker.wait_printed(r"djchan worker \S+ is ready")
    return server.port


def run_server(name: str, cases: list[str], wstest: Path, folder: Path) -> dict[str, Any]:
    """Case -> what the suite says of it."""
    folder.mkdir(parents=True)
    server = Server(any_kind())
    processes = Processes(folder)
    try:
        server.start()
        processes.env = {"REDIS_URL": server.url, "DJANGO_SETTINGS_MODULE": "app.settings"}
        port = start(name, processes)
        spec = {
            "outdir": str(folder / "report"),
            "servers": [{"agent": name, "url": f"ws://127.0.0.1:{port}/any/"}],
            "cases": cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        run([str(wstest), "-m", "fuzzingclient", "-s", str(folder / "spec.json")], RUN)
        for process in processes.started:
            if not process.running():
                raise RuntimeError(f"{process.name} ended:\n{process.output()[-3000:]}")
    finally:
        for process in processes.started:
            process.clean_up()
        server.remove()
    report: dict[str, Any] = json.loads((folder / "report" / "index.json").read_text())
    return {
        case: {key: found[key] for key in ("behavior", "behaviorClose", "remoteCloseCode")}
        for case, found in report[name].items()
    }


def verdict(found: dict[str, Any]) -> str:
    """The worse of what is said of a case and of how it was closed."""
    for said in (found["behavior"], found["behaviorClose"]):
        if said not in RIGHT:
            return str(said)
    return str(found["behavior"])


def brief(found: dict[str, Any]) -> str:
    """For the record: the case, its closing, and the close code."""
    return "{behavior}, {behaviorClose}, {remoteCloseCode}".format(**found)


def ours(name: str, results: dict[str, dict[str, Any]]) -> list[str]:
    """The cases of a server over djchan that are wrong, and right on the server alone."""
    if not SERVERS[name][2]:
        return []
    alone = results.get(f"{name}-alone", {})
    return [
        f"{name} {case}"
        for case, found in results[name].items()
        if verdict(found) not in RIGHT and (case not in alone or verdict(alone[case]) in RIGHT)
    ]


def order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: sections down, servers across; below, each case that is not plainly right."""
    lines = [
        "| cases | " + " | ".join(results) + " |",
        "| --- |" + " --- |" * len(results),
    ]
    for section, what in SECTIONS.items():
        cells = []
        for cases in results.values():
            count = Counter(
                verdict(found).lower()
                for case, found in cases.items()
                if case.split(".")[0] == section
            )
            cells.append(", ".join(f"{number} {word}" for word, number in sorted(count.items())))
        if any(cells):
            lines.append(f"| {section} {what} | " + " | ".join(cells) + " |")
    lines += ["", "| server | what | cases |", "| --- | --- | --- |"]
    for name, cases in results.items():
        words: dict[str, list[str]] = {}
        for case in sorted(cases, key=order):
            if (word := verdict(cases[case])) != "OK":
                words.setdefault(word.lower(), []).append(case)
        lines += [f"| {name} | {word} | {', '.join(which)} |" for word, which in words.items()]
    return "\n".join(lines)


def facts(results: dict[str, Any]) -> dict[str, Any]:
    """What was tested, and with what."""
    packages = {package for name in results for package in SERVERS[name][0]}
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "suite": SUITE,
        "djchan": djchan.__version__,
        "packages": {package: version(package) for package in sorted(packages)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autobahn")
    parser.add_argument("--servers", type=names(SERVERS), default=list(SERVERS))
    parser.add_argument("--cases", type=lambda text: text.split(","), default=CASES)
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "djchan-wstest")
    parser.add_argument("--python2")
    options = parser.parse_args()
    wstest = install(options.venv.expanduser().absolute(), options.python2 or find_python2())
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="djchan-autobahn-") as folder:
        for name in options.servers:
            if name == "wsproto" and importlib.util.find_spec("wsproto") is None:
                print("wsproto is not installed: left out", flush=True)
                continue
            begun = time.monotonic()
            results[name] = run_server(name, options.cases, wstest, Path(folder) / name)
            took = time.monotonic() - begun
            print(f"{name}: {len(results[name])} cases in {took:.0f} s", flush=True)
    print(f"\n{table(results)}\n")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"autobahn-{time.strftime('%Y%m%d-%H%M%S')}.json"
    said = {name: {case: brief(found) for case, found in results[name].items()} for name in results}
    file.write_text(json.dumps({**facts(results), "results": said}, indent=1) + "\n")
    print(f"Kept in {file.relative_to(ROOT)}")
    if wrong := [item for name in results for item in ours(name, results)]:
        sys.exit(f"{len(wrong)} cases are not right: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
