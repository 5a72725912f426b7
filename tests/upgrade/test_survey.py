"""Whose Channels a project has."""

from pathlib import Path

import pytest

from djchan.upgrade.modules import parsed
from djchan.upgrade.survey import own_roots, survey


@pytest.mark.parametrize(
    ("source", "later"),
    [
        ("from channels.generic.websocket import WebsocketConsumer", True),
        ("from channels.routing import (\n    ProtocolTypeRouter,\n)", True),
        ("X = {'BACKEND': 'channels_redis.core.RedisChannelLayer'}", True),
        ("from channels.generic.websockets import WebsocketConsumer", False),
        ("from channels import Group\nimport channels.layers", False),
        ("import djchan\nimport channels.layers", False),
        ("X = {'BACKEND': 'asgi_redis.RedisChannelLayer'}", False),
        ("from channels.exceptions import DenyConnection", False),
        ("from .channels.db import x", False),
        ("import channels_redis_x", False),
    ],
)
def test_a_later_channels(source: str, later: bool):
    assert survey({Path("a.py"): (source, parsed(source))}).is_later is later


def test_it_says_where():
    source = "\nfrom channels.db import database_sync_to_async\n"

    [sign] = survey({Path("a.py"): (source, parsed(source))}).later

    assert sign == (Path("a.py"), 2, "channels.db.database_sync_to_async")


@pytest.mark.parametrize("name", ["channels.py", "channels/__init__.py"])
def test_a_package_of_its_own(tmp_path: Path, name: str):
    (tmp_path / "channels").mkdir()
    (tmp_path / name).touch()

    assert own_roots([tmp_path / name]) == {tmp_path}


@pytest.mark.parametrize("name", ["channels.py", "channels/__init__.py"])
def test_a_package_inside_another_is_not_the_root(tmp_path: Path, name: str):
    (tmp_path / "channels").mkdir()
    (tmp_path / name).touch()
    (tmp_path / "__init__.py").touch()

    assert own_roots([tmp_path / name]) == frozenset()
