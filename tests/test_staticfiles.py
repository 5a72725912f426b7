"""djchan.staticfiles: files in development."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.urls import re_path

from djchan.message import Message
from djchan.staticfiles import StaticFilesConsumer, StaticFilesHandler

# Each request closes stale connections, as Django does: that looks at the database.
pytestmark = pytest.mark.django_db


class Urls:
    urlpatterns = (re_path(r"^.*$", lambda request: HttpResponse(b"a view")),)


@pytest.fixture(autouse=True)
def site(settings, tmp_path):
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "site.css").write_bytes(b"body {}")
    (tmp_path / "with space.txt").write_bytes(b"found")
    (tmp_path.parent / "secret.txt").write_bytes(b"secret")
    settings.ROOT_URLCONF = Urls
    settings.MIDDLEWARE = []
    settings.TEMPLATES = []
    settings.DEBUG = False
    settings.STATIC_URL = "/static/"
    settings.STATICFILES_DIRS = [tmp_path]


def get(path, **content):
    content = {"reply_channel": "http.response.P!1", "method": "GET", "path": path, **content}
    parts = list(StaticFilesHandler()(Message(content, "http.request", "a layer")))
    return parts[0]["status"], b"".join(part.get("content", b"") for part in parts)


def test_files_below_static_url_are_served_and_views_beside_them():
    assert get("/static/css/site.css") == (200, b"body {}")
    assert get("/static/with space.txt") == (200, b"found")
    assert get("/css/site.css") == (200, b"a view")
    assert get("/staticx/css/site.css") == (200, b"a view")


@pytest.mark.parametrize("path", ["missing.css", "css/", ""])
def test_what_is_no_file_is_a_404(path):
    assert get(f"/static/{path}")[0] == 404


@pytest.mark.parametrize("path", ["../secret.txt", "css/../../secret.txt", "/etc/passwd"])
def test_what_lies_elsewhere_is_not_served(path):
    status, content = get(f"/static/{path}")
    assert status in (400, 404)
    assert b"secret" not in content


def test_a_static_url_on_another_host_is_not_ours(settings):
    settings.STATIC_URL = "https://cdn.example.com/static/"
    assert get("/static/css/site.css") == (200, b"a view")


def test_without_static_url_it_says_so(settings):
    settings.STATIC_URL = None
    with pytest.raises(ImproperlyConfigured, match="STATIC_URL"):
        StaticFilesHandler()


def test_the_consumer_sends_files():
    sent = []
    message = Message({"method": "GET", "path": "/static/css/site.css"}, "http.request", "a layer")
    message.reply_channel = type(
        "Reply", (), {"send": lambda self, content, immediately=False: sent.append(content)}
    )()
    StaticFilesConsumer()(message)
    assert (sent[0]["status"], sent[0]["content"]) == (200, b"body {}")
    assert dict(sent[0]["headers"])[b"Content-Type"] == b"text/css"


def test_a_projects_own_handler_says_where_files_lie_and_what_they_are():
    class Own(StaticFilesHandler):
        def get_base_url(self):
            return "/assets/"

        def file_path(self, url):
            return "css/" + super().file_path(url)

        def serve(self, request):
            response = super().serve(request)
            response["X-Own"] = "yes"
            return response

    content = {"reply_channel": "http.response.P!1", "method": "GET", "path": "/assets/site.css"}
    (part,) = list(Own()(Message(content, "http.request", "a layer")))[:1]
    assert (part["status"], dict(part["headers"])[b"X-Own"]) == (200, b"yes")
    assert get("/assets/site.css") == (200, b"a view")
