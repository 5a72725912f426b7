"""The pages, asked as Django's test client asks."""

import html
import re

import pytest
from django.apps import apps
from django.core.management import call_command
from django.urls import reverse

from realtime import systems

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]

SYSTEMS = list(systems.in_order())


@pytest.mark.parametrize("system", SYSTEMS, ids=systems.NAMES)
class TestSystem:
    def test_its_page_answers(self, client, system):
        response = client.get(reverse(system.url_name))
        assert response.status_code == 200
        assert response["Content-Type"] == "text/html; charset=utf-8"
        text = response.content.decode()
        assert f"<title>{system.title} · djchan</title>" in text
        assert "//" not in text.replace("http://www.w3.org", "")  # no CDN

    def test_its_source_is_shown_whole(self, client, system):
        content = client.get(f"/source/{system.name}/").content.decode()
        shown = re.findall(r"<h2[^>]*>([^<]*)</h2>.*?<pre[^>]*>(.*?)</pre>", content, re.DOTALL)
        assert [file for file, _ in shown] == list(system.files)
        for file, text in shown:
            as_read = html.unescape(re.sub("<[^>]*>", "", text))
            assert as_read.strip() == (systems.ROOT / file).read_text().strip()


@pytest.mark.parametrize(
    "path", ["/", "/people/sign-in/", "/nowhere/", *(f"/source/{name}/" for name in systems.NAMES)]
)
def test_every_page_has_a_policy_without_inline_scripts_and_other_servers(client, path):
    policy = client.get(path).headers["Content-Security-Policy"]
    assert "default-src 'self'; base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/people/sign-in/"])
def test_every_other_page_answers(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert "//" not in response.content.decode().replace("http://www.w3.org", "")


def test_the_home_page_shows_a_whole_consumer_that_runs_here(client):
    content = client.get("/").content.decode()
    (shown,) = re.findall(r"<pre[^>]*>(.*?)</pre>", content, re.DOTALL)
    code = html.unescape(re.sub("<[^>]*>", "", shown)).strip()
    assert code.startswith("def ws_echo(")
    assert code in (systems.ROOT / "realtime/echo/consumers.py").read_text()


def test_the_home_page_names_every_system(client):
    content = client.get("/").content.decode()
    for system in SYSTEMS:
        assert f'href="{reverse(system.url_name)}">{system.title}</a>' in content


@pytest.mark.parametrize(
    "path",
    ["/rooms/a%20b/", "/rooms/a.b/", "/nowhere/", "/thumbnails/1/", "/source/nothing/"],
)
def test_other_addresses_are_not_found(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_the_migrations_are_up_to_date():
    labels = [app.label for app in apps.get_app_configs() if app.name.startswith("realtime.")]
    assert "rooms" in labels
    call_command("makemigrations", *labels, check=True, dry_run=True)
