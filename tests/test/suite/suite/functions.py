"""Tests of pytest, with the fixtures of djchan's plugin."""

import os
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from websockets.sync.client import connect

from djchan import Channel, Group
from djchan.test import work_off
from suite.asgi import channel_layer as made_at_import


def test_a_function_that_knows_nothing_of_djchan(client: Any) -> None:
    client.get("/start/")
    made_at_import.send("jobs", {})
    assert made_at_import.waiting() == {"jobs": 2}


@pytest.mark.parametrize("number", range(2))
def test_the_layer_is_empty(channel_layer: Any, number: int) -> None:
    assert channel_layer.waiting() == {}
    for _ in range(40):
        Channel("jobs").send({})
    assert work_off() == {"done": 40}
    Channel("jobs").send({})


def test_a_client(ws_client: Any) -> None:
    ws_client.send_and_consume("websocket.connect", path="/chat/")
    ws_client.send_and_consume("websocket.receive", path="/chat/", text="hello")
    assert ws_client.receive(json=False) == "noted"


@pytest.mark.django_db
def test_a_client_with_a_user(ws_client: Any, django_user_model: Any) -> None:
    ws_client.force_login(django_user_model.objects.create_user("ann"))
    ws_client.send_and_consume("websocket.connect", path="/chat/")


@pytest.mark.asyncio
async def test_an_async_function(channel_layer: Any) -> None:
    await Channel("jobs").asend({})
    await channel_layer.asend("jobs", {})
    assert await sync_to_async(work_off)() == {"done": 2}


def test_a_live_server(channel_live_server: Any) -> None:
    with connect(
        channel_live_server.ws_url, origin=channel_live_server.url, open_timeout=10
    ) as client:
        client.send("hello")
        assert client.recv(timeout=10) == "noted"
        Group("all").send({"text": "nobody"})
    assert os.environ["DJCHAN_TEST_LAYERS"] == "TEST_CONFIG"


@pytest.fixture(autouse=True)
def one_layer(request: pytest.FixtureRequest, settings: Any) -> None:
    if "channel_live_server" in request.fixturenames:  # It serves the default layer.
        entry = django_settings.CHANNEL_LAYERS["default"]
        settings.CHANNEL_LAYERS = {"default": entry}
