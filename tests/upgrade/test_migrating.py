"""What docs/migrating.md says of files, limits and commands."""

import re
import subprocess
import sys
from pathlib import Path

import djchan
from djchan import route
from djchan.lanes.options import WorkerOptions
from djchan.test import ChannelTestCase, WSClient, apply_routes

PAGE = (Path(djchan.__file__).parents[1] / "docs/migrating.md").read_text()


def test_the_path_of_the_module_for_a_bundler_is_printed():
    [code] = re.findall(r'^\$ python -c "(import djchan; .*)"$', PAGE, re.M)

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}
    )

    assert "export" in Path(done.stdout.strip()).read_text()
    assert Path(done.stdout.strip()).with_suffix(".d.mts").exists()


def test_the_run_limits_are_those_of_the_worker():
    options = WorkerOptions()

    assert f"{options.run_limit:.0f} s for a message of `websocket.*` (`run_limit`)" in PAGE
    assert f"{options.http_run_limit:.0f} s for one of `http.*` (`http_run_limit`)" in PAGE


def test_pyupgrade_comes_before_django_upgrade():
    steps = [
        PAGE.index(name) for name in ("pyupgrade --py", "django-upgrade --t", "djchan.upgrade .")
    ]

    assert steps == sorted(steps)


class TestHeaders(ChannelTestCase):
    def test_those_of_a_test_are_read_as_the_page_says(self):
        found = []

        def connect(message):
            found.append(dict(message["headers"]).get(b"origin"))
            message.reply_channel.send({"accept": True})

        def receive(message):
            found.append("headers" in message.content)

        client = WSClient()
        client.set_header("origin", b"http://testserver")
        with apply_routes(
            [route("websocket.connect", connect), route("websocket.receive", receive)]
        ):
            client.send_and_consume("websocket.connect")
            client.send_and_consume("websocket.receive", text="hello")

        assert 'dict(message["headers"]).get(b"origin")' in PAGE
        assert found == [b"http://testserver", False]
