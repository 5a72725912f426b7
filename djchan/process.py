"""Leave a process well: the first signal asks, the second one does not.

From ``djchan.worker``; on to whoever sends SIGTERM or SIGINT (a supervisor, a terminal)::

    RUNNING ──signal──► stop() was called: finish what runs ──signal──► gone, at once

A signal handler runs in the main thread between any two steps of it, so it takes no lock:
it calls ``stop``, which must not take one either.

A process that cannot go on as it is (threads that are stuck) begins anew, with the same id and
command line, so that whoever supervises it sees no end.

systemd is told when a process is ready (``Type=notify``), so that a restart of one worker after
the other waits for each.
"""

import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from djchan import forks
from djchan.log import escaping

logger = escaping(logging.getLogger(__name__))

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_EXIT = 3.0  # Seconds that the interpreter has for its end, at least.
READY, STOPPING = "READY=1", "STOPPING=1"


class Signals:
    """While installed, SIGTERM and SIGINT call ``stop``; a second one ends the process."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._before: dict[signal.Signals, Any] = {}
        self.arrived = 0

    def install(self) -> bool:
        """Take the signals over; False, and nothing done, outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return False
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self.handle)
        forks.give_back_in_child(self)
        return True

    def restore(self) -> None:
        """Give the signals back to who had them."""
        for number, handler in self._before.items():
            # None: it was not installed from Python, and cannot be given back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    give_back = restore

    def handle(self, number: int, frame: FrameType | None) -> None:
        """What a signal does."""
        self.arrived += 1
        if self.arrived == 1:
            self._stop()
        else:
            leave(128 + number, f"djchan: signal {number} again, leaving at once")


class DefaultSignals:
    """Gives forked children Python's handlers of SIGTERM and SIGINT, instead of a server's.

    For as long as it exists, in a process whose signals are handled by somebody else.
    """

    def __init__(self) -> None:
        forks.give_back_in_child(self)

    def give_back(self) -> None:
        """Called in a child, whose one thread is the main thread there."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


# From the fork until a child has given the handlers back: a signal that comes meanwhile must not
# be lost to the worker's.
_mask = threading.local()


def _hold_signals() -> None:
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


os.register_at_fork(
    before=_hold_signals, after_in_parent=_let_signals_in, after_in_child=_let_signals_in
)


def leave(status: int, why: str = "") -> NoReturn:
    """End the process now, whatever its threads do; ``why`` goes to stderr."""
    if why:
        # Whoever read it may be gone; that must not keep this process here.
        with contextlib.suppress(OSError):
            os.write(2, f"{why}\n".encode())
    _flush()
    _end_children()
    os._exit(status)


def leave_by(deadline: float) -> None:
    """Let the interpreter end by itself until ``deadline`` (monotonic), then end the process.

    The interpreter waits without a limit for threads of executors (``ThreadPoolExecutor``,
    ``asyncio.to_thread``) and for children of ``multiprocessing``.
    """

    def leave_then() -> None:
        time.sleep(max(deadline - time.monotonic(), _EXIT))
        names = [thread.name for thread in threading.enumerate() if not thread.daemon]
        names += [child.name for child in multiprocessing.active_children()]
        left = ", ".join(name for name in names if name != threading.main_thread().name)
        leave(1, f"djchan: consumers of this worker have left running: {left}; leaving without")

    # A process that can have no more threads ends when the interpreter does.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=leave_then, name="djchan-exit", daemon=True).start()


def _end_children() -> None:
    # Of a Pool or a ProcessPoolExecutor: nobody would ever give them work again, or wait for them.
    for child in multiprocessing.active_children():
        with contextlib.suppress(OSError):
            child.terminate()


def tell_systemd(state: str) -> None:
    """Say READY or STOPPING to the socket that NOTIFY_SOCKET names, if a supervisor set it.

    One that cannot be reached is logged: whether we serve is not for it to decide.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Of Linux's abstract names.
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outlet:
            outlet.connect(address)
            outlet.sendall(state.encode())
    except OSError as error:
        logger.warning("systemd was not told %s (NOTIFY_SOCKET): %s", state, error)


class Beginning:
    """How this process was when this was made: what it is to begin anew with.

    A consumer may change what belongs to the whole process, and exec() hands it on: the working
    directory (a relative ``manage.py`` is not there any more), the environment, the umask, timers,
    blocked signals and limits of resources.
    """

    def __init__(self) -> None:
        self.command = [sys.executable, *sys.orig_argv[1:]]
        self.environment = dict(os.environ)
        self.directory = os.getcwd()
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.limits = {kind: resource.getrlimit(kind) for kind in _LIMITS}

    def restore(self) -> None:
        """Raises OSError when the working directory is not there any more."""
        os.chdir(self.directory)
        os.umask(self.umask)
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        for kind, limits in self.limits.items():
            if resource.getrlimit(kind) != limits:
                # What was lowered for good cannot be raised again.
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(kind, limits)


_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})


def begin_anew(beginning: Beginning) -> NoReturn:
    """Run this process's command line again, in its place and as it was run first."""
    try:
        beginning.restore()
    except OSError as error:
        leave(1, f"djchan: this process cannot begin anew where it was started: {error}")
    _flush()
    _end_children()  # Last of all: a Pool has a thread that replaces them.
    try:
        os.execve(beginning.command[0], beginning.command, beginning.environment)
    except OSError as error:
        # The interpreter's own end would wait for the threads that are stuck.
        leave(1, f"djchan: {beginning.command[0]} cannot be run again: {error}")


def _flush() -> None:
    # Not logging.shutdown(): a thread that is stuck may hold a handler's lock. And a signal
    # may have come in the middle of a write, whose buffer then cannot be flushed.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        sys.stdout.flush()
        sys.stderr.flush()
