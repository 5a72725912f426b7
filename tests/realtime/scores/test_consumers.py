"""What readers are told, and that they cannot write."""

import json

import pytest

from realtime.scores.models import Match
from tests.realtime.site import SOCKET, lines, socket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("matches")]

PATH = "/ws/scores/"


def test_a_reader_joins_before_it_is_told(sent):
    socket("connect", PATH)
    assert [call[:3] for call in sent] == [
        ("send", SOCKET, {"accept": True}),
        ("add", "scores", SOCKET),
    ]
    sent.clear()
    socket("receive", PATH, text="state")
    assert [call[:2] for call in sent] == [("send", SOCKET)]
    assert lines(sent) == [{"matches": [match.as_state() for match in Match.objects.all()]}]


@pytest.mark.parametrize(
    "frame", [{"text": json.dumps({"match": "river-rail", "home_goals": 9})}, {"bytes": b"\0"}]
)
def test_whatever_a_reader_says_changes_nothing(sent, frame):
    before = list(Match.objects.values())
    socket("receive", PATH, **frame)
    assert list(Match.objects.values()) == before
    assert [call[:2] for call in sent] == [("send", SOCKET)]


def test_a_reader_that_left_is_no_member(sent):
    socket("disconnect", PATH, code=1001)
    assert [call[:3] for call in sent] == [("discard", "scores", SOCKET)]
