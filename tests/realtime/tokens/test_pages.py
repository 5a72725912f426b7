"""One's tokens: made, listed, revoked; nobody else's."""

import pytest
from django.test import Client

from realtime.tokens import client as program
from realtime.tokens import reasons
from realtime.tokens.models import Token
from realtime.tokens.views import MOST

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site", "sent")]


@pytest.fixture
def ada(client, django_user_model):
    user = django_user_model.objects.create_user("ada")
    client.force_login(user)
    return user


def make(client: Client, name: str = "hers", life: str = "hour"):
    return client.post("/tokens/make/", {"name": name, "life": life})


def test_the_text_is_in_one_answer(client, ada):
    response = make(client)
    text = response.json()["token"]
    assert "no-store" in response["Cache-Control"]
    assert Token.of(text).user == ada
    page = client.get("/tokens/").content.decode()
    assert "hers" in page
    assert text not in page


def test_revoked_it_says_so(client, ada):
    item = make(client).json()["item"]
    assert item["refused"] == ""
    for _ in range(2):
        item = client.post(item["revoke"]).json()["item"]
        assert item["refused"] == "This token was revoked."
    assert client.post("/tokens/4711/revoke/").status_code == 404


def test_nobody_sees_or_revokes_anothers(client, ada, django_user_model):
    item = make(client).json()["item"]
    other = Client()
    assert other.post(item["revoke"]).status_code == 404
    other.force_login(django_user_model.objects.create_user("eve"))
    assert other.post(item["revoke"]).status_code == 404
    assert "hers" not in other.get("/tokens/").content.decode()
    assert Token.objects.get().revoked is None


@pytest.mark.parametrize(("name", "life"), [("", "hour"), ("x" * 61, "hour"), ("a", "for ever")])
def test_what_is_refused(client, ada, name, life):
    assert make(client, name, life).status_code == 400
    assert not Token.objects.exists()


def test_nobody_makes_none(ada):
    assert make(Client()).status_code == 403


def test_there_is_a_limit(client, ada):
    items = [make(client).json()["item"] for _ in range(MOST)]
    assert make(client).status_code == 400
    for item in items:
        client.post(item["revoke"])
    for _ in range(3):
        client.post(make(client).json()["item"]["revoke"])
    make(client)
    assert Token.objects.count() == MOST + 1  # The oldest of those that have ended are gone.


def test_the_client_has_a_word_for_every_code():
    assert program.CLOSED.keys() == reasons.WORDS.keys()
