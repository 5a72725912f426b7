"""djchan.deploy_checks: what is open on a deployed site is told, and nothing on a good one."""

import io

import pytest
from django.core.checks import Info, Warning, run_checks
from django.core.management import call_command
from django.urls import include as urls_include
from django.urls import path

from djchan import Channel
from djchan.asgi import channel_layers
from djchan.deploy_checks import (
    check_any_origin,
    check_host_and_origin,
    check_hosts,
    check_limits,
    check_memory,
    check_root_path,
    check_session_key,
    check_sessions,
    check_waiting,
)
from djchan.routing import include, route
from djchan.security.websockets import any_origin
from djchan.urls import websocket
from tests.support.waiting import free_port

IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"
REDIS = "djchan.layers.redis.RedisChannelLayer"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
DATABASE = "django.contrib.sessions.backends.db"


def ids(messages):
    return [message.id for message in messages]


def consumer(message):
    pass


@pytest.fixture
def layer(settings):
    def configure(backend=REDIS, routing=(), **config):
        settings.CHANNEL_LAYERS = {
            "default": {"BACKEND": backend, "ROUTING": list(routing), "CONFIG": config}
        }

    return configure


def test_a_good_site_is_told_nothing(settings, broker):
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.CHANNEL_STRICT_ORIGIN = settings.CHANNEL_WEBSOCKET_HOSTS = True
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": {"hosts": [broker.url]}}
    }
    assert ids(run_checks(tags=["djchan"], include_deployment_checks=True)) == []
    channel_layers["default"].channel_layer.close()


def test_all_of_them_run_with_deploy_alone(settings):
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    settings.CHANNEL_SESSION_KEY_IN_QUERY = True
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.CACHES = {"default": {"BACKEND": LOCMEM}}
    far = {"hosts": [f"redis://192.0.2.1:{free_port()}"], "connection_kwargs": {}}
    far["connection_kwargs"]["socket_connect_timeout"] = 0.1
    routing = [route("websocket.connect", any_origin(lambda message: None))]
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": IN_MEMORY, "ROUTING": routing},
        "far": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": far},
    }
    Channel("nobody").send({})
    assert ids(run_checks(tags=["djchan"])) == []
    told = ids(run_checks(tags=["djchan"], include_deployment_checks=True))
    numbers = (
        "E009",
        "I001",
        "I004",
        "I005",
        "W002",
        "W004",
        "W005",
        "W006",
        "W007",
        "W008",
        "W009",
    )
    assert sorted(told) == [f"djchan.{number}" for number in numbers]


def test_the_command_prints_them(settings):
    settings.CHANNEL_SESSION_KEY_IN_QUERY = True
    errors = io.StringIO()
    call_command("check", "--deploy", "--tag=djchan", stderr=errors, stdout=io.StringIO())
    assert "djchan.W004" in errors.getvalue()


class TestMemory:
    def test_with_debug_too(self, settings, layer):
        layer(IN_MEMORY)
        settings.DEBUG = True
        assert ids(check_memory(None)) == ["djchan.W002"]

    def test_without_it_another_check_says_so(self, settings, layer):
        layer(IN_MEMORY)
        settings.DEBUG = False
        assert check_memory(None) == []

    def test_redis(self, settings, layer):
        layer()
        settings.DEBUG = True
        assert check_memory(None) == []


class TestSessionKey:
    def test_off(self):
        assert check_session_key(None) == []

    def test_on(self, settings):
        settings.CHANNEL_SESSION_KEY_IN_QUERY = True
        assert ids(check_session_key(None)) == ["djchan.W004"]


class TestHosts:
    @pytest.mark.parametrize("hosts", [["example.com"], [".example.com"], []])
    def test_named(self, settings, hosts):
        settings.ALLOWED_HOSTS = hosts
        assert check_hosts(None) == []

    def test_every_host(self, settings):
        settings.ALLOWED_HOSTS = ["example.com", "*"]
        (message,) = check_hosts(None)
        assert isinstance(message, Warning)
        assert message.id == "djchan.W005"
        assert "any_origin" in message.hint


class TestSessions:
    @pytest.mark.parametrize("engine", ["cache", "cached_db"])
    def test_in_one_process(self, settings, engine):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        settings.CACHES = {"default": {"BACKEND": LOCMEM}}
        (message,) = check_sessions(None)
        assert message.id == "djchan.W008"
        assert message.msg.startswith("SESSION_ENGINE keeps")

    def test_those_of_channels_too(self, settings):
        settings.SESSION_ENGINE = DATABASE
        settings.CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.cache"
        settings.CACHES = {"default": {"BACKEND": LOCMEM}}
        (message,) = check_sessions(None)
        assert message.msg.startswith("CHANNEL_SESSION_ENGINE keeps")

    def test_shared(self, settings):
        settings.SESSION_ENGINE = DATABASE
        settings.CACHES = {"default": {"BACKEND": LOCMEM}}
        assert check_sessions(None) == []
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
        assert check_sessions(None) == []


class TestWaiting:
    def test_on_a_channel_that_nobody_routes(self, layer):
        layer(IN_MEMORY, [route("thumbnails", consumer)])
        for name in ("thumbnails", "thumbnial", "thumbnial"):
            Channel(name).send({"id": 1})
        (message,) = check_waiting(None)
        assert message.id == "djchan.W009"
        assert message.msg.startswith(
            "Messages wait on 'thumbnial' of the channel layer 'default' (2)"
        )
        assert "route('thumbnial', …)" in message.hint

    def test_delayed_ones_are_rundelays(self, layer):
        layer(IN_MEMORY)
        Channel("asgi.delay").send({"channel": "x", "content": {}, "delay": 1})
        assert check_waiting(None) == []

    def test_a_routing_that_cannot_be_is_another_checks_matter(self, layer):
        layer(IN_MEMORY, [7])
        Channel("nobody").send({})
        assert check_waiting(None) == []


class TestAnyOrigin:
    def test_nobody(self, layer):
        layer(IN_MEMORY, [route("websocket.connect", consumer), route("x", consumer)])
        assert check_any_origin(None) == []

    def test_who_has_opted_out_is_named(self, layer):
        @any_origin
        def public(message):
            pass

        inner = [route("websocket.connect", public), route("websocket.receive", public)]
        layer(IN_MEMORY, [include(inner, path="^/public"), route("websocket.connect", consumer)])
        (message,) = check_any_origin(None)
        assert isinstance(message, Info)
        assert message.id == "djchan.I001"
        assert message.msg.count("public") == 1

    def test_socket_views_too(self, settings, layer):
        @any_origin
        async def stream(socket):
            pass

        async def ours(socket):
            pass

        layer(IN_MEMORY)
        inner = [websocket("a/", stream), websocket("b/", ours)]
        settings.ROOT_URLCONF = (path("in/", urls_include(inner)),)
        (message,) = check_any_origin(None)
        assert message.id == "djchan.I001"
        assert "stream" in message.msg and "ours" not in message.msg


class TestLimits:
    def test_the_defaults_have_all(self, layer):
        layer(IN_MEMORY)
        assert check_limits(None) == []

    def test_those_that_are_off_are_named(self, settings):
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": IN_MEMORY,
                "ROUTING": [],
                "CONFIG": {"group_expiry": 0},
                "INTERFACE": {
                    "http_timeout": None,
                    "http_idle_timeout": None,
                    "http_send_timeout": None,
                    "http_header_timeout": None,
                    "http_body_timeout": None,
                },
                "WORKER": {"run_limit": 0, "http_run_limit": 0},
            }
        }
        (message,) = check_limits(None)
        assert isinstance(message, Info)
        assert message.id == "djchan.I002"
        for name in (
            *("group_expiry", "http_timeout", "http_idle_timeout", "http_send_timeout"),
            *("http_header_timeout", "http_body_timeout", "run_limit", "http_run_limit"),
        ):
            assert f"{name} " in message.msg


def test_hosts_and_origins_of_sockets_are_advised(settings):
    assert ids(check_host_and_origin(None)) == ["djchan.I004", "djchan.I005"]
    settings.CHANNEL_STRICT_ORIGIN = settings.CHANNEL_WEBSOCKET_HOSTS = True
    assert check_host_and_origin(None) == []


def test_a_header_that_chooses_the_prefix_is_told(settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": REDIS,
            "ROUTING": [],
            "INTERFACE": {"root_path_header": True},
        }
    }
    assert ids(check_root_path(None)) == ["djchan.I006"]
