"""What the page's form publishes."""

import pytest

from realtime.ticker import feed
from realtime.ticker.models import Headline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


def test_a_headline_is_kept_and_told(client, sent):
    response = client.post("/ticker/", {"text": " It <b>rains</b> "})
    assert (response.status_code, response["Location"]) == (302, "/ticker/")
    headline = Headline.objects.get()
    assert headline.text == "It <b>rains</b>"
    ((verb, group, message, _),) = sent
    assert (verb, group, message) == ("group_send", "ticker", feed.more(feed.events([headline])))


@pytest.mark.parametrize("text", ["", " ", "x" * 201, "a\0b"])
def test_what_is_no_headline_is_refused(client, sent, text):
    response = client.post("/ticker/", {"text": text})
    assert response.status_code == 400
    assert 'role="alert"></p>' not in response.content.decode(), "in words"
    assert sent == [] and not Headline.objects.exists()
