"""Two rundelay processes over Redis: on time, each message once, and gone at SIGTERM."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from djchan import Channel
from djchan.asgi import ChannelLayerWrapper
from djchan.layers.redis import RedisChannelLayer
from tests.support.processes import ROOT
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]

SETTINGS = """
SECRET_KEY = "only-for-tests"
USE_TZ = True
INSTALLED_APPS = ["djchan", "djchan.delay"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": %r}}
CHANNEL_LAYERS = {"default": {"BACKEND": "djchan.layers.redis.RedisChannelLayer",
                              "ROUTING": [], "CONFIG": {"hosts": [%r]}}}
"""
ROWS = """
from djchan.delay.models import DelayedMessage
for n in range(20):
    DelayedMessage.objects.create(channel_name="x", content='{"row": %d}' % n, delay=-1)
"""


def test_two_processes_are_on_time_and_send_each_message_once(own_broker, tmp_path):
    database = str(tmp_path / "db.sqlite3")
    (tmp_path / "delay_settings.py").write_text(SETTINGS % (database, own_broker.url))
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "delay_settings",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
    }
    django = [sys.executable, "-m", "django"]
    subprocess.run([*django, "migrate", "-v0"], env=env, check=True)
    subprocess.run([*django, "shell", "-v0", "-c", ROWS], env=env, check=True)
    log = tmp_path / "log"
    with log.open("w") as out:
        pair = [
            subprocess.Popen(
                [*django, "rundelay", "-s", "0.05"], env=env, stdout=out, stderr=subprocess.STDOUT
            )
            for _ in range(2)
        ]
    wrapper = ChannelLayerWrapper(RedisChannelLayer(hosts=[own_broker.url]), "default", [])
    try:
        wait_for(
            lambda: len(re.findall("is ready", log.read_text())) == 2,
            timeout=15,
            what="two processes",
        )
        begun = time.monotonic()
        for n in range(20):
            Channel("asgi.delay", channel_layer=wrapper).send(
                {"channel": "x", "delay": 300, "content": {"asked": n}}
            )
        got, when = [], []

        def receive():
            name, content = wrapper.receive(["x"])
            if name is not None:
                got.append(json.dumps(content))
                when.extend([time.monotonic()] * ("asked" in content))
            return len(got) >= 40

        wait_for(receive, timeout=15, what="forty messages")
        assert sorted(got) == sorted(
            json.dumps({key: n}) for key in ("row", "asked") for n in range(20)
        )
        assert min(when) - begun >= 0.29
        assert wrapper.receive(["x"]) == (None, None)
    finally:
        for each in pair:
            each.send_signal(signal.SIGTERM)
        codes = [each.wait(15) for each in pair]
        wrapper.channel_layer.close()
    assert codes == [0, 0], log.read_text()
    assert "Traceback" not in log.read_text()


def test_it_needs_no_database(own_broker, processes, tmp_path):
    settings = SETTINGS % ("", own_broker.url)
    lines = [line for line in settings.splitlines() if not line.startswith("DATABASES")]
    (tmp_path / "bare_settings.py").write_text("\n".join(lines))
    env = {"DJANGO_SETTINGS_MODULE": "bare_settings", "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    process = processes.python("-m", "django", "rundelay", "-s", "0.05", env=env, cwd=tmp_path)
    process.wait_printed("is ready")
    wrapper = ChannelLayerWrapper(RedisChannelLayer(hosts=[own_broker.url]), "default", [])
    Channel("asgi.delay", channel_layer=wrapper).send(
        {"channel": "x", "delay": 100, "content": {"n": 1}}
    )
    got = []

    def came():
        got.append(wrapper.receive(["x"], block=True))
        return got[-1][0]

    wait_for(came, timeout=10, what="the message")
    assert got[-1] == ("x", {"n": 1})
    wrapper.channel_layer.close()
    assert process.stop() == 0
    assert "Traceback" not in process.output()
