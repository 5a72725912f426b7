"""``manage.py score``."""

import pytest
from django.core.management import CommandError, call_command

from realtime.scores.models import MINUTES, Match

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("matches", "sent")]


def test_one_more(capsys):
    call_command("score", "river-rail", "home", "+1")
    assert capsys.readouterr().out == "River Town 1:0 Railway Athletic\n"


def test_it_says_when_no_page_can_hear_of_it(capsys):
    call_command("score", "river-rail", "away", "+1")
    assert "The channel layer is in memory" in capsys.readouterr().err


def test_a_demo_is_a_match_from_its_beginning_to_its_end(sent, django_capture_on_commit_callbacks):
    match = Match.objects.get(slug="castle-canal")
    match.change(home_goals=5)
    call_command("score", "castle-canal", demo=True, pause=0)
    match.refresh_from_db()
    assert match.minute == MINUTES
    assert match.revision == len(sent) == 2 + 30


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere", "home", "+1"], "no match 'nowhere'. There are: harbor-hills, river-rail"),
        (["river-rail", "home"], "by how much"),
        (["river-rail", "home", "-1"], "not below 0"),
        (["river-rail", "left", "+1"], "invalid choice"),
        (["river-rail", "home", "one"], "invalid int"),
    ],
)
def test_what_is_wrong_is_said(arguments, why):
    with pytest.raises(CommandError, match=why):
        call_command("score", *arguments)
