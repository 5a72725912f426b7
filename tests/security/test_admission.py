"""Requests and sockets for a host that is none of ours are refused before their consumer."""

import logging

import pytest

from djchan import route
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import dispatch
from djchan.handler import ViewConsumer
from djchan.layers import codec
from djchan.layers.effects import Reply
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.outcomes import Outcome
from djchan.security.websockets import any_host

REPLY = "http.response.PROCESS!1-abc"


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["example.com"]


def run(channel, consumer, *hosts):
    """The outcome, and what its client is told."""
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route(channel, consumer)])
    headers = [[b"host", host] for host in hosts]
    content = {"reply_channel": REPLY, "path": "/", "method": "GET", "headers": headers}
    message = Message(content, channel, wrapper)
    ran = dispatch(message, router=wrapper.router, sender=object)
    return ran.outcome, [
        codec.decode(each.message) for each in ran.words if isinstance(each, Reply)
    ]


@pytest.fixture
def consumer():
    def consumer(message):
        consumer.ran += 1

    consumer.ran = 0
    return consumer


def test_a_request_for_another_host_gets_a_400(consumer, caplog):
    caplog.set_level(logging.INFO, "djchan")
    outcome, (reply,) = run("http.request", consumer, b"evil.com\x1b")
    assert (outcome, reply["status"], consumer.ran) == (Outcome.DENIED, 400, 0)
    (record,) = caplog.records
    assert record.levelname == "INFO" and "ALLOWED_HOSTS" in record.getMessage()
    assert record.getMessage().isprintable()
    assert (record.channel, record.connection) == ("http.request", REPLY)
    assert record.consumer.endswith("consumer")


def test_one_for_ours_and_one_without_a_host_run(consumer):
    assert run("http.request", consumer, b"example.com:8000") == (Outcome.DONE, [])
    assert run("http.request", consumer) == (Outcome.DONE, [])
    assert consumer.ran == 2


def test_a_consumer_may_answer_on_every_host(consumer):
    assert run("http.request", any_host(consumer), b"evil.com") == (Outcome.DONE, [])


def test_views_are_left_to_djangos_own_check():
    assert ViewConsumer.any_host


def test_sockets_are_asked_by_a_setting(consumer, settings):
    assert run("websocket.connect", consumer, b"evil.com") == (Outcome.DONE, [])
    settings.CHANNEL_WEBSOCKET_HOSTS = True
    assert run("websocket.connect", consumer, b"evil.com") == (Outcome.DENIED, [{"close": True}])
    assert run("websocket.connect", consumer, b"example.com") == (Outcome.DONE, [])
    assert consumer.ran == 2
    # What follows on an open socket has no Host.
    assert run("websocket.receive", consumer, b"evil.com") == (Outcome.DONE, [])
