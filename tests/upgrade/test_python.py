"""Imports, bound names and strings of Python files; everything else stays to the byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from djchan.asgi import InvalidChannelLayerError, backend_path
from djchan.upgrade.python import NoBackend, may_concern, rewritten
from djchan.upgrade.source import Text, Unreadable, python_text


def backend(dotted: str) -> str:
    try:
        return backend_path("default", dotted)
    except InvalidChannelLayerError as error:
        raise NoBackend(error.hint) from error


def rewrite(source: str) -> str:
    return rewritten(Text(source, "utf-8"), "app.py", backend)[0].text


def notes(source: str) -> list[tuple[int, str]]:
    return [
        (note.line, note.sentence)
        for note in rewritten(Text(source, "utf-8"), "app.py", backend)[1]
    ]


class TestImports:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("import channels\n", "import djchan\n"),
            ("import channels as c\n", "import djchan as c\n"),
            (
                "from channels.tests import ChannelTestCase\n",
                "from djchan.test import ChannelTestCase\n",
            ),
            ("from channels.tests.base import *\n", "from djchan.test.base import *\n"),
            ("from channels import tests\n", "from djchan import test as tests\n"),
            ("from channels import tests as t\n", "from djchan import test as t\n"),
            (
                "import channels.tests.base\nchannels . tests.base.Client\n",
                "import djchan.test.base\ndjchan . test.base.Client\n",
            ),
            ("import os, channels.routing as z\n", "import os, djchan.routing as z\n"),
            (
                "from channels import Group, route  # both\n",
                "from djchan import Group, route  # both\n",
            ),
            ("from channels.auth import (\n    http_session_user,\n)\n", None),
            ("from  channels . sessions  import channel_session\n", None),
            ("from channels.generic.websockets import *\n", None),
            ("from channels import auth, sessions\n", None),
        ],
    )
    def test_the_root_is_replaced(self, before: str, after: str | None):
        assert rewrite(before) == (after or before.replace("channels", "djchan", 1))

    def test_names_that_an_import_binds(self):
        before = (
            "import channels\n"
            "import channels.log\n"
            "def send():\n"
            "    channels.Group('x').send({})\n"
            "    channels.log.handler = channels . asgi.channel_layers\n"
        )

        assert rewrite(before) == before.replace("channels.", "djchan.").replace(
            "channels .", "djchan ."
        ).replace("import channels\n", "import djchan\n").replace(
            "asgi.djchan", "asgi.channels"
        ).replace("asgi.channel_", "asgi.channel_")

    @pytest.mark.parametrize(
        "source",
        [
            "from .channels import Group\n",
            "from . import channels\nchannels.Group\n",
            "from shop import channels\nchannels.Group('x')\n",
            "from shop.channels import Group\n",
            "import shop.channels\nshop.channels.Group\n",
            "import shop as channels\nchannels.Group\n",
            "def f(channels):\n    return channels.Group\n",
            "import channels_redis\n",
            "class A:\n    channels = 3\n    def f(self): return self.channels\n",
        ],
    )
    def test_another_channels_is_left_alone(self, source: str):
        assert rewrite(source) == source
        assert notes(source) == []

    def test_a_parameter_hides_the_import(self):
        before = "import channels\ndef f(channels):\n    return channels.Group\n"

        assert rewrite(before) == before.replace("import channels", "import djchan")

    def test_a_later_channels_beside_ours(self):
        source = "from channels.generic.websocket import AsyncWebsocketConsumer\n"

        assert rewrite(source) == source
        assert notes(source) == []

    def test_one_import_of_two_channels_is_left_to_a_person(self):
        source = "from channels import Group, layers\n"

        assert rewrite(source) == source
        [(line, sentence)] = notes(source)
        assert line == 1
        assert "channels.layers" in sentence

    def test_no_public_name(self):
        source = "\nfrom channels import Spam\n"

        assert rewrite(source) == source
        assert notes(source) == [
            (2, "channels.Spam is no public name of Channels 1.x: left as it is.")
        ]

    def test_layers_are_imported_under_their_old_names(self):
        assert rewrite(
            "from asgi_redis import RedisChannelLayer\n"
            "from asgiref.inmemory import ChannelLayer\n"
            "from asgiref.inmemory import ChannelLayer as Layer\n"
            "from asgiref.sync import sync_to_async\n"
        ) == (
            "from djchan.layers.redis import RedisChannelLayer\n"
            "from djchan.layers.inmemory import InMemoryChannelLayer as ChannelLayer\n"
            "from djchan.layers.inmemory import InMemoryChannelLayer as Layer\n"
            "from asgiref.sync import sync_to_async\n"
        )


class TestStrings:
    @pytest.mark.parametrize(
        "code",
        [
            "mock.patch('channels.sessions.channel_session.load')",
            'import_string("channels.handler.AsgiHandler")',
            'import_module("channels")',
            "LOGGING = {'loggers': {'channels.worker': {}}}",
            'apps.is_installed(r"channels")',
            "x: 'channels.message.Message'",
        ],
    )
    def test_paths(self, code: str):
        assert rewrite(code) == code.replace("channels", "djchan", 1)

    @pytest.mark.parametrize(
        "code",
        [
            '"""channels.delay is what this is about"""',
            "Group('channels.worker').send({})",
            "route('channels.delay', consumer)",
            "b'channels.delay'",
            "f'channels.delay'",
            "'channels'",
            "'channels/x.js'",
            "'django.channels'",
            "'shop.channels.delay'",
            "'channels.views'",
            "'channels\\x2edelay'",
            "# channels.delay",
        ],
    )
    def test_what_is_none(self, code: str):
        assert rewrite(code) == code

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("asgi_redis.RedisChannelLayer", "djchan.layers.redis.RedisChannelLayer"),
            ("asgi_redis.core.RedisChannelLayer", "djchan.layers.redis.RedisChannelLayer"),
            (
                "asgi_redis.RedisSentinelChannelLayer",
                "djchan.layers.redis.RedisSentinelChannelLayer",
            ),
            ("asgiref.inmemory.ChannelLayer", "djchan.layers.inmemory.InMemoryChannelLayer"),
        ],
    )
    def test_backends(self, before: str, after: str):
        assert rewrite(f"X = {{'BACKEND': '{before}'}}") == f"X = {{'BACKEND': '{after}'}}"

    @pytest.mark.parametrize(
        "old", ["asgi_ipc.IPCChannelLayer", "asgi_rabbitmq.RabbitmqChannelLayer"]
    )
    def test_a_backend_without_successor(self, old: str):
        source = f'X = {{\n    "BACKEND": "{old}",\n}}\n'

        assert rewrite(source) == source
        [(line, sentence)] = notes(source)
        assert line == 2
        assert "djchan.layers.redis.RedisChannelLayer" in sentence

    def test_the_label_of_the_delay_app(self):
        assert rewrite(
            'dependencies = [("channels.delay", "0001_initial")]\n'
            'apps.get_model("channels.delay", "DelayedMessage")\n'
        ) == (
            'dependencies = [("djchan_delay", "0001_initial")]\n'
            'apps.get_model("djchan_delay", "DelayedMessage")\n'
        )

    def test_the_bridge_in_form_media(self):
        assert rewrite("js = ['channels/js/websocketbridge.js']") == (
            "js = ['djchan/js/websocketbridge.js']"
        )


def test_the_old_place_of_the_test_tools_in_a_string():
    assert rewrite("mock.patch('channels.tests.base.Client')") == (
        "mock.patch('djchan.test.base.Client')"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Template('{% load staticfiles%}')", "Template('{% load static%}')"),
        (
            "x = '''<p>\n{%load i18n staticfiles %}\n</p>'''",
            "x = '''<p>\n{%load i18n static %}\n</p>'''",
        ),
    ],
)
def test_templates_in_the_code(before: str, after: str):
    assert may_concern(before)
    assert rewrite(before) == after


class TestInstalledApps:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("['a', 'channels']", "['djchan', 'a']"),
            ("['a', 'channels', 'b']", "['djchan', 'a', 'b']"),
            ("('a', \"channels\",)", "(\"djchan\", 'a',)"),
            ("'a', 'channels'", "'djchan', 'a'"),
            ("['channels', 'a']", "['djchan', 'a']"),
            (
                "OTHERS + MORE\nOTHERS = ['a', 'channels']",
                "OTHERS + MORE\nOTHERS = ['djchan', 'a']",
            ),
            ("[*OTHERS, 'channels']", "['djchan', *OTHERS]"),
            ("(*BASE, 'channels', *MORE)", "('djchan', *BASE, *MORE)"),
            ("['a', 'channels'] + LOCAL", "['djchan', 'a'] + LOCAL"),
            ("tuple(['a', 'channels'])", "tuple(['djchan', 'a'])"),
            ("['a', 'channels.apps.ChannelsConfig']", "['djchan.apps.ChannelsConfig', 'a']"),
            ("['a', 'channels', 'channels.delay']", "['djchan', 'a', 'djchan.delay']"),
            ("[\n    'a',\n    'channels'\n]", "[\n    'djchan',\n    'a',\n]"),
            (
                "[  # all\n    # of Django\n    'a',\n\n    'channels',  # sockets\n    'b',\n]",
                "[  # all\n    'djchan',  # sockets\n    # of Django\n    'a',\n\n    'b',\n]",
            ),
            ("(\r\n\t'a',\r\n\t'channels',\r\n)", "(\r\n\t'djchan',\r\n\t'a',\r\n)"),
        ],
    )
    def test_to_the_front(self, before: str, after: str):
        assert rewrite(f"INSTALLED_APPS = {before}\n") == f"INSTALLED_APPS = {after}\n"
        assert notes(f"INSTALLED_APPS = {before}\n") == []

    @pytest.mark.parametrize(
        "line",
        [
            "INSTALLED_APPS += ['{}']",
            "THIRD_PARTY_APPS = ('a', '{}')",
            "INSTALLED_APPS = BASE + ['{}']",
            "THIRD_PARTY = ['{}']\nINSTALLED_APPS = BASE + THIRD_PARTY",
            "third_party = ('a', '{}')\nINSTALLED_APPS += third_party",
            "COMMON = ['django.contrib.auth', '{}']",
            "APPS = ['{}']",
            "settings.configure(INSTALLED_APPS=BASE + ['{}'])",
            "INSTALLED_APPS = [\n    *BASE,\n    # sockets\n\n'{}', 'a']",
            "INSTALLED_APPS.append('{}')",
            "INSTALLED_APPS = ['a'] + (['{}'] if SOCKETS else [])",
            "INSTALLED_APPS = ['django.contrib.staticfiles',  # first\n'{}', 'b']",
            "INSTALLED_APPS = ['daphne',\n# sockets\n'{}']",
        ],
    )
    def test_what_cannot_be_moved_is_told_before_and_after(self, line: str):
        before, after = line.format("channels"), line.format("djchan")

        assert rewrite(before) == after
        for source in (before, after):
            assert [
                sentence for _, sentence in notes(source) if "first in INSTALLED_APPS" in sentence
            ]

    @pytest.mark.parametrize(
        "line", ["INSTALLED_APPS.insert(0, '{}')", "settings.configure(INSTALLED_APPS=['{}', 'a'])"]
    )
    def test_what_is_in_front_is_not_told(self, line: str):
        assert rewrite(line.format("channels")) == line.format("djchan")
        assert notes(line.format("channels")) == []

    def test_the_keyword_of_a_test(self):
        assert rewrite("@override_settings(INSTALLED_APPS=['a', 'channels'])\ndef f(): pass\n") == (
            "@override_settings(INSTALLED_APPS=['djchan', 'a'])\ndef f(): pass\n"
        )

    def test_ours_beside_another_channels(self):
        source = "INSTALLED_APPS = ['djchan', 'daphne', 'channels']\n"

        assert rewrite(source) == source


def test_python_2_is_not_touched():
    with pytest.raises(Unreadable, match="not Python 3"):
        rewrite("from channels import Group\nprint 'x'\n")


LINES = st.sampled_from(
    [
        "import channels",
        "import channels.routing as r",
        "from channels import Group, route",
        "from channels.generic.websocket import WebsocketConsumer",
        "from .channels import Group",
        "channels.Group('x').send({'text': 'é'})",
        "INSTALLED_APPS = ['a', 'channels', 'channels.delay']",
        "INSTALLED_APPS = (\n    'a',  # ü\n    'channels'\n)",
        "THIRD_APPS = ['channels', 'b']",
        "X = {'BACKEND': 'asgi_redis.RedisChannelLayer', 'ROUTING': 'a.b'}",
        "Y = {'BACKEND': 'asgi_ipc.IPCChannelLayer'}",
        "def f(channels):\n\treturn channels.Group",
        "mock.patch('channels.worker.Worker')",
        "from asgiref.inmemory import ChannelLayer",
        "# channels",
        "x = '''channels\nchannels.delay'''",
        "if x:\n    pass ;  y  =  1   ",
        "",
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_twice_is_once_and_all_else_stays(lines: list[str], newline: str, ends: bool):
    source = "\n".join(lines).replace("\n", newline) + (newline if ends else "")

    once = rewrite(source)

    assert rewrite(once) == once
    # Nothing but names of ours came, whatever was moved.
    assert sorted(_rest(once)) == sorted(_rest(source))


def _rest(source: str) -> str:
    for name in ("djchan.layers.redis", "asgi_redis"):
        source = source.replace(name, "L")
    for name in ("djchan.layers.inmemory", "asgiref.inmemory"):
        source = source.replace(name, "M")
    source = source.replace("InMemoryChannelLayer as ChannelLayer", "ChannelLayer")
    # A last element that moves to the front leaves its comma behind.
    return source.replace("djchan", "channels").replace(",", "")


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbfx = 1\r\ny = 2\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"x = 1",
        b"\tif\n",
        b"",
        b"x = 1\x0c\ny = 2\r",
    ],
)
def test_files_without_channels_concern_nobody(raw: bytes):
    text = python_text(raw)

    assert not may_concern(text.text)
    assert text.encoded() == raw


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            b"\xef\xbb\xbffrom channels import Group\r\n",
            b"\xef\xbb\xbffrom djchan import Group\r\n",
        ),
        (
            b"# coding: cp1252\nimport channels # \x80\nchannels.Group('\xe9')",
            b"# coding: cp1252\nimport djchan # \x80\ndjchan.Group('\xe9')",
        ),
        (b"x = 1\r\nimport channels\ny = 2\n", b"x = 1\r\nimport djchan\ny = 2\n"),
    ],
)
def test_encodings_and_newlines_stay(before: bytes, after: bytes):
    assert rewritten(python_text(before), "app.py", backend)[0].encoded() == after


@pytest.mark.parametrize("raw", [b"# coding: spam\n", b"x = '\xff'\n"])
def test_what_cannot_be_decoded(raw: bytes):
    with pytest.raises(Unreadable, match="decoded"):
        python_text(raw)
