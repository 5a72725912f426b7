"""djchan.redis_checks: a Redis that strangers can reach or read is named."""

import secrets
import subprocess

import pytest

from djchan.asgi import channel_layers
from djchan.redis_checks import check_connections, check_keys, check_network
from tests.support.waiting import free_port

IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"
REDIS = "djchan.layers.redis.RedisChannelLayer"
SENTINEL = "djchan.layers.redis.RedisSentinelChannelLayer"
FERNET_KEY = "a-long-enough-secret-of-the-test"


def ids(messages):
    return [message.id for message in messages]


@pytest.fixture
def layer(settings):
    def configure(backend=REDIS, routing=(), **config):
        settings.CHANNEL_LAYERS = {
            "default": {"BACKEND": backend, "ROUTING": list(routing), "CONFIG": config}
        }

    return configure


class TestNetwork:
    @pytest.mark.parametrize(
        "host",
        [
            ("localhost", 6379),
            "redis://127.0.0.1:6379/0",
            "redis://[::1]:6379/0",
            "unix:///run/redis/redis.sock",
            "redis://",
        ],
    )
    def test_this_machine(self, layer, host):
        layer(hosts=[host])
        assert check_network(None) == []

    @pytest.mark.parametrize(
        ("host", "told"),
        [
            ("redis://cache.example.com/0", ["djchan.W006", "djchan.W007"]),
            (("10.0.0.7", 6379), ["djchan.W006", "djchan.W007"]),
            ("redis://:secret@cache.example.com/0", ["djchan.W006", "djchan.I003"]),
            ("redis://me:secret@cache.example.com/0", ["djchan.W006"]),
            ("rediss://cache.example.com/0", ["djchan.W007"]),
            ("rediss://:secret@cache.example.com/0", ["djchan.I003"]),
            ("rediss://default:secret@cache.example.com/0", ["djchan.I003"]),
            ("rediss://me:secret@cache.example.com/0", []),
            ("rediss://me:secret@cache.example.com/0?ssl_cert_reqs=none", ["djchan.W010"]),
            ("rediss://me:secret@cache.example.com/0?ssl_cert_reqs=optional", ["djchan.W010"]),
            ("rediss://me:secret@cache.example.com/0?ssl_check_hostname=false", ["djchan.W010"]),
        ],
    )
    def test_another_machine(self, layer, host, told):
        layer(hosts=[host])
        messages = check_network(None)
        assert ids(messages) == told
        for message in messages:
            assert "'default'" in message.msg
            assert "secret" not in message.msg
            assert "SILENCED_SYSTEM_CHECKS" in message.hint or message.id == "djchan.I003"

    def test_encrypted(self, layer):
        keys = [FERNET_KEY]
        layer(hosts=["redis://me:pw@cache/0"], symmetric_encryption_keys=keys)
        assert ids(check_network(None)) == ["djchan.W012"]
        layer(hosts=["redis://cache/0"], symmetric_encryption_keys=keys)
        assert ids(check_network(None)) == ["djchan.W012", "djchan.W007"]
        layer(hosts=["rediss://me:pw@cache/0"], symmetric_encryption_keys=keys)
        assert check_network(None) == []

    def test_a_certificate_is_a_name(self, layer, tmp_path):
        files = {"ssl_certfile": str(tmp_path / "pem"), "ssl_keyfile": str(tmp_path / "key")}
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me"]
        command += ["-keyout", files["ssl_keyfile"], "-out", files["ssl_certfile"]]
        subprocess.run(command, check=True, capture_output=True)
        layer(hosts=["rediss://cache.example.com/0"], connection_kwargs=files)
        assert ids(check_network(None)) == ["djchan.I003"]

    def test_sentinels(self, layer):
        layer(SENTINEL, hosts=[("127.0.0.1", 26379)], services=["main"])
        assert check_network(None) == []
        layer(SENTINEL, hosts=[("127.0.0.1", 26379), ("10.0.0.7", 26379)], services=["main"])
        assert ids(check_network(None)) == ["djchan.W006", "djchan.W007"]

    @pytest.mark.parametrize(
        ("of_sentinels", "told"),
        [
            ({}, ["djchan.W006", "djchan.I003"]),
            ({"ssl": False}, ["djchan.W006", "djchan.I003"]),
            ({"ssl": True}, ["djchan.I003"]),
            ({"ssl": True, "ssl_cert_reqs": "none"}, ["djchan.W010", "djchan.I003"]),
            ({"ssl": True, "ssl_check_hostname": False}, ["djchan.W010", "djchan.I003"]),
        ],
        ids=str,
    )
    def test_sentinels_say_where_redis_is_so_they_are_asked_over_tls_too(
        self, layer, of_sentinels, told
    ):
        layer(
            SENTINEL,
            hosts=[("10.0.0.7", 26379)],
            services=["main"],
            connection_kwargs={"ssl": True, "password": "secret"},
            sentinel_kwargs=of_sentinels,
        )
        messages = check_network(None)
        assert ids(messages) == told
        assert all("sentinel_kwargs" in each.hint for each in messages if each.id == "djchan.W006")


class TestConnections:
    def test_a_redis_whose_user_may_not_list_clients(self, layer, redis_server):
        rules = "ACL SETUSER quiet on >secret ~{djchan}* +@all -client|list"
        assert redis_server.command(*rules.split()) == b"+OK\r\n"
        layer(hosts=[f"redis://quiet:secret@127.0.0.1:{redis_server.port}/0"])
        (message,) = check_connections(None)
        assert message.id == "djchan.W030" and "+client|list" in message.hint
        channel_layers["default"].channel_layer.close()

    def test_one_that_may_and_one_that_is_not_there(self, layer, redis_server):
        for hosts in ([redis_server.url], [("127.0.0.1", free_port())]):
            layer(hosts=hosts)
            assert check_connections(None) == []
            channel_layers["default"].channel_layer.close()

    def test_a_layer_in_memory(self, layer):
        layer(IN_MEMORY)
        assert check_connections(None) == []


class TestKeys:
    @pytest.mark.parametrize("key", ["secret", "a" * 50, "1234567890123456789", "x"])
    def test_one_that_can_be_guessed(self, layer, key):
        layer(symmetric_encryption_keys=[FERNET_KEY, key])
        (message,) = check_keys(None)
        assert message.id == "djchan.W011" and message.msg.startswith("Key 2 in")
        assert key not in (message.msg, message.hint) and FERNET_KEY not in message.msg

    def test_random_ones_and_none(self, layer):
        layer(symmetric_encryption_keys=[secrets.token_urlsafe(32), secrets.token_hex(32)])
        assert check_keys(None) == []
        layer()
        assert check_keys(None) == []
