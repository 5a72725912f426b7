"""Options for redis-py in CONFIG and in URLs: which are refused. Nothing is connected to."""

import ssl
from typing import Any

import pytest

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis.hosts import Hosts

BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"ssl": True}, "ssl in connection_kwargs has no effect .* write rediss://"),
    ({"max_conections": 10}, "'max_conections' in connection_kwargs is no option"),
    ({"max_connections": 10}, "max_connections in connection_kwargs has no effect: djchan makes"),
    ({"retry": 3}, "retry in connection_kwargs has no effect: djchan itself repeats"),
    ({"retry_on_timeout": True}, "retry_on_timeout in connection_kwargs has no effect"),
    ({"retry_on_error": [OSError]}, "retry_on_error in connection_kwargs has no effect"),
    ({"protocol": 3}, "protocol in connection_kwargs has no effect: djchan speaks RESP 2"),
    ({"decode_responses": True}, "decode_responses in connection_kwargs has no effect"),
    ({"parser_class": object}, "parser_class in connection_kwargs has no effect"),
    ({"socket_timout": 20}, "is socket_timeout meant"),
    ({"socket_timeout": "30"}, "socket_timeout in connection_kwargs is a number of seconds"),
    ({"socket_timeout": True}, "is a number of seconds, or None, not True"),
    ({"socket_timeout": float("nan")}, "is a number of seconds, or None, not nan"),
    ({"socket_connect_timeout": -1}, "socket_connect_timeout in .* is a number of seconds"),
    ({"health_check_interval": "30"}, "health_check_interval in .* is a number of seconds; 0"),
    ({"health_check_interval": None}, "health_check_interval in .* is a number of seconds; 0"),
    ({"db": "mine"}, "db in connection_kwargs is the number of a database"),
    ({"db": -1}, "db in connection_kwargs is the number of a database"),
    ({"socket_keepalive": "yes"}, "socket_keepalive in connection_kwargs is True or False"),
    ({"username": 7}, "username in connection_kwargs is a text, or None, not a int"),
    ({"password": ["S3CRET"]}, "password in connection_kwargs is a text, or None, not a list"),
    ({"password": "S3CRET", "credential_provider": 7}, "cannot be used"),
    ({"ssl_certfile": "/nowhere"}, "'ssl_certfile' in connection_kwargs is no option"),
]


@pytest.mark.parametrize(("kwargs", "words"), BAD_OPTIONS, ids=str)
def test_an_option_that_cannot_be_used_is_refused_when_settings_are_read(
    kwargs: dict[str, Any], words: str
):
    with pytest.raises(InvalidChannelLayer, match=words) as caught:
        Hosts(None, connection_kwargs=kwargs)

    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("kwargs", ["S3CRET", ["S3CRET"], 7])
@pytest.mark.parametrize("where", ["connection_kwargs", "sentinel_kwargs"])
def test_options_are_a_dict(kwargs: Any, where: str):
    with pytest.raises(InvalidChannelLayer, match=f"{where} is a dict of options") as caught:
        Hosts(None, services=["main"], **{where: kwargs})

    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"ssl_certfile": "/nowhere"}, "cannot be used .*(No such file|FileNotFound)"),
        ({"ssl_ca_certs": "/nowhere"}, "cannot be used .*(No such file|FileNotFound)"),
        ({"ssl_ca_certs": __file__}, "cannot be used"),
        ({"ssl_ciphers": "nonsense"}, "cannot be used"),
        ({"ssl_cert_reqs": "CERT_NONE"}, "ssl_cert_reqs in connection_kwargs is one of 'none'"),
        ({"ssl_check_hostname": "no"}, "ssl_check_hostname in connection_kwargs is True or False"),
    ],
    ids=str,
)
def test_what_is_wrong_with_tls_is_found_when_settings_are_read(kwargs: Any, words: str):
    with pytest.raises(InvalidChannelLayer, match=words):
        Hosts(["rediss://cache"], connection_kwargs=kwargs)


def test_an_option_that_asks_for_what_djchan_does_is_taken():
    same = {"retry": None, "retry_on_timeout": False, "protocol": 2, "decode_responses": False}
    assert Hosts(None, connection_kwargs=same).connection()


def test_what_tls_takes_is_taken():
    for value in (None, "none", "optional", "required", ssl.CERT_NONE):
        assert Hosts(["rediss://cache"], connection_kwargs={"ssl_cert_reqs": value}).has_tls
    tls = {"ssl": True}
    assert Hosts(None, services=["m"], connection_kwargs=tls, sentinel_kwargs=tls).has_tls
    assert not Hosts(None, connection_kwargs={"ssl": False}).has_tls


def test_options_of_sentinels_are_those_of_a_client():
    Hosts(None, services=["main"], sentinel_kwargs={"ssl": True, "username": "u"})
    with pytest.raises(InvalidChannelLayer, match="'nonsense' in sentinel_kwargs is no option"):
        Hosts(None, services=["main"], sentinel_kwargs={"nonsense": 1})
    with pytest.raises(InvalidChannelLayer, match="give them once for all sentinels"):
        Hosts([{"address": ("one", 26379), "password": "S3CRET"}], services=["main"])


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (["redis://cache?socket_keepalive=1&socket_timeout=x"], "Invalid value for 'socket_time"),
        (["redis://cache?virtual_host=x"], "'virtual_host' in the URL 'redis://cache' is no"),
        (["rediss://cache?ssl_cert_reqs=CERT_NONE"], "ssl_cert_reqs in .* is one of 'none'"),
        ([{"address": "redis://cache", "nonsense": 1}], "'nonsense' in hosts is no option"),
    ],
    ids=str,
)
def test_an_option_in_hosts_that_cannot_be_used_is_refused(hosts: Any, words: str):
    with pytest.raises(InvalidChannelLayer, match=words):
        Hosts(hosts)


@pytest.mark.parametrize("timeout", [0.5, 5])
def test_a_timeout_that_a_waiting_read_would_meet_is_refused(timeout: float):
    with pytest.raises(InvalidChannelLayer, match="socket_timeout in connection_kwargs is"):
        Hosts(None, connection_kwargs={"socket_timeout": timeout})
    with pytest.raises(InvalidChannelLayer, match="socket_timeout in the URL 'redis://cache'"):
        Hosts([f"redis://u:secret@cache?socket_timeout={timeout}"])
