"""When a test says that it is."""

from datetime import UTC, datetime, timedelta

import pytest

from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer
from djchan.test import ChaosLayer
from djchan.test.clock import Until, moment, move_clock

NOW = 1_000_000_000_000


@pytest.mark.parametrize(
    ("until", "seconds"),
    [(0, 0), (1.5, 1.5), (timedelta(minutes=1), 60), (timedelta(), 0)],
)
def test_a_time_is_from_now_of_the_clock(until: Until, seconds: float):
    assert moment(until, NOW) == NOW + seconds * 1000


def test_a_date_is_itself(settings):
    date = datetime(2030, 1, 1, tzinfo=UTC)
    assert moment(date, NOW) == date.timestamp() * 1000
    settings.TIME_ZONE = "Europe/Berlin"
    assert moment(datetime(2030, 1, 1, 1), NOW) == date.timestamp() * 1000


def test_only_a_layer_in_memory_has_a_clock_of_its_own():
    for layer in (InMemoryChannelLayer(), ChaosLayer()):
        before = layer.now()
        move_clock(layer, 3_600_000)
        assert 3_600_000 <= layer.now() - before < 3_660_000
    with pytest.raises(ValueError, match="RedisChannelLayer cannot be moved"):
        move_clock(RedisChannelLayer(), 0)
