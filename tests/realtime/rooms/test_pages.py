"""The pages of the rooms: choose one, and what a room cannot be called."""

import pytest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


class TestRooms:
    def test_the_form_leads_to_the_room(self, client):
        response = client.get("/rooms/", {"room": " coffee "})
        assert (response.status_code, response["Location"]) == (302, "/rooms/coffee/")

    @pytest.mark.parametrize("name", ["a b", "<script>alert(1)</script>", "//evil.example"])
    def test_a_name_that_cannot_be_is_said(self, client, name):
        response = client.get("/rooms/", {"room": name})
        assert response.status_code == 400
        assert "cannot be the name of a room" in response.content.decode()
        assert "<script>alert" not in response.content.decode()
