"""The project of Channels' founding article, with ``channels`` replaced by ``djchan``.

Its settings, routing, consumers and commands are typed as in 2016: the old BACKEND string,
``channel_layer = get_channel_layer()`` in asgi.py, ``daphne djsite.asgi:channel_layer``.
"""

import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port, wait_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]

FILES = {
    "manage.py": """\
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djsite.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "djsite/__init__.py": "",
    "djsite/settings.py": """\
SECRET_KEY = "article"
DEBUG = True
ALLOWED_HOSTS = []
INSTALLED_APPS = [
    "djchan",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
]
MIDDLEWARE = []
ROOT_URLCONF = "djsite.urls"
STATIC_URL = "/static/"
WSGI_APPLICATION = "djsite.wsgi.application"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db"}}}}
CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {{"hosts": [("localhost", {port})]}},
        "ROUTING": "djsite.routing.channel_routing",
    }},
}}
""",
    "djsite/asgi.py": """\
import os
from djchan.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djsite.settings")

channel_layer = get_channel_layer()
""",
    "djsite/wsgi.py": """\
import os
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djsite.settings")
application = get_wsgi_application()
""",
    "djsite/urls.py": """\
from django.http import HttpResponse
from django.urls import path
from djchan import Channel, Group

def hello(request):
    return HttpResponse("a view said hello")

def work(request):
    Channel("thumbnails").send({{"image": "from-a-view"}})
    Group("everybody").send({{"text": "a view told you"}})
    return HttpResponse("sent")

urlpatterns = [path("", hello), path("work/", work)]
""",
    "djsite/routing.py": """\
from djchan.routing import route
from djsite.consumers import ws_message, ws_join, thumbnails, http_raw

channel_routing = [
    route("websocket.receive", ws_message{path}),
    route("websocket.connect", ws_join, path=r"^/everybody/$"),
    route("thumbnails", thumbnails),
    route("http.request", http_raw, path=r"^/raw/$"),
]
""",
    "djsite/consumers.py": """\
from djchan import Group

def ws_message(message):
    message.reply_channel.send({{"text": "You said: " + message.content["text"]}})

def ws_join(message):
    message.reply_channel.send({{"accept": True}})
    Group("everybody").add(message.reply_channel)

def thumbnails(message):
    with open("{folder}/thumbnails", "a") as file:
        file.write(message.content["image"] + "\\n")

def http_raw(message):
    message.reply_channel.send({{"status": 200, "content": b"no view in sight"}})
""",
}


class Article:
    def __init__(self, processes: Processes, broker: Server, folder: Path) -> None:
        self.processes = processes
        self.port = broker.port
        self.folder = folder / "article"
        processes.env["DJANGO_SETTINGS_MODULE"] = "djsite.settings"  # Not that of the tests.
        (self.folder / "djsite").mkdir(parents=True)
        self.write()

    def write(self, *, path: str = ', path=r"^/chat/"') -> None:
        for name, text in FILES.items():
            if name != "manage.py":
                text = text.format(folder=self.folder, port=self.port, path=path)
            (self.folder / name).write_text(text)

    def daphne(self) -> Process:
        return self.processes.daphne("djsite.asgi:channel_layer", cwd=self.folder)

    def runworker(self) -> Process:
        worker = self.processes.runworker(cwd=self.folder)
        worker.wait_printed(r"djchan worker \S+ is ready")
        return worker

    def runserver(self, *arguments: str) -> Process:
        port = free_port()
        server = self.processes.manage("runserver", str(port), *arguments, cwd=self.folder)
        server.port = port
        server.wait_listening()
        return server

    def thumbnails(self) -> list[str]:
        path = self.folder / "thumbnails"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def article(processes: Processes, own_broker: Server, tmp_path: Path) -> Article:
    return Article(processes, own_broker, tmp_path)


def say(server: Process, path: str, text: str) -> str:
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(url, compression=None) as client:
        client.send(text)
        return str(client.recv(timeout=10))


def get(server: Process, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=15) as response:
        return str(response.read().decode())


def hears_nothing(server: Process, path: str) -> bool:
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(url, compression=None) as client:
        client.send("hello world")
        # A second socket's answer is the sign that the first message was dealt with, too.
        assert say(server, "/chat/", "x") == "You said: x"
        try:
            client.recv(timeout=0.3)
        except TimeoutError:
            return True
    return False


def test_daphne_and_runworker_echo_at_the_path(article: Article) -> None:
    server = article.daphne()
    article.runworker()
    assert say(server, "/chat/", "hello world") == "You said: hello world"
    assert hears_nothing(server, "/elsewhere/")


def test_a_route_without_path_echoes_everywhere(article: Article) -> None:
    article.write(path="")
    server = article.daphne()
    article.runworker()
    for path in ("/chat/", "/", "/any/where/"):
        assert say(server, path, "hello world") == "You said: hello world"


def test_runserver_alone_echoes(article: Article) -> None:
    server = article.runserver()
    assert say(server, "/chat/", "hello world") == "You said: hello world"
    assert get(server, "/") == "a view said hello"


def test_http_goes_to_the_routed_consumer_and_else_to_views(article: Article) -> None:
    server = article.daphne()
    article.runworker()
    assert get(server, "/raw/") == "no view in sight"
    assert get(server, "/") == "a view said hello"
    with pytest.raises(urllib.error.HTTPError) as error:
        get(server, "/nothing/here/")
    assert error.value.code == 404
    error.value.close()


def test_a_send_from_a_shell_runs_its_consumer(article: Article) -> None:
    article.runworker()
    code = 'from djchan import Channel; Channel("thumbnails").send({"image": "from-a-shell"})'
    shell = article.processes.manage("shell", "-c", code, cwd=article.folder)
    assert shell.wait_exit(timeout=15) == 0, shell.output()
    wait_for(article.thumbnails, timeout=10, what="the consumer runs")
    assert article.thumbnails() == ["from-a-shell"]


def test_a_view_under_plain_wsgi_sends_to_channels_and_groups(article: Article) -> None:
    server = article.daphne()
    article.runworker()
    port = free_port()
    wsgi = article.processes.python(
        "-c",
        "from wsgiref.simple_server import make_server; from djsite.wsgi import application; "
        f"make_server('127.0.0.1', {port}, application).serve_forever()",
        name="wsgi",
        cwd=article.folder,
    )
    wsgi.port = port
    wsgi.wait_listening()
    with connect(f"ws://127.0.0.1:{server.port}/everybody/", compression=None) as client:
        assert get(wsgi, "/work/") == "sent"
        assert client.recv(timeout=10) == "a view told you"
    wait_for(article.thumbnails, timeout=10, what="the consumer runs")
    assert article.thumbnails() == ["from-a-view"]


def test_the_articles_own_command_serves_our_site(
    processes: Processes, own_broker: Server, tmp_path: Path
) -> None:
    env = {
        "DJANGO_SETTINGS_MODULE": "realtime.settings",
        "REDIS_URL": own_broker.url,
        "REALTIME_DB": str(tmp_path / "db.sqlite3"),
        "REALTIME_MEDIA": str(tmp_path / "media"),
    }
    migrate = processes.manage("migrate", "--verbosity", "0", env=env, cwd=ROOT)
    assert migrate.wait_exit(timeout=20) == 0, migrate.output()
    server = processes.daphne("djchan.asgi:channel_layer", env=env, cwd=ROOT)
    worker = processes.runworker(env=env, cwd=ROOT)
    worker.wait_printed(r"djchan worker \S+ is ready")
    assert say(server, "/chat/", "hello world") == "You said: hello world"
    assert "<html" in get(server, "/")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait_exit() == 0
