"""Which channel layers this process may use: those of CONFIG, or those for tests.

``djchan.asgi`` asks for each layer that it hands out; the processes that a test starts are told
by an environment variable::

    a site                                       CONFIG
    Django's test environment is set up          memory
    pytest with djchan's plugin                  memory, from its start
    within djchan.test.use_test_config()         TEST_CONFIG
    a process that one of these has started      what DJCHAN_TEST_LAYERS says

``setup_test_environment()`` is what every test runner of Django calls, in each of its processes.
It sends no signal, but it keeps what it has replaced, and that can be seen.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final, ParamSpec, TypeVar

from djchan.exceptions import InvalidChannelLayer

VARIABLE: Final = "DJCHAN_TEST_LAYERS"

CONFIG: Final = "CONFIG"  # As configured: no test may use them, unless the variable says so.
MEMORY: Final = "memory"
TEST_CONFIG: Final = "TEST_CONFIG"
TOOLS: Final = "django.test.utils"  # The module of Django that sets up its test environment.
_CHOICES = (CONFIG, MEMORY, TEST_CONFIG)

P = ParamSpec("P")
R = TypeVar("R")


class TestMode:
    """What one process goes by. ``inherited``: the value of the variable when it started.

    ``chosen``: the layers, where that does not depend on Django's test environment; else "".
    """

    __test__ = False  # For pytest, which would collect it for its name.

    def __init__(self, inherited: str | None = None) -> None:
        self._tests = 0  # How many have begun.
        self.chosen = inherited or ""
        self._watches = False

    def layers(self) -> str:
        """CONFIG, MEMORY or TEST_CONFIG. Raises InvalidChannelLayer for another value."""
        if self.chosen:
            return self.chosen if self.chosen in _CHOICES else self._refuse()
        # Nothing of Django's test tools is imported for it: a site has not.
        tools = sys.modules.get(TOOLS)
        if tools is None or not hasattr(tools._TestState, "saved_data"):
            return CONFIG
        if not os.environ.get(VARIABLE):
            os.environ[VARIABLE] = MEMORY
        return MEMORY

    def test(self) -> int:
        """The number of the test that runs now, where that can be known.

        A layer for tests is emptied when this is another one than at its last use.
        """
        if not self._watches and (cases := sys.modules.get("django.test.testcases")) is not None:
            self._watches = True
            self._watch(cases)
        return self._tests

    def begin_test(self) -> None:
        """The next test begins: what the one before has sent is not for it."""
        self._tests += 1

    def choose(self, layers: str) -> None:
        """Use ``layers`` from now on, in the processes that this one starts too."""
        self.chosen = os.environ[VARIABLE] = layers

    @contextmanager
    def using(self, layers: str) -> Iterator[None]:
        """Within, this process uses ``layers``, and so do the processes that it starts."""
        before, inherited = self.chosen, os.environ.get(VARIABLE)
        self.choose(layers)
        try:
            yield
        finally:
            self.chosen = before
            if inherited is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = inherited

    def _refuse(self) -> str:
        raise InvalidChannelLayer(
            f"The environment variable {VARIABLE} is {self.chosen!r:.40}. It is one of "
            f"{', '.join(_CHOICES)}, or is not set."
        )

    def _watch(self, cases: ModuleType) -> None:
        """Notice the beginning of each of Django's test cases, for which there is no signal."""
        case = cases.SimpleTestCase
        setup = vars(case)["_pre_setup"]
        if isinstance(setup, classmethod):
            case._pre_setup = classmethod(self._counting(setup.__func__))
        else:
            case._pre_setup = self._counting(setup)

    def _counting(self, setup: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(setup)
        def begin(*args: P.args, **kwargs: P.kwargs) -> R:
            self.begin_test()
            return setup(*args, **kwargs)

        return begin


test_mode = TestMode(os.environ.get(VARIABLE))
