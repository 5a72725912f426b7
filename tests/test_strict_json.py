"""djchan.strict_json: what a browser cannot read is neither sent nor taken."""

import json
import math

import pytest

from djchan import strict_json
from djchan.generic.websockets import JsonWebsocketConsumer, WebsocketMultiplexer

NO_NUMBERS = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(
    "encode",
    [
        JsonWebsocketConsumer.encode_json,
        WebsocketMultiplexer.encode_json,
        lambda value: WebsocketMultiplexer.encode("s", value),
    ],
    ids=["json consumer", "multiplexer", "envelope"],
)
def test_a_number_that_json_lacks_is_refused_on_the_line_that_sends_it(encode, number):
    with pytest.raises(ValueError, match="neither NaN nor Infinity"):
        encode({"x": [number]})


@pytest.mark.parametrize("text", ["NaN", '{"x": -Infinity}', "[1e999]", "9" * 5000, "{", ""])
def test_a_text_that_is_no_json_of_ours_is_a_decode_error(text):
    with pytest.raises(json.JSONDecodeError):
        strict_json.loads(text)


@pytest.mark.parametrize("value", [None, 1.5, -2e300, {"a": [1, "é", True]}, 10**300])
def test_what_is_sent_is_what_is_taken(value):
    assert strict_json.loads(strict_json.dumps(value)) == value
