"""Types of the commands' arguments, for argparse, whose error says what was expected."""

import math
from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    """A whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ArgumentTypeError(f"must be a whole number above 0, not {text!r:.80}")
    return value


def positive_seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"must be a number of seconds above 0, not {text!r:.80}")
    return value
