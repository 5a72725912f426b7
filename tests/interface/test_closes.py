import logging

import pytest

from djchan.interface.closes import classify, log
from tests.interface.fakes import websocket_scope

LOGGER = "djchan.interface.closes"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, "normal") for code in (1000, 1001, 1005, 1012)),
        (3008, "expired"),
        *((code, "error") for code in (1002, 1003, 1006, 1007, 1009, 1011, 1013, 1015)),
        *((code, "error") for code in (3000, 4000, 4999, 7)),
    ],
)
def test_the_class_of_a_code(code, kind):
    assert classify(code) == kind
    assert classify(code, expired=True) == "expired"


@pytest.mark.parametrize(
    ("kind", "level"),
    [("normal", logging.DEBUG), ("expired", logging.INFO), ("error", logging.INFO)],
)
def test_one_line_with_its_level(caplog, kind, level):
    with caplog.at_level(level, LOGGER):
        log(kind, 1006, websocket_scope())
    (record,) = caplog.records
    assert record.levelno == level
    assert record.getMessage() == (
        f"A WebSocket was closed: {kind} (1006), path '/chat/', client 10.0.0.1:4711"
    )


def test_no_line_where_nobody_listens(caplog):
    with caplog.at_level(logging.INFO, LOGGER):
        log("normal", 1000, websocket_scope())
    assert caplog.records == []


def test_a_path_makes_no_line_of_its_own(caplog):
    with caplog.at_level(logging.DEBUG, LOGGER):
        log("error", 1006, websocket_scope("/a\r\nroot logged in/" + "x" * 1000, client=None))
    text = caplog.records[0].getMessage()
    assert "\n" not in text and "\r" not in text
    assert len(text) < 300
    assert text.endswith("client unknown")


def test_nor_does_a_client_who_names_itself(caplog):
    """With --proxy-headers Daphne takes the first word of X-Forwarded-For, which is a client's."""
    with caplog.at_level(logging.DEBUG, LOGGER):
        log("error", 1006, websocket_scope(client=["\x1b[2J\u2028root logged in" + "x" * 1000, 0]))
    text = caplog.records[0].getMessage()
    assert text.isprintable()
    assert len(text) < 300
