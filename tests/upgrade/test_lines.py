"""Files that are not Python: told line by line."""

import pytest

from djchan.upgrade.files import Kind
from djchan.upgrade.lines import notes


def told(line: str, path: str = "Procfile", kind: Kind = Kind.DEPLOYMENT) -> list[str]:
    found = list(notes(path, kind, f"# head\n{line}\n", {}))
    assert all(note.line == 2 for note in found)
    return [note.sentence for note in found]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("web: daphne -p 80 p.asgi:channel_layer --ws-protocol graphql", "CHANNELS_WS_PROTOCOLS"),
        ("web: daphne --force-sync p.asgi:channel_layer", "--force-sync"),
        ("delay: python manage.py rundelay", "rundelay"),
        ("worker: python manage.py runworker --threads 4", "SIGTERM"),
        ("FROM python:3.6", "3.11"),
        ("    image: redis:5-alpine", "7.0"),
    ],
)
def test_commands_and_images(line: str, word: str):
    [sentence] = told(line)
    assert word in sentence


@pytest.mark.parametrize(
    "line",
    [
        "web: daphne p.asgi:channel_layer",
        "FROM python:3.12",
        "redis:7",
        "# web: daphne --force-sync p.asgi:channel_layer",
        "run: daphne p.asgi:channel_layer  # was: --force-sync",
        "; command=daphne --force-sync",
    ],
)
def test_what_goes_on_working_and_comments(line: str):
    assert told(line) == []


@pytest.mark.parametrize(
    "line",
    ['run("daphne --force-sync a:b")', 'Popen(["daphne", "--force-sync", "a:b"])'],
)
def test_commands_in_python(line: str):
    [sentence] = told(line, "fabfile.py", Kind.PYTHON)
    assert "--force-sync" in sentence


@pytest.mark.parametrize("kind", [Kind.PYTHON, Kind.TEMPLATE, Kind.SCRIPT])
def test_a_session_key_in_a_url(kind: Kind):
    [sentence] = told('"/chat/?session_key=" + key', "x", kind)
    assert "CHANNEL_SESSION_KEY_IN_QUERY" in sentence


@pytest.mark.parametrize(
    "link", ['<a href="/accounts/logout/">', "<a href=\"{% url 'logout' %}\">"]
)
def test_a_logout_that_is_a_link(link: str):
    [sentence] = told(link, "base.html", Kind.TEMPLATE)
    assert "POST" in sentence


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("{% ifequal a b %}", "a == b"),
        ("{%endifnotequal%}", "a == b"),
        ("{% load url from future %}", "future"),
        ("{% if x|length_is:3 %}", "length_is"),
    ],
)
def test_tags_that_django_has_no_more(source: str, word: str):
    [sentence] = told(source, "base.html", Kind.TEMPLATE)
    assert word in sentence


def test_a_socket_that_is_closed():
    [sentence] = told("webSocketBridge.socket.close();", "x.js", Kind.SCRIPT)
    assert "keepClosed" in sentence


@pytest.mark.parametrize(
    ("line", "path", "kind"),
    [
        ('"django-channels": "^1.1.6",', "package.json", Kind.DEPLOYMENT),
        ("import { WebSocketBridge } from 'django-channels';", "x.js", Kind.SCRIPT),
        ("require('django-channels/dist/x')", "x.js", Kind.SCRIPT),
        ('<script src="https://unpkg.com/django-channels@1.1">', "a.html", Kind.TEMPLATE),
    ],
)
def test_the_package_of_npm(line: str, path: str, kind: Kind):
    [sentence] = told(line, path, kind)
    assert "websocketbridge.mjs" in sentence


@pytest.mark.parametrize(
    ("line", "path", "kind"),
    [
        ("django-channels==0.7", "requirements.txt", Kind.DEPLOYMENT),
        ("django-channels-presence==1.0", "requirements.txt", Kind.DEPLOYMENT),
        ('"django-channels-graphql-ws>=0.1",', "setup.py", Kind.PYTHON),
        ('"django-channels-x": "1"', "package.json", Kind.DEPLOYMENT),
    ],
)
def test_other_packages_whose_names_begin_alike(line: str, path: str, kind: Kind):
    assert told(line, path, kind) == []
