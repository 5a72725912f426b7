"""Django's autoreloader, for a command that is not ``runserver``.

Django imports settings, apps and models before it runs a command, and lets ``runserver`` alone
survive an error in one of them. Other commands end, and so does the process that starts them anew.
Here that process waits until a file is changed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        sys.exit(_run_children())


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
            sys.stderr.write(f"It ended with status {status}, and starts when a file changes.\n")
            while _modified() == before:
                time.sleep(_PAUSE)


def _modified() -> dict[Path, float]:
    """When each file that was imported here was modified."""
    return dict(autoreload.StatReloader().snapshot_files())
