"""JSON as RFC 8259 has it, without the NaN and Infinity that Python reads and writes."""

import json
import math
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import LazyObject

from djchan.lazy import resolved


class Encoder(DjangoJSONEncoder):
    """Dates, times, durations, UUID, Decimal and translations as text; what a LazyObject is."""

    def default(self, o: Any) -> object:
        return resolved(o) if issubclass(type(o), LazyObject) else super().default(o)


def loads(text: str) -> Any:
    """The value of ``text``. Raises json.JSONDecodeError for what is no JSON, and for a number
    that Python cannot hold; RecursionError for what is nested too deeply."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # One of our two, or an integer of thousands of digits.
        raise json.JSONDecodeError(str(error).partition(";")[0], "", 0) from error


def dumps(value: Any) -> str:
    """``value`` as JSON, with the types that Django's own encoder knows, and lazy values.

    Raises ValueError for NaN and Infinity, TypeError for an unknown type.
    """
    try:
        return _ENCODER.encode(value)
    except ValueError as error:
        raise ValueError(
            f"This value cannot be JSON: {error}. JSON has neither NaN nor Infinity; None is null."
        ) from error


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not in JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float)
_ENCODER = Encoder(allow_nan=False)
