"""Each change is one UPDATE, and raises the revision."""

import json

import pytest

from realtime.scores.models import MINUTES, Match

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("matches")]


@pytest.fixture
def match():
    return Match.objects.create(slug="a-b", home="A", away="B")


@pytest.fixture
def at_commit(django_capture_on_commit_callbacks):
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_a_change_is_told_to_the_group_in_one_message(match, sent, at_commit):
    with at_commit():
        assert match.change(home_goals=1, minute=5)
    state = {"match": "a-b", "home_goals": 1, "away_goals": 0, "minute": 5, "revision": 1}
    ((verb, group, message, how),) = sent
    assert (verb, group, how) == ("group_send", "scores", {"on_commit": True})
    assert json.loads(message["text"]) == {"matches": [state]}


def test_it_takes_one_statement(match, sent, django_assert_num_queries):
    with django_assert_num_queries(2) as queries:  # and one to read what it is now
        match.change(home_goals=1)
    assert [query["sql"].split()[0] for query in queries] == ["UPDATE", "SELECT"]


def test_of_two_writers_who_saw_the_same_the_second_changes_nothing(match, sent):
    other = Match.objects.get(pk=match.pk)
    assert match.change(seen=0, home_goals=1)
    assert not other.change(seen=0, home_goals=1)
    assert (other.home_goals, other.revision) == (1, 1), "it sees what is there now"
    assert len(sent) == 1


def test_without_a_revision_both_count(match, sent):
    other = Match.objects.get(pk=match.pk)
    assert match.change(home_goals=1) and other.change(home_goals=1)
    assert (other.home_goals, other.revision) == (2, 2)


@pytest.mark.parametrize("by", [{"home_goals": -1}, {"away_goals": -1}, {"minute": MINUTES + 1}])
def test_what_cannot_be_is_not(match, sent, by):
    assert not match.change(**by)
    assert (match.revision, sent) == (0, [])


def test_a_new_beginning_has_a_higher_revision(match, sent):
    match.change(home_goals=3, minute=MINUTES)
    assert match.begin()
    assert match.as_state() == {
        **{"match": "a-b", "home_goals": 0, "away_goals": 0, "minute": 0},
        "revision": 2,
    }


def test_three_matches_are_there_from_the_start():
    assert Match.objects.count() == 3
