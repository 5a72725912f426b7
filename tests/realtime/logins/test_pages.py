"""The ways to end a login, and who may take them."""

import pytest
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.test import Client

from realtime.logins import reasons
from realtime.logins.binding import remember

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


@pytest.fixture(autouse=True)
def debug(settings):
    settings.DEBUG = True


@pytest.fixture
def ada(client, django_user_model):
    person = django_user_model.objects.create_user("ada")
    client.force_login(person)
    return person


def end(client: Client, how: str, **data: object):
    return client.post(f"/logins/end/{how}/", data)


def test_the_page_has_the_words_for_every_code(client):
    page = client.get("/logins/").content.decode()
    for code in reasons.WORDS:
        assert f'"{code}"' in page


def test_sign_out(client, ada):
    assert end(client, "here").json() == {"said": "Signed out."}
    assert not get_user(client).is_authenticated


def test_sign_out_elsewhere(client, ada):
    elsewhere = Client()
    elsewhere.force_login(ada)
    for session in (client.session, elsewhere.session):
        remember(session.session_key, ada)
    assert end(client, "elsewhere").json()["said"].startswith("1 other login ended.")
    assert get_user(client).is_authenticated
    assert not get_user(elsewhere).is_authenticated


def test_a_time(client, ada):
    assert end(client, "time", seconds=30).status_code == 200
    assert client.session.get_expiry_age() == 30


@pytest.mark.parametrize("seconds", ["", "0", "-1", "3601", "1.5", "soon"])
def test_no_time(client, ada, seconds):
    response = end(client, "time", seconds=seconds)
    assert (response.status_code, response.json()) == (400, {"error": "From 1 to 3600 seconds."})


def test_another_password_ends_the_others_alone(client, ada):
    elsewhere = Client()
    elsewhere.force_login(ada)
    assert end(client, "password").status_code == 200
    assert get_user(client).is_authenticated
    assert not get_user(elsewhere).is_authenticated


def test_no_account(client, ada):
    assert end(client, "account").status_code == 200
    assert not get_user(client).is_authenticated


@pytest.mark.parametrize("how", ["password", "account"])
def test_real_people_are_not_changed_by_a_button(client, ada, how, settings, django_user_model):
    settings.DEBUG = False
    assert end(client, how).status_code == 400
    settings.DEBUG = True
    client.force_login(django_user_model.objects.create_user("joe"))
    assert end(client, how).status_code == 400
    assert get_user(client).is_authenticated


def test_nobody_ends_nothing(client, ada):
    assert end(Client(), "elsewhere").status_code == 403
    assert Session.objects.count() == 1


def test_in_no_other_way(client, ada):
    assert end(client, "somehow").status_code == 404
    assert client.get("/logins/end/here/").status_code == 405
