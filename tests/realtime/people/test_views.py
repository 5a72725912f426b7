"""Sign in by a click where DEBUG is on, and nowhere else."""

import pytest
from django.contrib.auth import get_user
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


@pytest.fixture(autouse=True)
def debug(settings):
    settings.DEBUG = True


def sign_in(client: Client, name: str, **more: str):
    return client.post("/people/sign-in/as/", {"name": name, **more})


@pytest.mark.parametrize(("name", "staff"), [("ada", True), ("bob", False)])
def test_one_click(client, name, staff):
    response = sign_in(client, name, next="/echo/")
    assert (response.status_code, response["Location"]) == (302, "/echo/")
    assert (get_user(client).username, get_user(client).is_staff) == (name, staff)


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "javascript:x", ""])
def test_leads_nowhere_else(client, target):
    assert sign_in(client, "ada", next=target)["Location"] == "/"


@pytest.mark.parametrize("name", ["", "root", "ADA"])
def test_as_nobody_else(client, name):
    assert sign_in(client, name).status_code == 404


def test_not_without_debug(client, settings):
    settings.DEBUG = False
    assert sign_in(client, "ada").status_code == 404
    assert "I am ada" not in client.get("/people/sign-in/").content.decode()


def test_a_password_does_as_well(client, django_user_model):
    django_user_model.objects.create_user("joe", password="a long one")
    client.post("/people/sign-in/", {"username": "joe", "password": "a long one"})
    assert get_user(client).username == "joe"


def test_out_again(client):
    sign_in(client, "ada")
    client.post("/people/sign-out/")
    assert not get_user(client).is_authenticated
