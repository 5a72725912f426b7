"""Five old projects go through the command, and through the hands of a person.

``projects/NAME/`` is a project as it was written in 2016 to 2018, after pyupgrade and
django-upgrade. ``projects/NAME.txt`` has every line that the command prints for a person, by a
word of its sentence, and what the person makes of that line: indented, "-" for none; nothing
where it stays. No other line is touched, so what the command does not print stays undone.
"""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from djchan.upgrade import __main__ as command
from djchan.upgrade.requirements import required
from tests.support.waiting import missing

pytestmark = pytest.mark.full

PROJECTS = Path(__file__).parent / "projects"
NAMES = sorted(path.name for path in PROJECTS.iterdir() if path.is_dir())

# What is installed together, by project.
INSTALLED = {
    "auctions": ["pyproject.toml"],
    "django-scorekeeper": ["setup.py"],
    "fleetmap": ["Pipfile"],
    "liveboard": ["requirements.txt"],
    "roomchat": [
        "requirements/base.txt",
        "requirements/constraints.txt",
        "requirements/local.txt",
        "requirements/production.txt",
    ],
}


class Decision(NamedTuple):
    """A line that was printed for a person; ``lines``: what takes its place, None: it stays."""

    path: str
    line: int
    about: str
    lines: list[str] | None


def decisions(name: str) -> list[Decision]:
    found: list[Decision] = []
    for line in (PROJECTS / f"{name}.txt").read_text().splitlines():
        if not line.startswith("    "):
            place, _, about = line.partition(" ")
            path, _, number = place.rpartition(":")
            found.append(Decision(path, int(number), about, None))
            continue
        last = found[-1]
        new = [] if line == "    -" else [*(last.lines or []), line.removeprefix("    ")]
        found[-1] = last._replace(lines=new)
    return found


class Upgraded(NamedTuple):
    folder: Path
    printed: list[str]


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Upgraded]:
    """Each project after the command, with the decisions that it printed, and after a person."""
    return dict(_upgraded(tmp_path_factory.mktemp("projects")))


def _upgraded(root: Path) -> Iterator[tuple[str, Upgraded]]:
    for name in NAMES:
        folder = root / name
        shutil.copytree(PROJECTS / name, folder)
        output = io.StringIO()
        with redirect_stdout(output):
            assert command.main([str(folder)]) == 0
        _, _, printed = output.getvalue().partition("What a person must decide:\n\n")
        # From the last line on, so that the numbers of those above stay right.
        for decision in sorted(decisions(name), key=lambda one: -one.line):
            if decision.lines is not None:
                path = folder / decision.path
                lines = path.read_text().splitlines()
                lines[decision.line - 1 : decision.line] = decision.lines
                path.write_text("\n".join(lines) + "\n")
        yield name, Upgraded(folder, printed.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_left_to_a_person_is_printed(name: str, upgraded: dict[str, Upgraded]):
    expected = decisions(name)

    printed = upgraded[name].printed

    assert len(printed) == len(expected), "\n".join(printed)
    for decision in expected:
        place = f"{decision.path}:{decision.line}: "
        assert any(line.startswith(place) and decision.about in line for line in printed), decision


@pytest.mark.timeout(60)  # Five projects with their databases, on a machine that is busy.
def test_their_tests_run(upgraded: dict[str, Upgraded]):
    folders = [str(upgraded[name].folder) for name in NAMES]

    environment = {**os.environ}
    environment.pop("DJANGO_SETTINGS_MODULE", None)  # Of djchan's own tests.

    done = subprocess.run(
        [sys.executable, "-c", RUN, *folders],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("\nOK\n") == len(NAMES), done.stderr


# All in one interpreter that has Django loaded, a fork for each project.
RUN = """
import os, runpy, sys
import django.core.management, django.db.models, django.test, djchan.test

for folder in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        sys.path[0] = folder
        script = "manage.py" if os.path.exists("manage.py") else "runtests.py"
        sys.argv = [script, "test"]
        runpy.run_path(script, run_name="__main__")
        sys.exit()
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{folder}: {os.waitstatus_to_exitcode(status)}")
"""


def requirements(folder: Path, paths: list[str]) -> list[str]:
    """What the files of a project require, and what djchan does in place of djchan itself."""
    found = [one.requirement for path in paths for one in required(path, _text(folder / path))]
    lines = []
    for one in found:
        name = canonicalize_name(one.name)
        if name == "djchan":
            lines += list(_of_djchan(one.extras))
        elif name != "python":
            lines.append(str(one))
    return lines


def _text(path: Path) -> str:
    return path.read_text()


def _of_djchan(extras: set[str]) -> Iterator[str]:
    for line in metadata.requires("djchan") or ():
        requirement = Requirement(line)
        marker, requirement.marker = requirement.marker, None
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield str(requirement)


def pip(lines: list[str]) -> "subprocess.Popen[str]":
    """Resolves, and installs nothing."""
    how = ["--dry-run", "--ignore-installed", "--quiet", "--no-input", "--retries=2"]
    return subprocess.Popen(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *how, *lines],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _is_offline(code: int, error: str) -> bool:
    return bool(code) and "connection broken by" in error and "ResolutionImpossible" not in error


@pytest.mark.timeout(180)
def test_pip_resolves_what_they_require(upgraded: dict[str, Upgraded]):
    runs = {"before": pip(["asgi_redis==1.4.3", *_of_djchan(set())])}
    for name, paths in INSTALLED.items():
        lines = requirements(upgraded[name].folder, paths)
        assert any(line.startswith("daphne") for line in lines)
        runs[name] = pip(lines)

    errors = {name: run.communicate()[1] for name, run in runs.items()}

    if any(_is_offline(run.returncode, errors[name]) for name, run in runs.items()):
        missing("A package index", "connect it to the internet, or name an index to pip")
    assert "ResolutionImpossible" in errors.pop("before")
    assert {name: runs[name].returncode for name in errors} == dict.fromkeys(errors, 0), errors
