"""Threads of djchan's own, in a process that may not have one more."""

import threading
from collections.abc import Callable

from djchan.exceptions import BrokerError, BrokerUnavailable


def start(thread: threading.Thread) -> None:
    """Start ``thread``. Raises BrokerUnavailable, after which the caller tries again later."""
    try:
        thread.start()
    except RuntimeError as error:
        raise BrokerUnavailable(
            f"{thread.name} was not started: this process can have no more threads ({error}). "
            "Raise its limit (TasksMax in systemd, the pids limit of a container, ulimit -u in a "
            "shell), or give it fewer threads.",
            sent=False,
            transient=True,
        ) from error


def returns(ask: Callable[[], object], *, within: float) -> bool:
    """Call ``ask`` in a thread; whether it has returned ``within`` so many seconds.

    Raises the BrokerError that it raised in this time.
    """
    failed: list[BrokerError] = []

    def run() -> None:
        try:
            ask()
        except BrokerError as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="djchan-ask", daemon=True)
    start(thread)
    thread.join(within)
    if failed:
        raise failed[0]
    return not thread.is_alive()
