"""Which faults happen, by seed: dice, and a record of what they did. No I/O happens here.

From ``test.chaos``, with the rates a project gave; on to ``test.tamper``, which asks for each
message. There are dice for each kind of fault and each channel, so that the fate of the
tenth message of a channel does not hang on what happens on other channels meanwhile.
"""

import random
import re
from collections import Counter, deque
from collections.abc import Mapping
from fnmatch import translate
from typing import Any, NamedTuple

from djchan import names
from djchan.exceptions import InvalidChannelLayer

KINDS = ("drop", "delay", "repeat", "reorder", "full", "unanswered")

# What is not a channel is named so in patterns: no channel has a colon in its name.
GROUP = "group:"
REPLY = "reply:"

_DICE = 1000  # Channels of a kind that have dice of their own; further ones share theirs.

Rate = float | Mapping[Any, float]


class Fault(NamedTuple):
    """One fault that was made. ``number`` counts from 1; ``on``: a channel, ``group:NAME``,
    or ``reply:``."""

    number: int
    kind: str
    on: str
    detail: str = ""


class Faults:
    """``rates``: kind to how often, from 0 to 1, or to a dict of pattern to that.

    ``keep``: how many faults ``made`` remembers; the oldest go. ``counts`` counts all.
    """

    def __init__(self, seed: int, rates: Mapping[str, Rate], *, keep: int = 1000) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.made: deque[Fault] = deque(maxlen=keep)
        self._rates = {kind: _parse(kind, rate) for kind, rate in rates.items()}
        self._dice: dict[str, dict[str, random.Random]] = {kind: {} for kind in rates}

    def strikes(self, kind: str, on: str) -> bool:
        """Whether fault ``kind`` happens now; each call throws the dice once."""
        rate = next((rate for pattern, rate in self._rates[kind] if pattern.match(on)), 0.0)
        return rate > 0 and self.draw(kind, on) < rate

    def draw(self, kind: str, on: str) -> float:
        """A number from 0 to below 1."""
        # Single-reader and process-local names are random: their kind has the dice.
        name = names.non_local(on).partition("?")[0]
        dice = self._dice[kind]
        if name not in dice:
            if len(dice) >= _DICE:
                name = ""
            # Text seeds the same dice in every process, as hash() would not.
            dice.setdefault(name, random.Random(f"{self.seed} {kind} {name}"))
        return dice[name].random()

    def note(self, kind: str, on: str, detail: str = "") -> Fault:
        """Fault ``kind`` was made."""
        self.counts[kind] += 1
        fault = Fault(self.counts.total(), kind, on, detail)
        self.made.append(fault)
        return fault


def _parse(kind: str, rate: Rate) -> list[tuple[re.Pattern[str], float]]:
    patterns = rate.items() if isinstance(rate, Mapping) else [("*", rate)]
    parsed = []
    for pattern, value in patterns:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InvalidChannelLayer(
                f"{kind} of a ChaosLayer is a number from 0 (never) to 1 (always), or a dict of "
                f"channel pattern to one, not {value!r}."
            )
        if isinstance(pattern, str):
            pattern = re.compile(translate(pattern))
        parsed.append((pattern, float(value)))
    return parsed
