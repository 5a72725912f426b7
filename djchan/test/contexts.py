"""A context manager that decorates tests, too: functions, coroutines, and classes of them."""

import functools
import unittest
from collections.abc import Callable
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction

Test = Callable[..., Any]
T = TypeVar("T", bound=Test)


class TestContext:
    """``enter`` and ``exit`` are a subclass's; it may be entered again while it is."""

    __test__ = False  # For pytest, which would collect it for its name.

    def enter(self) -> None:
        raise NotImplementedError

    def exit(self, *exc: object) -> None:
        raise NotImplementedError

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *exc: object) -> None:
        self.exit(*exc)

    def __call__(self, test: T) -> T:
        """Decorate a test, synchronous or not, or a class of tests."""
        if isinstance(test, type):
            self._decorate(test)
            return cast(T, test)
        run = self._arun(test) if iscoroutinefunction(test) else self._run(test)
        return cast(T, functools.wraps(test)(run))

    def _run(self, test: Test) -> Test:
        def run(*args: object, **kwargs: object) -> object:
            with self:
                return test(*args, **kwargs)

        return run

    def _arun(self, test: Test) -> Test:
        async def run(*args: object, **kwargs: object) -> object:
            with self:
                return await test(*args, **kwargs)

        return run

    def _decorate(self, case: type[unittest.TestCase]) -> None:
        set_up = case.setUp

        @functools.wraps(set_up)
        def within(test: unittest.TestCase) -> None:
            self.enter()
            # Not in tearDown, which is left out when the rest of setUp fails.
            test.addCleanup(self.exit)
            set_up(test)

        case.setUp = within  # type: ignore[method-assign, assignment]
