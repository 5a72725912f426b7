"""A context manager as a decorator: of a test, a coroutine, and a class of tests."""

import asyncio
import unittest

import pytest

from djchan.test.contexts import TestContext


class Noted(TestContext):
    def __init__(self) -> None:
        self.depth = 0

    def enter(self) -> None:
        self.depth += 1

    def exit(self, *exc: object) -> None:
        self.depth -= 1


@pytest.fixture
def noted() -> Noted:
    return Noted()


def test_a_function(noted):
    @noted
    def test(number: int) -> int:
        """Said."""
        return number + noted.depth

    assert test(number=4) == 5
    assert (test.__name__, test.__doc__, noted.depth) == ("test", "Said.", 0)


def test_a_coroutine_runs_within(noted):
    @noted
    async def test() -> int:
        await asyncio.sleep(0)
        return noted.depth

    assert asyncio.run(test()) == 1
    assert noted.depth == 0


def test_it_may_be_entered_again(noted):
    @noted
    def test() -> int:
        with noted:
            return noted.depth

    assert test() == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_class_of_tests_whatever_becomes_of_them(noted, fails):
    found = []

    @noted
    class Case(unittest.TestCase):
        def setUp(self) -> None:
            if fails:
                raise RuntimeError

        def runTest(self) -> None:
            found.append(noted.depth)

    result = unittest.TestResult()
    Case().run(result)
    assert (found, len(result.errors)) == (([], 1) if fails else ([1], 0))
    assert noted.depth == 0
