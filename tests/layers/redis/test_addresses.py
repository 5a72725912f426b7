"""The entries of ``hosts``: what they mean, and what of them may be shown."""

from typing import Any

import pytest

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.redis import addresses
from djchan.layers.redis.addresses import Endpoint


@pytest.mark.parametrize(
    ("entry", "endpoint"),
    [
        (("cache", 6380), Endpoint("cache:6380", host="cache", port=6380)),
        (("::1", "6380"), Endpoint("[::1]:6380", host="::1", port=6380)),
        (
            {"host": "cache", "db": 1},
            Endpoint("cache:6379", host="cache", port=6379, options={"db": 1}),
        ),
        (
            "REDIS://user:S3CRET@cache/2?password=S3CRET",
            Endpoint("redis://cache/2", url="redis://user:S3CRET@cache/2?password=S3CRET"),
        ),
        ("unix://:S3CRET@/run/redis.sock", None),
    ],
    ids=str,
)
def test_what_an_entry_means_and_what_is_shown_of_it(entry: Any, endpoint: Endpoint | None):
    (found,) = addresses.parse([entry], sentinel=False)

    if endpoint is not None:
        assert found == endpoint
    assert "S3CRET" not in found.public


def test_where_nothing_is_named_it_is_this_machine():
    assert addresses.parse(None, sentinel=False)[0].public == "localhost:6379"
    assert addresses.parse(None, sentinel=True)[0].public == "localhost:26379"


@pytest.mark.parametrize("port", [0, 65536, -1, "six", "6379/0", None])
def test_a_port_that_is_none_is_refused(port: Any):
    with pytest.raises(InvalidChannelLayer, match="is not a server"):
        addresses.parse([("cache", port)], sentinel=False)


def test_a_url_is_no_sentinel_and_a_sentinel_has_no_options():
    with pytest.raises(InvalidChannelLayer, match="is not a sentinel"):
        addresses.parse(["redis://one:26379"], sentinel=True)
    with pytest.raises(InvalidChannelLayer, match="sentinel_kwargs"):
        addresses.parse([{"host": "one", "password": "S3CRET"}], sentinel=True)
    found = addresses.parse([("one", 26379), {"host": "two"}], sentinel=True)
    assert [(each.host, each.port) for each in found] == [("one", 26379), ("two", 26379)]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ("redis://cache", "not a text that begins with 'redis://'"),
        ([], "is a list of URLs"),
        ({"cache": 6379}, "is a list of URLs .* not a dict with the keys cache"),
        (7, "is a list of URLs .* not a value of type int"),
        (["http://cache"], "a text that begins with 'http://' in hosts is not a server"),
        (["cache:6379"], "a text without a scheme in hosts is not a server: give redis://"),
        ([("cache",)], r"a tuple \(str\) in hosts is not a server"),
        ([("cache", "six")], "is not a server"),
        ([("cache", 70000)], "is not a server"),
        ([(6379, "cache")], "is not a server"),
        ([("u:p@cache", 6379)], "is not a server"),
        ([b"redis://cache"], "a value of type bytes in hosts is not a server"),
        ([None], "a value of type NoneType"),
        ([{"port": 6379}], "a dict with the keys port in hosts is not a server"),
        (["redis://cache:six/0"], "URL in hosts .* has a host or port that cannot be read"),
        (["redis://cache:0/0"], "has port 0"),
        (["redis://[::1/0"], "has a host or port that cannot be read"),
        (["redis://:pass/0"], "has a host or port that cannot be read"),
        (["redis://user@/0"], "has no host"),
        (["redis://cache/mine"], "has a database that is no number"),
        (["redis://:p#w@cache/0"], "has # anywhere, or @ behind its path.*percent-encoded"),
        (["redis://:p?w@cache/0"], "has # anywhere, or @ behind its path"),
        (["redis://:p/w@cache/0"], "has # anywhere, or @ behind its path"),
        (["unix://"], "has no path of a socket"),
        (["redis://one", "redis://two"], "names 2 servers, but a layer lives on one"),
    ],
    ids=str,
)
def test_what_is_no_server_is_refused_in_words(hosts: Any, words: str):
    with pytest.raises(InvalidChannelLayer, match=words):
        addresses.parse(hosts, sentinel=False)
