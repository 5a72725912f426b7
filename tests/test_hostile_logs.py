"""What clients send through each door of a worker, and what it makes of the log.

No line of it holds a character that ends lines or steers a terminal, none has a traceback for
what is a client's fault, and a thousand times the same is one line.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan import route, route_class
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import dispatch
from djchan.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer
from djchan.interface import closes
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.throttling import throttle

TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
REPLY = "websocket.send.PROCESS!1-abc"


class Streams(WebsocketDemultiplexer):
    consumers: ClassVar = {"a": JsonWebsocketConsumer}


def fails(message: Message) -> None:
    raise ValueError(message["text"])


def plain(message: Message) -> None:
    """Take anything."""


WRAPPER = ChannelLayerWrapper(
    InMemoryChannelLayer(),
    "default",
    [
        route("websocket.connect", plain, path=r"^/open/"),
        route("websocket.receive", fails, path=r"^/fails/"),
        route_class(JsonWebsocketConsumer, path=r"^/json/"),
        route_class(Streams, path=r"^/streams/"),
    ],
)


def message(kind: str, **content: Any) -> None:
    made = Message({"reply_channel": REPLY, **content}, f"websocket.{kind}", WRAPPER)
    dispatch(made, router=WRAPPER.router, sender=object)


def frame(stream: Any, payload: Any) -> str:
    return json.dumps({"stream": stream, "payload": payload})


DOORS: dict[str, Callable[[str], None]] = {
    "path": lambda text: message("connect", path=f"/none/{text}"),
    "path of a frame": lambda text: message("receive", path=f"/none/{text}", text="x"),
    "origin": lambda text: message(
        "connect",
        path=f"/open/{text}",
        headers=[[b"origin", b"http://" + text.encode("utf-8", "replace")]],
    ),
    "json": lambda text: message("receive", path="/json/", text=f"{{{text}"),
    "no json at all": lambda text: message("receive", path=f"/json/{text}", bytes=b"x"),
    "stream": lambda text: message("receive", path="/streams/", text=frame(text, {})),
    "payload": lambda text: message("receive", path="/streams/", text=frame("a", text)),
    "close": lambda text: closes.log("error", 3000, {"path": text, "client": [text, 1]}),
}  # fmt: skip


@contextmanager
def records() -> Iterator[list[logging.LogRecord]]:
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logger = logging.getLogger("djchan")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.parametrize("door", DOORS)
@given(text=TEXT)
def test_no_line_of_a_clients_making_and_no_traceback(door: str, text: str) -> None:
    with records() as found:
        DOORS[door](text)
    for record in found:
        assert record.getMessage().isprintable()
        assert record.levelno <= logging.INFO and record.exc_info is None


@given(text=TEXT)
def test_an_error_of_the_projects_own_is_told_without_lines_of_a_clients_making(text: str) -> None:
    with records() as found:
        message("receive", path="/fails/", text=f"a\n2026-11-28 ERROR {text}")
    (record,) = found
    assert record.levelno == logging.ERROR and record.exc_info
    lines = logging.Formatter().format(record).split("\n")
    assert all(line.isprintable() and not line.startswith("2026") for line in lines)


@pytest.mark.parametrize("door", DOORS)
def test_a_thousand_times_the_same_is_a_few_lines(door: str) -> None:
    throttle.is_on = True
    with records() as found:
        for number in range(1000):
            DOORS[door](f"{number}")
    assert 1 <= len(found) <= 10


def test_a_thousand_errors_are_ten_tracebacks_and_another_is_told_all_the_same() -> None:
    throttle.is_on = True
    with records() as found:
        for number in range(1000):
            message("receive", path="/fails/", text=f"{number}")
        message("receive", path="/fails/")  # KeyError.
    assert len(found) == 11 and "KeyError" in str(found[-1].exc_info)
