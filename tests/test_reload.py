"""djchan.reload: what becomes of the process that starts a command anew."""

import subprocess
import sys

import pytest
from django.utils import autoreload

from djchan import reload


@pytest.fixture
def children(monkeypatch):
    """Sets how the next children end; what was modified before and after each; the pauses."""
    modified = []

    def end_with(*statuses, looks):
        ends, views = iter(statuses), iter(looks)
        monkeypatch.setattr(
            subprocess,
            "run",
            lambda argv, **options: subprocess.CompletedProcess(argv, next(ends)),
        )
        monkeypatch.setattr(reload, "_modified", lambda more=(): next(views))
        monkeypatch.setattr(reload.time, "sleep", modified.append)
        with pytest.raises(SystemExit) as ended:
            reload.run_with_reloader(lambda: None)
        return ended.value.code, len(modified)

    # Django looks for the script that it is to start; of a process of pytest-xdist it is "-c".
    monkeypatch.setattr(sys, "argv", [__file__, "runworker"])
    monkeypatch.delenv(autoreload.DJANGO_AUTORELOAD_ENV, raising=False)
    monkeypatch.setattr(reload.signal, "signal", lambda number, handler: None)
    return end_with


def test_a_child_that_saw_a_change_is_started_at_once(children):
    assert children(3, 3, 0, looks=[{}, {}, {}]) == (0, 0)


def test_a_child_that_failed_is_started_when_a_file_has_changed(children):
    old, new = {"models.py": 1.0}, {"models.py": 2.0}
    assert children(3, 1, 0, looks=[old, old, old, old, new, new]) == (0, 2)


def test_a_change_while_it_failed_counts(children):
    assert children(1, 0, looks=[{"models.py": 1.0}, {"models.py": 2.0}, {}]) == (0, 0)


def test_a_child_that_was_killed_is_not_started_again(children):
    assert children(-9, looks=[{}]) == (-9, 0)


def test_the_child_runs_djangos_reloader(monkeypatch):
    ran = []
    monkeypatch.setenv(autoreload.DJANGO_AUTORELOAD_ENV, "true")
    monkeypatch.setattr(
        autoreload, "run_with_reloader", lambda serve, **options: ran.append((serve, options))
    )
    reload.run_with_reloader(print, layer="default")
    assert ran == [(print, {"layer": "default"})]
