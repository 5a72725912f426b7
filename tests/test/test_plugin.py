"""The pytest plugin, where it is not wanted, and where it cannot work."""

import re
import tomllib
from importlib import import_module

import pytest

from tests.support.processes import ROOT, Processes

TEST = """
import sys

def test_nothing_of_djchan_is_asked_for():
    assert "django" not in sys.modules and "djchan.asgi" not in sys.modules

def test_a_fixture(FIXTURE):
    pass
"""


@pytest.mark.parametrize("fixture", ["channel_layer", "ws_client", "channel_live_server"])
def test_a_project_without_django_is_left_alone_and_told(processes: Processes, tmp_path, fixture):
    (tmp_path / "test_it.py").write_text(TEST.replace("FIXTURE", fixture))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:randomly\n")
    plugins = [f"-pno:{name}" for name in ("django", "asyncio", "xdist", "djchan", "valkey")]
    ran = processes.python(
        *("-m", "pytest", *plugins, "-pdjchan.test.plugin", "-pno:cacheprovider", "test_it.py"),
        env={"DJANGO_SETTINGS_MODULE": ""},
        cwd=tmp_path,
    )
    assert ran.wait_exit(timeout=15) == 1, ran.output()
    assert re.search(r"1 passed, 1 error", ran.output()), ran.output()
    assert f"The fixture {fixture} needs Django's settings" in ran.output()
    assert "Install pytest-django" in ran.output()


def test_it_is_an_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plugin = import_module(project["entry-points"]["pytest11"]["djchan"])
    for name in ("channel_layer", "ws_client", "channel_live_server"):
        assert hasattr(plugin, name)
