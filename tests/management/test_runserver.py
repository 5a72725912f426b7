"""``manage.py runserver``: what it offers, what it prints, and a real one at work."""

import logging
import re
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.management import load_command_class
from django.core.management.color import make_style
from django.utils.log import ServerFormatter
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from djchan.asgi import ChannelLayerWrapper
from djchan.handler import ViewConsumer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.management.commands import runserver
from djchan.management.commands.runserver import Command, describe
from djchan.sockets.application import SocketViews
from djchan.staticfiles import StaticFilesConsumer
from djchan.urls import websocket
from tests.support.processes import Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port, wait_for

READY = r"djchan worker \S+ is ready"
BANNER = r"Starting Channels development server at http://127\.0\.0\.1:"


@pytest.fixture
def command():
    return load_command_class("djchan", "runserver")


def options(command, *arguments):
    return vars(command.create_parser("manage.py", "runserver").parse_args(arguments))


class TestOptions:
    def test_is_the_command_that_is_found(self, command):
        assert isinstance(command, Command)
        assert command.protocol == "http"
        assert command.server_cls.__name__ == "Server"

    def test_defaults(self, command):
        given = options(command)
        assert given["run_worker"] is True
        assert given["use_asgi"] is True
        assert given["websocket_handshake_timeout"] == 5
        assert given["use_static_handler"] is True
        assert given["insecure_serving"] is False
        assert given["use_threading"] is True

    def test_those_of_channels_1_and_django(self, command):
        given = options(
            command,
            *("127.0.0.1:9000", "--noworker", "--noasgi", "--http_timeout", "7"),
            *("--websocket_handshake_timeout", "9", "--nostatic", "--insecure"),
            *("--nothreading", "--noreload", "--ipv6", "--skip-checks"),
        )
        assert given["run_worker"] is False
        assert given["use_asgi"] is False
        assert given["http_timeout"] == 7
        assert given["websocket_handshake_timeout"] == 9
        assert given["use_static_handler"] is False
        assert given["insecure_serving"] is True

    @pytest.mark.parametrize(
        ("debug", "arguments", "kind"),
        [
            (True, [], StaticFilesConsumer),
            (True, ["--nostatic"], ViewConsumer),
            (False, [], ViewConsumer),
            (False, ["--insecure"], StaticFilesConsumer),
        ],
    )
    def test_static_files(self, command, settings, debug, arguments, kind):
        settings.DEBUG = debug
        assert type(command.get_consumer(**options(command, *arguments))) is kind

    def test_a_consumer_may_be_asked_for_without_options(self, command, settings):
        settings.DEBUG = True
        assert type(command.get_consumer()) is StaticFilesConsumer


class TestApplication:
    @pytest.fixture
    def wrapper(self):
        return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])

    def test_is_the_interface_of_the_layer(self, command, wrapper):
        assert command.get_application(wrapper, options(command)) is wrapper
        assert wrapper.interface_options == {"http_timeout": 60, "connect_timeout": 4.0}

    def test_takes_the_timeouts_of_the_command_line(self, command, wrapper):
        wrapper.interface_options["http_timeout"] = 9
        given = options(command, "--http_timeout=7", "--websocket_handshake_timeout=10")
        command.get_application(wrapper, given)
        assert wrapper.interface_options == {"http_timeout": 7, "connect_timeout": 8.0}

    def test_leaves_the_timeouts_of_the_settings(self, command, wrapper):
        wrapper.interface_options.update(http_timeout=9, connect_timeout=1.0)
        command.get_application(wrapper, options(command))
        assert wrapper.interface_options == {"http_timeout": 9, "connect_timeout": 1.0}

    def test_may_be_the_projects_own(self, command, wrapper, settings):
        settings.ASGI_APPLICATION = "tests.urls.hello"  # Any object will do.
        application = command.get_application(wrapper, options(command))
        assert application is not wrapper
        assert application.__name__ == "hello"

    @pytest.fixture
    def socket_views(self, settings):
        async def clock(socket):
            pass

        settings.ROOT_URLCONF = (websocket("ws/clock/", clock),)

    def test_has_the_socket_views_beside_the_layer(self, command, wrapper, socket_views):
        given = options(command, "--websocket_handshake_timeout=10")
        application = command.get_application(wrapper, given)
        assert isinstance(application, SocketViews)
        assert application.limits.connect_timeout == 8.0
        assert application.app is application.fallback is wrapper
        assert wrapper.interface_options["http_timeout"] == 60

    def test_has_them_without_a_layer(self, command, socket_views, settings):
        settings.DEBUG = True
        application = command.get_application(None, options(command))
        assert isinstance(application, ASGIStaticFilesHandler)
        assert isinstance(application.application, SocketViews)
        assert application.application.fallback is None
        bare = command.get_application(None, options(command, "--nostatic"))
        assert isinstance(bare, SocketViews)


class TestDescribe:
    """The lines of the console."""

    def test_http(self):
        details = {
            "path": "/a/",
            "method": "GET",
            "status": 200,
            "client": "1.2.3.4:5",
            "time_taken": 0.123,
            "size": 7,
        }
        assert describe("http", "complete", details) == "HTTP GET /a/ 200 [0.12, 1.2.3.4:5]"

    @pytest.mark.parametrize(
        ("action", "word"),
        [
            ("connecting", "HANDSHAKING"),
            ("connected", "CONNECT"),
            ("disconnected", "DISCONNECT"),
            ("rejected", "REJECT"),
        ],
    )
    def test_websocket(self, action, word):
        details = {"path": "/chat/", "client": "1.2.3.4:5"}
        assert describe("websocket", action, details) == f"WebSocket {word} /chat/ [1.2.3.4:5]"

    def test_whatever_else_happens(self):
        assert describe("websocket", "blinked", {}) is None

    def test_a_path_cannot_steer_the_terminal(self):
        details = {"path": "/\x1b[31m\n/ö", "client": None}
        line = describe("websocket", "connected", details)
        assert line == r"WebSocket CONNECT /\x1b[31m\n/ö [None]"

    @pytest.mark.parametrize(
        ("status", "level"),
        [(101, "INFO"), (200, "INFO"), (304, "INFO"), (404, "WARNING"), (500, "ERROR")],
    )
    def test_goes_to_the_logger_of_djangos_server(self, command, access_log, status, level):
        details = {"path": "/", "method": "GET", "status": status, "client": "c", "time_taken": 0}
        command.log_action("http", "complete", details)
        ((line, record),) = access_log.lines
        assert re.fullmatch(
            rf"\[\d\d/\w{{3}}/\d{{4}} \d\d:\d\d:\d\d\] HTTP GET / {status} \[0\.00, c\]", line
        )
        assert (record.levelname, record.status_code) == (level, status)
        assert (record.client, record.duration) == ("c", 0)

    def test_a_socket_has_no_status(self, command, access_log):
        command.log_action("websocket", "connected", {"path": "/chat/", "client": "c"})
        ((line, record),) = access_log.lines
        assert line.endswith("] WebSocket CONNECT /chat/ [c]")
        assert not hasattr(record, "status_code")

    def test_no_color_is_for_djangos_formatter_too(self, command, access_log):
        access_log.formatter.style = make_style("dark")
        details = {"path": "/", "method": "GET", "status": 200, "client": "c", "time_taken": 0}
        command.log_action("http", "complete", details)
        runserver._decolor(runserver.access_logger)
        command.log_action("http", "complete", details)
        assert ["\x1b[" in line for line, _ in access_log.lines] == [True, False]


class AccessLog(logging.Handler):
    def __init__(self):
        super().__init__()
        self.setFormatter(ServerFormatter("[{server_time}] {message}", style="{"))
        self.lines = []

    def emit(self, record):
        self.lines.append((self.format(record), record))


@pytest.fixture
def access_log():
    """Django's own handler of ``django.server``, for a while another."""
    server = logging.getLogger("django.server")
    before, server.handlers = server.handlers, [AccessLog()]
    yield server.handlers[0]
    server.handlers = before


FILES = {
    "manage.py": """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """\
import json, os
SECRET_KEY = "only-for-tests"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = os.environ.get("URLS", "site_urls")
INSTALLED_APPS = json.loads(os.environ.get("APPS", '["djchan", "django.contrib.staticfiles"]'))
STATIC_URL = "static/"
STATICFILES_DIRS = [os.path.join(os.path.dirname(__file__), "assets")]
FORCE_SCRIPT_NAME = os.environ.get("SCRIPT_NAME") or None
USE_TZ = True
CHANNEL_LAYERS = json.loads(os.environ.get("LAYERS", "{}"))
if "APPLICATION" in os.environ:
    ASGI_APPLICATION = os.environ["APPLICATION"]
""",
    "site_urls.py": """\
from django.http import HttpResponse
from django.urls import path

def hello(request):
    return HttpResponse("from " + type(request).__name__)

def where(request):
    return HttpResponse(request.script_name + " " + request.path_info)

urlpatterns = [path("hello/", hello), path("where/", where)]
""",
    "site_sockets.py": """\
from djchan.urls import websocket
from site_urls import urlpatterns

async def shout(socket):
    await socket.accept()
    async for text in socket:
        await socket.send_text(text.upper())

urlpatterns = [websocket("ws/shout/", shout), *urlpatterns]
""",
    "site_routing.py": """\
import os, time
from djchan import Channel, route

def echo(message):
    message.reply_channel.send({"text": "You said: " + message["text"]})

def later(message):
    answer = {"text": "You said a while ago: " + message["text"]}
    Channel("asgi.delay").send(
        {"channel": message.reply_channel.name, "delay": 50, "content": answer}
    )

def fork(message):
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    message.reply_channel.send({"text": "forked"})

routing = [
    route("websocket.receive", later, path="^/later/$"),
    route("websocket.receive", fork, path="^/fork/$"),
    route("websocket.receive", echo),
]
""",
    "site_asgi.py": """\
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from djchan.asgi import get_channel_layer

application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": get_channel_layer()}
)
""",
    "assets/file.txt": "a static file",
}
IN_MEMORY = """{"default": {"BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
                            "ROUTING": "site_routing.routing"}}"""


def over_redis(url: str) -> str:
    return f"""{{"default": {{"BACKEND": "djchan.layers.redis.RedisChannelLayer",
                              "ROUTING": "site_routing.routing",
                              "CONFIG": {{"hosts": ["{url}"]}}}}}}"""


class Site:
    """A small project in a folder of its own."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        self.processes = processes
        self.folder = folder
        for name, text in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

    def run(self, *arguments: str, port: int = 0, **env: str) -> Process:
        port = port or free_port()
        process = self.processes.manage(
            "runserver", f"127.0.0.1:{port}", *arguments, env=env, cwd=self.folder
        )
        process.port = port
        return process


@pytest.fixture
def site(processes: Processes, tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(processes, folder)


def get(process: Process, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def echo(process: Process, text: str, path: str = "/chat/") -> str:
    url = f"ws://127.0.0.1:{process.port}{path}"
    with connect(url, compression=None, open_timeout=10) as client:
        client.send(text)
        return str(client.recv(timeout=10))


@pytest.mark.timeout(60)
class TestServing:
    def test_all_of_it_in_one_process(self, site: Site):
        process = site.run("--noreload", LAYERS=IN_MEMORY)
        process.wait_printed(READY)
        process.wait_listening()
        assert echo(process, "hello world") == "You said: hello world"
        assert get(process, "/hello/") == (200, "from AsgiRequest")
        assert get(process, "/static/file.txt") == (200, "a static file")
        assert get(process, "/nothing/")[0] == 404
        process.wait_printed(BANNER + str(process.port))
        process.wait_printed(r"Channel layer default \(djchan\.layers\.inmemory\.InMem")
        process.wait_printed(r"4 threads")
        process.wait_printed(r"\[\S+ \S+\] HTTP GET /hello/ 200 \[0\.\d\d, 127\.0\.0\.1:\d+\]")
        for word in ("HANDSHAKING", "CONNECT", "DISCONNECT"):
            process.wait_printed(rf"\] WebSocket {word} /chat/ \[127\.0\.0\.1:\d+\]")
        process.send_signal(signal.SIGINT)
        assert process.wait_exit(timeout=10) == 0
        assert "Traceback" not in process.output()

    def test_a_child_that_a_consumer_left_behind_holds_neither_sockets_nor_the_port(
        self, site: Site
    ):
        process = site.run("--noreload", LAYERS=IN_MEMORY)
        process.wait_printed(READY)
        process.wait_listening()
        url = f"ws://127.0.0.1:{process.port}/fork/"
        with connect(url, compression=None, open_timeout=10) as client:
            client.send("fork")
            assert client.recv(timeout=10) == "forked"
            process.send_signal(signal.SIGKILL)  # To it alone.
            with pytest.raises(ConnectionClosedError):
                client.recv(timeout=10)
        process.wait_exit()
        again = site.run("--noreload", port=process.port, LAYERS=IN_MEMORY)
        again.wait_printed(READY)
        again.wait_listening()
        assert echo(again, "hello") == "You said: hello"

    def test_over_redis_with_a_worker_elsewhere(self, site: Site, own_broker: Server):
        layers = over_redis(own_broker.url)
        process = site.run("--noreload", "--noworker", LAYERS=layers)
        process.wait_listening()
        worker = site.processes.runworker(env={"LAYERS": layers}, cwd=site.folder)
        worker.wait_printed(READY)
        assert echo(process, "1") == "You said: 1"
        assert get(process, "/hello/") == (200, "from AsgiRequest")
        assert process.printed(READY) == 0
        assert process.stop() == 0

    def test_one_thread(self, site: Site):
        process = site.run("--noreload", "--nothreading", LAYERS=IN_MEMORY)
        process.wait_printed(r"1 thread,")

    def test_a_script_name_and_delayed_messages(self, site: Site):
        # Delayed messages need no rundelay and no database, only their app.
        process = site.run(
            "--noreload",
            LAYERS=IN_MEMORY,
            APPS='["djchan", "djchan.delay", "django.contrib.staticfiles"]',
            SCRIPT_NAME="/app",
        )
        process.wait_printed(READY)
        process.wait_listening()
        assert get(process, "/app/where/") == (200, "/app /where/")
        assert echo(process, "1", "/later/") == "You said a while ago: 1"

    def test_code_that_changes_is_loaded_anew(self, site: Site):
        process = site.run(LAYERS=IN_MEMORY)
        process.wait_printed(READY)
        process.wait_listening()
        assert echo(process, "1") == "You said: 1"
        routing = site.folder / "site_routing.py"
        routing.write_text(routing.read_text().replace("You said", "Now you said"))

        def reloaded() -> bool:
            # The reloader does not see a change within a second of its start.
            routing.touch()
            return process.printed(READY) == 2

        wait_for(reloaded, timeout=15, what="the server starts anew")
        process.wait_listening()
        assert echo(process, "2") == "Now you said: 2"

    def test_an_application_of_the_projects_own(self, site: Site):
        process = site.run("--noreload", LAYERS=IN_MEMORY, APPLICATION="site_asgi.application")
        process.wait_printed(READY)
        process.wait_listening()
        assert echo(process, "1") == "You said: 1"
        # Its views are run by Django in this process, and see Django's own request.
        assert get(process, "/hello/") == (200, "from ASGIRequest")
        assert get(process, "/static/file.txt") == (200, "a static file")

    def test_socket_views_beside_workers(self, site: Site):
        process = site.run("--noreload", LAYERS=IN_MEMORY, URLS="site_sockets")
        process.wait_printed(READY)
        process.wait_listening()
        assert echo(process, "1", "/ws/shout/") == "1"
        assert echo(process, "hello", "/ws/shout/") == "HELLO"
        assert echo(process, "hello") == "You said: hello"
        assert get(process, "/hello/") == (200, "from AsgiRequest")
        assert get(process, "/static/file.txt") == (200, "a static file")
        assert get(process, "/ws/shout/")[0] == 426
        process.send_signal(signal.SIGINT)
        assert process.wait_exit(timeout=10) == 0

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reload", "noreload"])
    def test_socket_views_without_a_layer(self, site: Site, reload: list[str]):
        process = site.run(*reload, LAYERS="{}", URLS="site_sockets")
        process.wait_printed("Socket views, no channel layer")
        process.wait_listening()
        assert echo(process, "hello", "/ws/shout/") == "HELLO"
        assert get(process, "/hello/") == (200, "from ASGIRequest")
        assert get(process, "/static/file.txt") == (200, "a static file")
        assert get(process, "/ws/shout/")[0] == 426
        assert process.printed(READY) == 0

    def test_a_plain_request_to_one_on_djangos_own_server(self, site: Site):
        process = site.run("--noreload", "--noasgi", LAYERS="{}", URLS="site_sockets")
        process.wait_listening()
        assert get(process, "/ws/shout/")[0] == 426

    @pytest.mark.parametrize(
        ("arguments", "layers"), [(["--noasgi"], IN_MEMORY), ([], "{}")], ids=["noasgi", "no layer"]
    )
    def test_djangos_own_server(self, site: Site, arguments: list[str], layers: str):
        process = site.run("--noreload", *arguments, LAYERS=layers)
        process.wait_printed(r"Starting (WSGI )?development server")
        process.wait_listening()
        assert get(process, "/hello/") == (200, "from WSGIRequest")
        assert get(process, "/static/file.txt") == (200, "a static file")


@pytest.mark.timeout(60)
class TestMistakes:
    @pytest.mark.parametrize("arguments", [["--noreload"], []], ids=["noreload", "reload"])
    def test_a_redis_that_does_not_answer(self, site: Site, arguments: list[str]):
        port = free_port()
        process = site.run(*arguments, LAYERS=over_redis(f"redis://127.0.0.1:{port}"))
        assert process.wait_exit(timeout=20) == 1
        (line,) = [line for line in process.output().splitlines() if line.startswith("Error:")]
        assert f"127.0.0.1:{port}" in line
        assert "Start a Redis" in line
        assert "Traceback" not in process.output()

    def test_a_port_in_use(self, site: Site):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            process = site.run("--noreload", port=other.getsockname()[1], LAYERS=IN_MEMORY)
            assert process.wait_exit(timeout=20) == 1
        assert "Error: That port is already in use." in process.output()

    def test_another_runserver_before_ours(self, site: Site):
        apps = '["django.contrib.staticfiles", "djchan"]'
        process = site.run("--noreload", LAYERS=IN_MEMORY, APPS=apps)
        assert process.wait_exit(timeout=20) == 1
        line = 'move the line "djchan" above "django.contrib.staticfiles"'
        assert line in process.output()

    def test_an_entry_for_channels_4(self, site: Site):
        layers = '{"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}'
        process = site.run("--noreload", LAYERS=layers)
        assert process.wait_exit(timeout=20) == 1
        assert "djchan.E003" in process.output()
