"""Who may write is decided here, whatever the page shows."""

import pytest

from realtime.scores.models import Match
from tests.realtime.people.test_views import sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("matches", "site", "sent")]

WRITE = "/scores/write/"


@pytest.fixture
def match(settings):
    settings.DEBUG = True  # Sign in by a click.
    return Match.objects.get(slug="river-rail")


def press(client, change="home+1", revision="0", match="river-rail"):
    return client.post(WRITE, {"match": match, "change": change, "revision": revision})


def test_the_staff_writes(client, match):
    sign_in(client, "ada")
    assert press(client).status_code == 302
    match.refresh_from_db()
    assert (match.home_goals, match.away_goals, match.revision) == (1, 0, 1)
    content = client.get("/scores/").content.decode()
    assert '<b data-field="home_goals">1</b>' in content


def test_a_state_that_is_gone_is_not_changed(client, match):
    sign_in(client, "ada")
    press(client)
    response = press(client, "away+1", revision="0")
    assert response.status_code == 409
    assert "Not changed: River Town 1:0 Railway Athletic" in response.content.decode()
    match.refresh_from_db()
    assert (match.away_goals, match.revision) == (0, 1)


@pytest.mark.parametrize("name", ["bob", None])
def test_nobody_else_does(client, match, name):
    if name:
        sign_in(client, name)
        page = client.get(WRITE)
        assert page.status_code == 403
        assert "bob is none of it" in page.content.decode()
        assert '<form class="row change"' not in page.content.decode()
    else:
        assert client.get(WRITE)["Location"] == "/people/sign-in/?next=/scores/write/"
    assert press(client).status_code == 403
    match.refresh_from_db()
    assert match.revision == 0


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"change": "home+9"}, 400),
        ({"change": ""}, 400),
        ({"revision": ""}, 400),
        ({"revision": "-1"}, 400),
        ({"revision": "9" * 30}, 400),
        ({"revision": "\u0663"}, 400),
        ({"match": "nowhere"}, 404),
        ({"match": "\0"}, 404),
        ({"change": "home-1"}, 409),
    ],
)
def test_what_no_button_sends(client, match, wrong, status):
    sign_in(client, "ada")
    assert press(client, **wrong).status_code == status
    match.refresh_from_db()
    assert match.revision == 0
