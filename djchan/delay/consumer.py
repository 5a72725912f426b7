"""The consumer of ``asgi.delay``: hands each message to the layer, which keeps it until then.

From a worker; on to ``Channel.send(delay=)``, so with the commit of its delivery. It needs no
database, and no process of its own.

A layer delays nothing that goes to one connection, which may be gone by then. So such a
message comes here a second time, when it is due::

    {"channel": "websocket.send.P!7", "delay": 5000} ──5 s──► {…, "delay": 0} ──► the socket
"""

import logging

from django.apps import apps

from djchan import names
from djchan.channel import Channel
from djchan.delay.request import CHANNEL, read
from djchan.exceptions import BrokerError, DjchanError
from djchan.log import escaping
from djchan.message import Message
from djchan.routing import Route, Router

logger = escaping(logging.getLogger(__name__))


def delay(message: Message) -> None:
    """Send the content in the message to its channel, when its delay is over."""
    try:
        request = read(message.content)
        channel, content, seconds = request.channel, request.content, request.delay / 1000
        if seconds and names.split_local(channel) is not None:
            channel, content = CHANNEL, {"channel": channel, "content": content, "delay": 0}
        Channel(channel, channel_layer=message.channel_layer).send(content, delay=seconds)
    except BrokerError:
        raise  # It runs again.
    except (ValueError, TypeError, DjchanError) as error:
        logger.error("A message on %s is dropped: %s", CHANNEL, error)


def serve_delay(router: Router) -> None:
    """Let ``router`` have this consumer, if the app is installed and no route names another."""
    if apps.is_installed("djchan.delay") and CHANNEL not in router.channels:
        router.add_route(Route(CHANNEL, delay))
