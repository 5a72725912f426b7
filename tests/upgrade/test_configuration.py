"""Settings: what is told of them, however they are given."""

import pytest

from djchan.upgrade.configuration import notes
from tests.support.upgrading import about, project


def told(files: dict[str, str] | str) -> list[tuple[str, int, str]]:
    files = {"app.py": files} if isinstance(files, str) else files
    return sorted(notes(project({"key.py": "SECRET_KEY = 'x'", **files})))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("CHANNEL_LAYERS = {'a': {'CONFIG': {'hosts': [one, two]}}}", "one Redis"),
        ("CHANNELS_WS_PROTOCOLS = ['a']", "every server"),
        ("MIDDLEWARE_CLASSES = []", "MIDDLEWARE"),
        ("MIDDLEWARE_CLASSES += ('a',)", "MIDDLEWARE"),
        ("settings.MIDDLEWARE_CLASSES = []", "MIDDLEWARE"),
        ("TEMPLATE_DIRS = ('templates',)", "TEMPLATES"),
        ("LOCAL_APPS = ['djchan.delay']", "--fake"),
        ("LOCAL_APPS = ['channels_presence']", "channels_presence"),
        ("APPS = ['channels_presence']", "channels_presence"),
        ("CHANNEL_LAYERS = {'default': {'BACKEND': 'asgi_amqp.Layer'}}", "asgi_amqp.Layer"),
        (
            "X = ['django.contrib.auth.middleware.SessionAuthenticationMiddleware']",
            "no such middleware",
        ),
        ("X = ['django.core.context_processors.request']", "django.template"),
    ],
)
def test_one_note(line: str, word: str):
    [(_, number, sentence)] = told(f"\n{line}\n")
    assert number == 2
    assert word in sentence


@pytest.mark.parametrize(
    "line",
    [
        "CHANNEL_LAYERS = {'default': {'BACKEND': 'djchan.layers.redis.RedisChannelLayer'}}",
        "CHANNEL_LAYERS = {'a': {'CONFIG': {'hosts': [(host, 6379)]}}}",
        "CHANNEL_LAYERS = {'a': {'BACKEND': 'asgi_redis.RedisSentinelChannelLayer', "
        "'CONFIG': {'hosts': [one, two]}}}",
        "INSTALLED_APPS = ['a']",
        "hosts = [one, two]",
        "x = {'MIDDLEWARE_CLASSES_X': 1}",
    ],
)
def test_none(line: str):
    assert told(line) == []


def test_the_element_of_a_long_list_has_its_own_line():
    [(_, line, _)] = told("X_APPS = [\n    'a',\n    'channels.delay',\n]\n")

    assert line == 3


# In each of them two hosts are on line 4.
LAYERS = {
    "keywords of configure": """
        settings.configure(
            CHANNEL_LAYERS={"default": {"CONFIG": {
                "hosts": [one, two]}}})
    """,
    "dict()": """
        CHANNEL_LAYERS = dict(
            default=dict(BACKEND="asgi_redis.RedisChannelLayer", CONFIG=dict(
                hosts=[one, two])))
    """,
    "items of a dict for **": """
        DEFAULTS = {
            "CHANNEL_LAYERS": {"default": {"CONFIG": {
                "hosts": [one, two]}}}}
        settings.configure(**DEFAULTS)
    """,
    "an item": """
        CHANNEL_LAYERS = {"default": {"BACKEND": "asgi_redis.RedisChannelLayer"}}

        CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": [one, two]}
    """,
    "a name": """
        X = 1

        REDIS = [one, two]
        CONFIG = {"hosts": REDIS}
        CHANNEL_LAYERS = {"default": {"CONFIG": CONFIG}}
    """,
    "** inside": """
        BASE = {"BACKEND": "asgi_redis.RedisChannelLayer",
                "CONFIG": {
                    "hosts": [one, two]}}
        CHANNEL_LAYERS = {"default": {**BASE, "ROUTING": "a.b"}}
    """,
    "a class of settings": """
        class Production(Configuration):
            CHANNEL_LAYERS = {"default": {"CONFIG": {
                "hosts": [one, two]}}}
    """,
    "a test": """
        @override_settings(
            CHANNEL_LAYERS={"default": {"CONFIG": {
                "hosts": [one, two]}}})
        def test(): pass
    """,
}


@pytest.mark.parametrize("source", LAYERS.values(), ids=LAYERS)
def test_layers_in_whatever_way_they_are_given(source: str):
    found = notes(project({"settings.py": source}))

    assert about("one Redis", found) == [("settings.py", 4)]


def test_the_delay_app_in_a_list_of_any_name():
    found = told("EXTRA = ['a',\n'channels.delay']\nINSTALLED_APPS = BASE + EXTRA")

    assert [line for _, line, _ in found] == [2]


def test_a_layer_of_the_project_that_is_made_of_ours():
    files = {
        "site/layers.py": "from asgi_redis import RedisChannelLayer\n"
        "class Layer(RedisChannelLayer): pass\nclass Other: pass\n",
        "settings.py": "SECRET_KEY = 'x'\nCHANNEL_LAYERS = {'a': {'BACKEND': 'site.layers.Layer'},"
        "\n'b': {'BACKEND': 'site.layers.Other'}}\n",
    }

    assert [line for _, line, _ in told(files)] == [3]


def test_no_secret_key():
    line = "settings.configure(CHANNEL_LAYERS={'a': {}})"

    assert about("signed", notes(project({"runtests.py": line}))) == [("runtests.py", 1)]
    assert told({"runtests.py": line, "b.py": "SECRET_KEY = 'x'"}) == []


@pytest.mark.parametrize(
    ("line", "told_of"),
    [
        ("SECRET_KEY = get_random_secret_key()", True),
        (
            "SECRET_KEY = environ.get('KEY', ''.join(random.choice(LETTERS) for _ in 'x' * 40))",
            True,
        ),
        ("SECRET_KEY = os.environ.get('KEY') or str(uuid.uuid4())", True),
        ("settings.configure(SECRET_KEY=secrets.token_hex())", True),
        ("SECRET_KEY = os.environ['SECRET_KEY']", False),
        ("SECRET_KEY = ''.join(random.sample(LETTERS, 40))", True),
        ("SECRET_KEY = 'random.choice()'", False),
        ("SECRET_KEY = secrets['SECRET_KEY']", False),
    ],
)
def test_a_secret_key_that_each_process_makes_for_itself(line: str, told_of: bool):
    assert about("all processes", notes(project({"a.py": line}))) == [("a.py", 1)] * told_of


def test_layers_in_several_files():
    files = {
        "site/settings/layers.py": """
            HOSTS = [one, two]
        """,
        "site/settings/base.py": """
            from . import layers
            from .layers import HOSTS
            CHANNEL_LAYERS = {
                "default": {"CONFIG": {"hosts": HOSTS}},
                "other": {"CONFIG": {"hosts": layers.HOSTS}},
            }
        """,
    }

    assert set(about("one Redis", notes(project(files)))) == {("site/settings/layers.py", 2)}


class TestPrimaryKeys:
    MODEL = "from django.db import models\n\nclass Room(models.Model): pass\n"

    def test_once_where_most_apps_are_listed(self):
        files = {
            "chat/models.py": self.MODEL,
            "settings/a.py": "from .base import *\nINSTALLED_APPS += ['debug_toolbar']\n",
            "settings/base.py": "\nINSTALLED_APPS = ['django.contrib.auth', 'chat']\n",
        }

        assert about("DEFAULT_AUTO_FIELD", notes(project(files))) == [("settings/base.py", 2)]

    def test_as_a_keyword(self):
        files = {
            "chat/models.py": self.MODEL,
            "runtests.py": "settings.configure(\n    INSTALLED_APPS=['chat'])\n",
        }

        assert about("DEFAULT_AUTO_FIELD", notes(project(files))) == [("runtests.py", 2)]

    def test_in_a_reusable_app_the_app_config(self):
        files = {
            "chat/models.py": self.MODEL,
            "tests/settings.py": "INSTALLED_APPS = ['chat']\n",
        }

        assert about("AppConfig", notes(project(files))) == [("chat/models.py", 3)]

    @pytest.mark.parametrize(
        ("path", "source"),
        [
            ("chat/models.py", "class Room: pass\n"),
            ("chat/forms.py", "from django import forms\nclass Room(forms.ModelForm): pass\n"),
            ("chat/tests.py", MODEL),
            ("chat/models.py", f"DEFAULT_AUTO_FIELD = 'x'\n{MODEL}"),
            ("chat/models.py", f"{MODEL}class C(AppConfig):\n    default_auto_field = 'x'\n"),
        ],
    )
    def test_not_without_models_nor_where_it_is_set(self, path: str, source: str):
        files = {path: source, "settings.py": "INSTALLED_APPS = ['django.contrib.auth']\n"}

        assert told(files) == []


class TestDatabases:
    TESTS = """
        from channels.test import ChannelTestCase
        from django.test import SimpleTestCase, TestCase
        from unittest import TestCase as Plain
        class A(ChannelTestCase): pass
        class B(TestCase):
            databases = "__all__"
        class C(B): pass
        class D(SimpleTestCase): pass
        class E(Plain): pass
        class F(A): pass
    """

    @pytest.mark.parametrize(
        "settings",
        [
            "DATABASES = {'default': {}, 'logs': {}}",
            "DATABASES = {'default': {}}\nDATABASES['logs'] = {}",
            "DATABASES = dict(default={}, logs={})",
        ],
    )
    def test_of_two_in_tests_that_name_none(self, settings: str):
        [(path, line, sentence)] = told({"chat/tests.py": self.TESTS, "settings.py": settings})

        assert (path, line) == ("chat/tests.py", 5)
        assert "and 1 more of tests" in sentence
        assert 'databases = {"default"' in sentence

    def test_of_one(self):
        files = {"chat/tests.py": self.TESTS, "settings.py": "DATABASES = {'default': {}}"}

        assert told(files) == []
