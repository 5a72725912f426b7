"""Django's autoreloader, for a command that is not ``runserver``.

Django imports settings, apps and models before it runs a command, and lets ``runserver`` alone
survive an error in one of them. Other commands end. Here the process waits instead until a file
is changed: the failed one itself where it knows the file (``wait_after_errors``), and else, after
an error in the settings, the one that starts it anew.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from django.utils import autoreload

_CHANGED = 3  # The exit status of a child whose reloader saw a change.
_PAUSE = 1.0  # Seconds between two looks at the files, as in Django's StatReloader.


def run_with_reloader(serve: Callable[..., None], **options: Any) -> None:
    """Run ``serve(**options)`` in a child process, and anew whenever code changes.

    The child calls this, too, by the same command line.
    """
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        autoreload.run_with_reloader(serve, **options)
        return
    _end_at_sigterm()
    with suppress(KeyboardInterrupt):
        sys.exit(_run_children())


def wait_after_errors() -> None:
    """Let an error that ends this process wait for a changed file first; then start anew.

    For ``runworker --reload``, while Django imports apps and models. No other command changes.
    """
    if sys.argv[1:2] != ["runworker"] or "--reload" not in sys.argv:
        return
    report, before = sys.excepthook, _modified()

    def wait(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        report(kind, error, trace)
        if not isinstance(error, Exception):
            return
        _end_at_sigterm()
        with suppress(KeyboardInterrupt):
            files = _files_of(error)
            _wait_for_change(_modified(files) | before, files)
            is_child = os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"
            sys.exit(_CHANGED if is_child else _run_children())

    sys.excepthook = wait


def _run_children() -> int:
    """Start this command again and again; the exit status of a child that was to end."""
    env = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    while True:
        before = _modified()
        status = subprocess.run(
            autoreload.get_child_arguments(), env=env, close_fds=False, check=False
        ).returncode
        if status <= 0:
            return status
        if status != _CHANGED:
            sys.stderr.write(f"It ended with status {status}. ")
            _wait_for_change(before)


def _wait_for_change(before: dict[Path, float], more: Iterable[Path] = ()) -> None:
    sys.stderr.write("It starts again when a file changes.\n")
    while _modified(more) == before:
        time.sleep(_PAUSE)


def _modified(more: Iterable[Path] = ()) -> dict[Path, float]:
    """When each file that was imported here, and each of ``more``, was modified."""
    reloader = autoreload.StatReloader()
    reloader.extra_files.update(more)
    return dict(reloader.snapshot_files())


def _files_of(error: BaseException) -> set[Path]:
    """The files that its traceback names: no module came of them, so none is imported."""
    names = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        names.append(error.filename)
    return {Path(name) for name in names if Path(name).is_file()}


def _end_at_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
