"""No password of Redis in a text, in whatever form a project writes ``hosts``."""

import inspect
import traceback
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

import pytest
from django.views.debug import get_default_exception_reporter_filter

from djchan.asgi import REDIS, SENTINEL, channel_layers
from djchan.checks import check_layers
from djchan.conf import LAYER_KEYS
from djchan.exceptions import BrokerError, InvalidChannelLayer
from djchan.interface.options import InterfaceOptions
from djchan.lanes.options import WorkerOptions
from djchan.layers.operations import Length
from djchan.layers.policy import Policy
from djchan.layers.redis import RedisSentinelChannelLayer
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.passwords import Passwords, passwords_in
from djchan.tracebacks import with_causes
from tests.support.servers import Server
from tests.support.waiting import free_port

S = "S3cr3tPw"

# CONFIGs with a password in them: of a server that is not there, or wrong in some way.
CONFIGS: list[dict[str, Any]] = [
    {"hosts": f"redis://:{S}@h:1/0"},
    {"hosts": [f"redis://:{S}@127.0.0.1:1/0"]},
    {"hosts": [f"redis://{S}@127.0.0.1:1/0"]},
    {"hosts": [f"redis://user:{S}@127.0.0.1:1/0"]},
    {"hosts": [f"REDISS://:{S}@127.0.0.1:1/0"]},
    {"hosts": [f" redis://:{S}@127.0.0.1:1/0"]},
    {"hosts": [f"redis+tls://:{S}@h:1/0"]},
    {"hosts": [f"valkey://:{S}@h:1/0"]},
    {"hosts": [f"http://:{S}@h:1/0"]},
    {"hosts": [f":{S}@h:1"]},
    {"hosts": [f"redis://:{S}"]},
    {"hosts": [f"redis://:{S}#rest@h:1/0"]},
    {"hosts": [f"redis://:rest#{S}@h:1/0"]},
    {"hosts": [f"redis://:{S}?rest@h:1/0"]},
    {"hosts": [f"redis://:rest?{S}@h:1/0"]},
    {"hosts": [f"redis://:{S}/rest@h:1/0"]},
    {"hosts": [f"redis://:rest/{S}@h:1/0"]},
    {"hosts": [f"redis://:[{S}@h:1/0"]},
    {"hosts": [f"redis://:rest@{S}@127.0.0.1:1/0"]},
    {"hosts": [f"redis://:%3A{S}@127.0.0.1:1/0"]},
    {"hosts": [f"redis://127.0.0.1:1/0?password={S}"]},
    {"hosts": [f"redis://127.0.0.1:1/0?password={S}@x"]},
    {"hosts": [f"redis://127.0.0.1:1/0?passwort={S}"]},
    {"hosts": [f"redis://:{S}@h:1/0?db=x"]},
    {"hosts": [f"redis://:{S}@h:1/0?socket_timeout=abc"]},
    {"hosts": [f"redis://:{S}@h:1/0?socket_timeout=1"]},
    {"hosts": [f"redis://:{S}@h:one/0"]},
    {"hosts": [f"redis://:{S}@h:1/mine"]},
    {"hosts": [f"unix://:{S}@/nowhere?db=1"]},
    {"hosts": [f"unix://:{S}/x@/nowhere"]},
    {"hosts": [{"address": f"rediss://:{S}@h:1", "ssl_cert_reqs": "CERT_NONE"}]},
    {"hosts": [{"address": f"redis://:{S}@127.0.0.1:1", "ssl": None}]},
    {"hosts": [{"address": ("127.0.0.1", 1), "db": 8, "password": S}]},
    {"hosts": [{"host": "127.0.0.1", "port": 1, "password": S}]},
    {"hosts": [{"host": "h", "port": "one", "password": S}]},
    {"hosts": [{"url": f"redis://:{S}@h"}]},
    {"hosts": [{f"redis://:{S}@h": {}}]},
    {"hosts": {"host": "h", "password": S}},
    {"hosts": [("h", 1, S)]},
    {"hosts": [("h", S)]},
    {"hosts": [(f"u:{S}@h", 1)]},
    {"hosts": [("127.0.0.1", 1)], "connection_kwargs": {"password": S}},
    {"hosts": [("127.0.0.1", 1)], "connection_kwargs": {"password": S.encode()}},
    {"hosts": [("127.0.0.1", 1)], "connection_kwargs": {"password": S, "nonsense": 1}},
    {"hosts": [("127.0.0.1", 1)], "connection_kwargs": {"password": [S]}},
    {"hosts": [("127.0.0.1", 1)], "connection_kwargs": S},
    {"hosts": ["rediss://h"], "connection_kwargs": {"ssl_keyfile": "/x", "ssl_password": S}},
    {"hosts": [("127.0.0.1", 1)], "services": ["m"], "sentinel_kwargs": {"password": S}},
    {"hosts": [("127.0.0.1", 1)], "services": ["m"], "sentinel_kwargs": {"password": S, "x": 1}},
    {"hosts": [("127.0.0.1", 1)], "services": ["m"], "connection_kwargs": {"password": S}},
    {"hosts": [f"redis://:{S}@h:1/0"], "services": ["m"]},
]


def everything(error: BaseException) -> str:
    """All texts that a log, a report or a person may see of ``error``."""
    texts = ["".join(traceback.format_exception(error))]
    for each in with_causes(error):
        texts += [str(each), repr(each), repr(each.args)]
    # A traceback has lines of this file, and the lines have S, not its value.
    return "\n".join(texts)


def variables(error: BaseException) -> str:
    """What an error report shows of the functions that ``error`` has ended, but for the test's."""
    return "\n".join(
        repr(frame.f_locals)
        for each in with_causes(error)
        for frame, _ in traceback.walk_tb(each.__traceback__)
        if frame.f_code.co_filename != __file__
    )


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_nothing_that_is_said_of_a_configuration_has_its_password(config: dict[str, Any]):
    try:
        engine = RedisEngine(**config)
        texts = [engine.hosts.describe(), repr(engine), repr(engine.hosts)]
        with pytest.raises(BrokerError) as caught:
            engine.link("test").perform(Length("a"))
        texts += [everything(caught.value), variables(caught.value)]
    except InvalidChannelLayer as error:
        texts = [everything(error)]

    for text in texts:
        assert S not in text and S[:6] not in text and S[-5:] not in text


@pytest.mark.parametrize("config", [each for each in CONFIGS if "services" in each], ids=str)
@pytest.mark.asyncio
async def test_nor_on_an_event_loop(config: dict[str, Any]):
    try:
        alink = RedisEngine(**config).alink("test")
    except InvalidChannelLayer:
        return
    with pytest.raises(BrokerError) as caught:
        await alink.perform(Length("a"))

    assert S not in everything(caught.value) + variables(caught.value)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_nor_where_settings_are_read(config: dict[str, Any], settings: Any):
    backend = REDIS if "services" not in config else SENTINEL
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "ROUTING": [], "CONFIG": config}}
    try:
        channel_layers.make_backend("default")
    except InvalidChannelLayer as error:
        assert S not in everything(error) + variables(error)


URL = f"redis://ada:{S}@cache:6379/0"
IN_CONFIG = {
    *inspect.signature(RedisSentinelChannelLayer).parameters,
    *inspect.signature(Policy).parameters,
    URL,
}


@pytest.mark.parametrize("value", [URL, [URL], {URL: URL}, {"*": URL}, {"a": {"b": URL}}], ids=str)
@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("CONFIG", IN_CONFIG),
        ("INTERFACE", [*(field.name for field in fields(InterfaceOptions)), URL]),
        ("WORKER", [*(field.name for field in fields(WorkerOptions)), URL]),
        ("", [*LAYER_KEYS, URL]),
    ],
    ids=["CONFIG", "INTERFACE", "WORKER", "an entry"],
)
def test_a_url_in_whatever_place_of_the_settings_keeps_its_password(
    where: str, options: Iterable[str], value: Any, settings: Any
):
    for option in options:
        for backend in (REDIS, SENTINEL):
            entry: dict[str, Any] = {"BACKEND": backend, "ROUTING": []}
            if backend == SENTINEL:
                entry["CONFIG"] = {"services": ["main"]}
            if where:
                entry[where] = {**entry.get(where, {}), option: value}
            else:
                entry[option] = value
            settings.CHANNEL_LAYERS = {"default": entry}
            assert S not in str(check_layers(None)), (option, backend)
            try:
                channel_layers.make_backend("default")
            except InvalidChannelLayer as error:
                assert S not in everything(error), (option, backend)


@pytest.mark.parametrize("option", ["AUTH", "HELLO"])
def test_a_server_that_quotes_what_it_was_sent_is_not_quoted(
    start_server: Callable[..., Server], option: str
):
    server = start_server("redis", "--rename-command", option, "")
    link = RedisEngine([f"redis://user:{S}@127.0.0.1:{server.port}/0"]).link("test")

    with pytest.raises(BrokerError) as caught:
        link.perform(Length("a"))

    assert S not in everything(caught.value)


def test_a_wrong_password_is_not_told(start_server: Callable[..., Server]):
    server = start_server("redis", "--requirepass", "another")
    link = RedisEngine([f"redis://:{S}@127.0.0.1:{server.port}/0"]).link("test")

    with pytest.raises(BrokerError, match="did not accept the login") as caught:
        link.perform(Length("a"))

    assert S not in everything(caught.value) + variables(caught.value)
    assert f"127.0.0.1:{server.port}" in str(caught.value)


@pytest.mark.asyncio
async def test_a_wrong_password_is_not_told_on_an_event_loop(start_server: Callable[..., Server]):
    server = start_server("redis", "--requirepass", "another")
    alink = RedisEngine([f"redis://:{S}@127.0.0.1:{server.port}/0"]).alink("test")

    with pytest.raises(BrokerError, match="did not accept the login") as caught:
        await alink.perform(Length("a"))

    assert S not in everything(caught.value) + variables(caught.value)


def test_exceptions_are_scrubbed_with_all_that_led_to_them():
    passwords = passwords_in(
        {"password": "abc%def"}, {"password": b"bytes"}, url="redis://:x%40yz@h"
    )
    inner = ValueError("abc%def", 7, b"of bytes")
    error = RuntimeError("x%40yz and x@yz")
    error.__context__ = inner
    inner.__cause__ = error  # Somebody's mistake: it must end.

    passwords.scrub(error)

    assert error.args == ("*** and ***",)
    assert inner.args == ("***", 7, b"of ***")


def test_a_password_within_another_is_no_clue():
    assert Passwords(["secret", "secret-long"]).masked("secret-long") == "***"


def test_nobody_there_and_no_password_needed():
    port = free_port()
    with pytest.raises(BrokerError, match=f"Redis at redis://127.0.0.1:{port}/0 did not answer"):
        RedisEngine([f"redis://127.0.0.1:{port}/0"]).link("test").perform(Length("a"))


@pytest.mark.parametrize(
    "config",
    [
        {"hosts": [("cache", 6379)], "connection_kwargs": {"password": S}},
        {"hosts": [{"address": ("cache", 6379), "password": S}]},
        {"symmetric_encryption_keys": [S]},
    ],
    ids=str,
)
def test_djangos_error_reports_mask_it_where_the_docs_say_so(config: Any, settings: Any):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": config}}
    assert S not in str(get_default_exception_reporter_filter().get_safe_settings())
