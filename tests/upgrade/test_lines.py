"""Requirements, images, commands and pages: told line by line."""

import pytest

from djchan.upgrade.files import Kind
from djchan.upgrade.lines import notes


def told(line: str, path: str = "requirements.txt", kind: Kind = Kind.DEPLOYMENT) -> list[str]:
    found = list(notes(path, kind, f"# head\n{line}\n"))
    assert all(note.line == 2 for note in found)
    return [note.sentence for note in found]


@pytest.mark.parametrize(
    "line",
    [
        "channels",
        "channels==1.1.8",
        "channels >= 1.0, < 2",
        "asgi_redis==1.4.3",
        "asgi-redis[cryptography]",
        "asgi_rabbitmq>=0.5.5",
        "asgiref==1.1.2  # via channels",
        "daphne~=1.4",
        "Django==1.11.29",
        "django<=2.0.1".replace("<=", "=="),
        "redis==2.10.6",
    ],
)
def test_a_requirement_has_one_note(line: str):
    assert len(told(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "channels-redis==4.3",
        "django-channels-x",
        "my-channels",
        "Django==5.2.1",
        "redis==6.0",
        "djchan",
    ],
)
def test_another_requirement(line: str):
    assert [sentence for sentence in told(line) if "npm" not in sentence] == []


def test_in_setup_py():
    assert (
        len(told('install_requires=["channels>=1.1", "Django>=1.11"],', "setup.py", Kind.PYTHON))
        == 1
    )


def test_in_a_dockerfile():
    assert len(told("RUN pip install channels==1.1.8", "Dockerfile")) == 1
    assert told("ENV channels=1", "Dockerfile") == []


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
    [sentence] = told(line, "Procfile")
    assert word in sentence


@pytest.mark.parametrize(
    "line", ["web: daphne p.asgi:channel_layer", "FROM python:3.12", "redis:7"]
)
def test_commands_that_go_on_working(line: str):
    assert told(line, "Procfile") == []


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


def test_a_socket_that_is_closed():
    [sentence] = told("webSocketBridge.socket.close();", "x.js", Kind.SCRIPT)
    assert "keepClosed" in sentence
