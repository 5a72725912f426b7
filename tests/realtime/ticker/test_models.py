"""A few headlines, and one beat."""

from datetime import timedelta

import pytest
from django.utils import timezone

from realtime.ticker.models import KEPT, PERIOD, Beat, Headline

pytestmark = pytest.mark.django_db


def test_a_few_headlines_are_kept():
    for number in range(KEPT + 5):
        Headline.publish(f"{number}")
    kept = list(Headline.objects.values_list("text", flat=True))
    assert kept == [str(number) for number in range(5, KEPT + 5)]


class TestBeat:
    def test_one_chain_at_a_time(self):
        turn = Beat.start()
        assert turn is not None
        assert Beat.start() is None
        assert Beat.go_on(turn) == turn + 1
        assert Beat.start() is None

    def test_a_message_that_is_run_again_goes_on(self):
        turn = Beat.start()
        assert Beat.go_on(turn) == Beat.go_on(turn) == turn + 1
        assert Beat.go_on(turn + 1) == turn + 2
        assert Beat.go_on(turn) is None, "an old one does not"

    def test_a_chain_that_stopped_is_followed_by_another_and_ends(self):
        old = Beat.start()
        Beat.stop(old)
        new = Beat.start()
        assert Beat.go_on(old) is None
        Beat.stop(old)
        assert Beat.go_on(new) == new + 1

    def test_a_chain_that_was_lost_is_followed_by_another(self):
        old = Beat.start()
        Beat.objects.update(due=timezone.now() - timedelta(seconds=PERIOD + 1))
        new = Beat.start()
        assert new is not None and new > old + 1
        assert Beat.start() is None
