"""The log of the whole site while somebody looks at all of it: each line once, in its format.

By what LOGGING the project has, by DEBUG, and on ``runserver`` or on ``daphne`` and ``runworker``.
All of them take some minutes, so CI runs a few: ``pytest -m matrix tests/realtime/test_logs.py``
runs the others.
"""

import http.cookiejar
import io
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from realtime.systems import NAMES, in_order
from tests.processes.conftest import READY, together
from tests.realtime.running import environment
from tests.support.log_lines import CASES, records, write_formatter
from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port

pytestmark = pytest.mark.timeout(120)

PASSWORD = "correct horse"
USER = f"User.objects.create_user('ada', password={PASSWORD!r}, is_staff=True)"
MORE_PAGES = ("/", "/people/sign-in/", "/rooms/tea/", "/sheet/shop/", "/scores/write/")
SOCKETS = (
    "/chat/",
    "/ws/clock/",
    "/ws/jobs/00000000-0000-0000-0000-000000000000/",
    "/ws/logins/",
    "/ws/notifications/",
    "/ws/pingpong/json/",
    "/ws/pingpong/text/",
    "/ws/raw/",
    "/ws/rooms/tea/",
    "/ws/scores/",
    "/ws/sheet/shop/",
    "/ws/together/inside/",
    "/ws/together/json/",
    "/ws/together/outside/",
    "/ws/tokens/",
    "/nowhere/",
)


class Visitor:
    """Somebody with cookies, who looks at everything, and does some of it wrong."""

    def __init__(self, server: Process) -> None:
        self.address = f"http://127.0.0.1:{server.port}"
        self.cookies = http.cookiejar.CookieJar()
        jar = urllib.request.HTTPCookieProcessor(self.cookies)
        self._opener = urllib.request.build_opener(jar)

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> int:
        """Request a page, and read it; its status."""
        request = urllib.request.Request(self.address + path, data, headers)
        try:
            with self._opener.open(request, timeout=20) as answer:
                if path == "/ticker/events/":
                    answer.readline()  # It never ends.
                else:
                    answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def post(self, path: str, **fields: str) -> int:
        return self.ask(path, urllib.parse.urlencode(fields).encode(), **self._token())

    def upload(self, path: str) -> int:
        image = io.BytesIO()
        Image.new("RGB", (8, 8)).save(image, "PNG")
        body = (
            b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
            b"Content-Type: image/png\r\n\r\n" + image.getvalue() + b"\r\n--edge--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=edge"}
        return self.ask(path, body, **kind, **self._token())

    def talk(self, path: str, *frames: str, origin: str = "") -> None:
        """Open a socket, send frames that it may like or not, and leave."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)
        with (
            connect(
                self.address.replace("http", "ws") + path,
                origin=origin or self.address,  # type: ignore[arg-type]
                additional_headers={"Cookie": cookies},
            ) as socket,
            suppress(ConnectionClosed),  # By some of the consumers.
        ):
            for frame in frames:
                socket.send(frame)
            socket.ping().wait(10)

    def _token(self) -> dict[str, str]:
        values = [cookie.value for cookie in self.cookies if cookie.name == "csrftoken"]
        return {"X-CSRFToken": values[0] or ""} if values else {}


def browse(visitor: Visitor) -> None:
    pages = [system.address for system in in_order()] + [f"/source/{name}/" for name in NAMES]
    assert visitor.ask("/people/sign-in/") == 200
    assert visitor.post("/people/sign-in/", username="ada", password=PASSWORD) == 200
    for page in [*MORE_PAGES, *pages, "/ticker/events/"]:
        assert visitor.ask(page) == 200, page
    for way in ("view", "parcel", "parcel/rolled-back", "reminder"):
        assert visitor.post(f"/notifications/{way}/", to="ada", text="tea") == 200, way
    assert visitor.post("/tokens/make/", name="phone", life="hour") == 200
    assert visitor.upload("/thumbnails/") == 200
    for path in SOCKETS:
        visitor.talk(path, json.dumps({"text": "hello"}), "ping", "[")
    # And what is refused.
    assert visitor.ask("/nothing/") == 404
    assert visitor.ask("/tokens/make/", b"") == 403
    assert visitor.ask("/echo/", Host="elsewhere.example") == 400
    assert visitor.ask("/notifications/view/") == 405
    with pytest.raises(InvalidStatus):
        visitor.talk("/ws/rooms/tea/", origin="https://elsewhere.example")
    assert visitor.post("/people/sign-out/") == 200


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, database: Path
) -> Iterator[tuple[Server, Processes]]:
    folder = tmp_path_factory.mktemp("logs")
    write_formatter(folder)
    with together(folder) as (broker, processes):
        copied = shutil.copy(database, folder / "db.sqlite3")
        processes.env = {
            **environment(copied, folder / "media"),
            "DJANGO_SETTINGS_MODULE": "tests.realtime.logged_settings",
            "LOGGING": "{}",
            "PYTHONPATH": f"{ROOT}:{folder}",
            "REALTIME_SECRET_KEY": "only-for-tests",
        }
        made = f"from django.contrib.auth.models import User; {USER}"
        process = processes.manage("shell", "-v0", "-c", made)
        assert process.wait_exit(timeout=60) == 0, process.output()
        yield broker, processes


def combinations() -> Iterator[object]:
    often = {("runserver", "absent", "on"), ("daphne", "disable", "off")}
    for server in ("runserver", "daphne"):
        for logging in ("absent", "plain", "json", "disable"):
            for debug in ("on", "off"):
                chosen = (server, logging, debug)
                marks = [] if chosen in often else [pytest.mark.matrix]
                yield pytest.param(*chosen, marks=marks, id=", ".join(chosen))


@pytest.mark.parametrize(("server", "logging", "debug"), list(combinations()))
def test_each_line_once_in_the_projects_format(
    shared: tuple[Server, Processes], server: str, logging: str, debug: str
) -> None:
    broker, processes = shared
    case = CASES[logging]._replace(debug=debug == "on")
    env = {
        "LOGGING": json.dumps(case.logging),
        "LAYER_PREFIX": f"{server} {logging} {debug}",
        "REALTIME_DEBUG": "1" if case.debug else "0",
        "REDIS_URL": broker.url if server == "daphne" else "",
    }
    if server == "daphne":
        worker = processes.runworker(env=env)
        front = processes.daphne("realtime.asgi:application", env=env)
    else:
        port = free_port()
        front = worker = processes.manage("runserver", "--noreload", str(port), env=env)
        front.port = port
        front.wait_listening(timeout=60)
    worker.wait_printed(READY, timeout=60)

    browse(Visitor(front))

    assert front.stop() == 0
    assert worker is front or worker.stop() == 0
    for process in {front, worker}:
        found = records(process, case)
        assert len(found) == len(set(found)), found
        text = "\n".join(message for _, message in found)
        if case.debug or case.logging:
            unrouted = len(re.findall(r"No route takes .*websocket\.connect>.*/nowhere/", text))
            assert unrouted == (process is worker and case.debug), text
        if logging in ("plain", "json"):
            for line in ("Not Found: /nothing/", "Forbidden (CSRF", "Method Not Allowed"):
                assert text.count(line) == (process is worker), (line, text)
