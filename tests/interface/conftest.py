"""Daphne's own server and factories, with the bounds of an interface, and no socket."""

import asyncio
import logging

import daphne.server  # First: it installs the reactor that the others find.
import pytest
import pytest_asyncio
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketFactory
from twisted.internet import reactor

from djchan.interface.journal import Journal
from tests.interface.bounded import Request, bounds_of


@pytest.fixture
def journal():
    return Journal(logging.getLogger("djchan.interface"))


@pytest.fixture
def limits(journal):
    it = bounds_of(journal)
    it.requests = True
    return it


@pytest.fixture
def server(limits):
    it = daphne.server.Server(application=None, endpoints=["tcp:0"])
    it.connections = {}
    it.http_factory = HTTPFactory(it)
    it.ws_factory = WebSocketFactory(it, server="daphne")
    it.created = []
    it.create_application = lambda protocol, scope: it.created.append(scope) or asyncio.Queue()
    limits.bind(it, object())
    return it


@pytest_asyncio.fixture
async def request_(server):
    before = set(reactor.getDelayedCalls())
    it = Request(server)
    yield it
    for request in it.channel._channel.requests:
        if request.content is not None:
            request.content.close()
    for call in set(reactor.getDelayedCalls()) - before:
        call.cancel()
