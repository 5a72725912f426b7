"""Live tests: ``manage.py test`` of a small project, with real processes and sockets."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from djchan.test import ChannelLiveServerTestCase
from djchan.test.liveserver import WorkerProcess
from tests.support.processes import ROOT
from tests.support.servers import Server
from tests.support.waiting import wait_for

PROJECT = Path(__file__).parent / "live"
IN_MEMORY = {"BACKEND": "asgiref.inmemory.ChannelLayer"}


def run_tests(layer: dict[str, object], folder: Path, label: str = "livesite.cases") -> str:
    """What the project's test runner prints."""
    ran = subprocess.run(
        [sys.executable, "manage.py", "test", label, "--noinput", "--verbosity=2"],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "livesite.settings",
            "LAYER": json.dumps(layer),
            "FOLDER": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ran.stderr


@pytest.mark.timeout(90)
def test_with_a_layer_in_memory(tmp_path):
    printed = run_tests(IN_MEMORY, tmp_path)
    assert "OK (skipped=3)" in printed, printed
    assert printed.count(" ... ok\n") == 2


@pytest.mark.timeout(90)
def test_with_redis(own_broker: Server, tmp_path):
    layer = {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": ["redis://127.0.0.1:1"]},
        "TEST_CONFIG": {"hosts": [own_broker.url]},
    }
    printed = run_tests(layer, tmp_path)
    assert "OK (skipped=1)" in printed, printed
    assert printed.count(" ... ok\n") == 4


@pytest.mark.timeout(90)
def test_a_process_that_cannot_start_fails_its_test_and_says_why(own_broker: Server, tmp_path):
    layer = {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "TEST_CONFIG": {"hosts": [own_broker.url]},
    }
    printed = run_tests(layer, tmp_path, "livesite.failing")
    assert "RuntimeError: WorkerProcess of a live test could not start:" in printed
    assert "KeyError: 'mine'" in printed
    assert "ImproperlyConfigured: TwoLayersTests serves the default channel layer, and" in printed
    assert "No TEST_CONFIG specified for default" in printed
    assert re.search(r"Ran 3 tests .*\n\nFAILED \(errors=3\)", printed), printed


@pytest.mark.timeout(60)
def test_no_process_stays_when_that_of_the_test_is_killed(tmp_path):
    run_tests(IN_MEMORY, tmp_path, "livesite.killed")
    pid = (tmp_path / "pid").read_text()
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), timeout=15, what=f"{pid} ends")


class InMemoryTests(ChannelLiveServerTestCase):
    def test_nothing(self):
        raise AssertionError


# pytest is not to run it by itself.
InMemoryTests.__test__ = False


def error_of(case: type[ChannelLiveServerTestCase]) -> str:
    result = unittest.TestResult()
    case("test_nothing").run(result)
    ((_, error),) = result.errors
    assert result.testsRun == 1
    return error


@pytest.mark.django_db
def test_a_database_in_memory_is_refused():
    error = error_of(InMemoryTests)
    assert "ImproperlyConfigured: InMemoryTests cannot be used with the in-memory" in error
    with pytest.raises(ImproperlyConfigured):
        InMemoryTests("test_nothing").debug()


@pytest.mark.django_db
def test_a_class_that_no_process_could_import_is_refused(monkeypatch):
    class Local(InMemoryTests):
        pass

    monkeypatch.setattr("django.db.connection.is_in_memory_db", lambda: False)
    assert "must be a class of a module that other processes can import" in error_of(Local)


def test_the_processes_are_those_of_1_x_by_name():
    assert ChannelLiveServerTestCase.host == "localhost"
    assert ChannelLiveServerTestCase.serve_static is True
    assert ChannelLiveServerTestCase.worker_threads == 1
    assert ChannelLiveServerTestCase.WorkerProcess is WorkerProcess
