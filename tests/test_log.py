"""djchan.log: the tree of loggers, and what is safe to write."""

import io
import logging
import re
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import djchan
from djchan import log
from djchan.message import Message

pytestmark = pytest.mark.usefixtures("loggers")


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def test_a_project_that_configured_django_channels_keeps_its_handlers_and_level():
    kept = Kept()
    logging.getLogger("django.channels").addHandler(kept)
    logging.getLogger("django.channels").setLevel(logging.DEBUG)
    assert not logging.getLogger("djchan.worker").isEnabledFor(logging.DEBUG)
    log.join_loggers()
    log.join_loggers()
    logging.getLogger("djchan.worker").debug("hello")
    assert kept.lines == ["hello"]


def test_a_record_reaches_the_root_once(loggers):
    kept = Kept()
    loggers.addHandler(kept)
    log.join_loggers()
    logging.getLogger("djchan.worker").warning("hello")
    assert kept.lines == ["hello"]


def test_a_project_that_configured_djchan_itself_decides():
    kept, parent = Kept(), Kept()
    logging.getLogger("djchan").addHandler(kept)
    logging.getLogger("djchan").propagate = False
    logging.getLogger("django.channels").addHandler(parent)
    log.join_loggers()
    logging.getLogger("djchan.worker").warning("hello")
    assert (kept.lines, parent.lines) == (["hello"], [])


# --------------------------------------------------------------------- fields


def record_of(logger, *arguments):
    kept = []
    handler = logging.Handler()
    handler.emit = kept.append
    logger.addHandler(handler)
    logger.error("%s " * len(arguments), *arguments)
    (record,) = kept
    return record


def test_a_record_has_the_fields_of_its_arguments():
    logger = log.escaping(logging.getLogger("djchan.worker"))
    content = {"reply_channel": "websocket.send.P!1-a", "text": "secret"}
    message = Message(content, "websocket.receive", None, id="P.1-a.3", attempt=2)
    record = record_of(logger, log.name_of(Kept), "shop", message, log.Seconds(1.5))
    assert record.consumer == f"{__name__}.Kept"
    assert (record.channel, record.message_id) == ("websocket.receive", "P.1-a.3")
    assert (record.attempt, record.duration) == (2, 1.5)
    assert record.connection == "websocket.send.P!1-a"
    assert record.getMessage() == f"{__name__}.Kept shop {message} 1.5 "


def test_a_record_has_no_field_that_is_not_known():
    logger = log.escaping(logging.getLogger("djchan.worker"))
    record = record_of(logger, Message({}, "jobs", None), MagicMock(), 5)
    assert not {"consumer", "connection", "duration"} & set(vars(record))


def test_the_duration_of_a_message_counts_from_the_call_of_its_consumer():
    logger = log.escaping(logging.getLogger("djchan.worker"))
    message = Message({}, "jobs", None)
    message.began = time.monotonic() - 5
    assert 5 <= record_of(logger, message).duration < 10


def test_fields_are_safe_to_show_like_the_message():
    logger = log.escaping(logging.getLogger("djchan.worker"))
    record = record_of(logger, Message({"reply_channel": "a\n\x1b[31m"}, "jobs", None))
    assert record.connection == r"a\n\x1b[31m"


# --------------------------------------------------------------------- escaping

CLIENTS = st.text(st.characters(exclude_categories=()))


class Shown(Exception):
    pass


def logged(logger, write):
    """What ``write(logger)`` is in a handler, formatted as by default."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        write(logger)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


@pytest.fixture(scope="module")
def escaping_logger():
    logger = logging.getLogger("test of escaping")
    logger.propagate = False
    return log.escaping(logger)


@given(text=CLIENTS)
def test_no_argument_makes_a_line_or_steers_a_terminal(escaping_logger, text):
    class Message:
        def __str__(self):
            return f"<Message on {text}>"

    arguments = (text, Message(), Shown(text), [text], {"a": text}, text.encode("utf-8", "replace"))
    for argument in arguments:
        line = logged(escaping_logger, lambda logger, it=argument: logger.error("%s and %r", it, 5))
        assert line.endswith("\n") and line[:-1].isprintable()
    line = logged(escaping_logger, lambda logger: logger.error("%(name)s", {"name": text}))
    assert line[:-1].isprintable()


@given(text=CLIENTS)
def test_what_is_shown_as_repr_is_as_it_was(escaping_logger, text):
    line = logged(escaping_logger, lambda logger: logger.error("%r, %.3r, %d", text, text, 7))
    assert line == f"{text!r}, {text!r:.3}, 7\n".replace(f"{text!r:.3}", repr(text)[:3])


@given(text=CLIENTS)
def test_no_message_of_an_error_makes_a_line_that_could_be_a_record(escaping_logger, text):
    def write(logger):
        try:
            try:
                raise ValueError(text)
            except ValueError as error:
                error.add_note(text)
                raise ExceptionGroup("several", [Shown(text)]) from error
        except ExceptionGroup:
            logger.exception("It failed.")

    lines = logged(escaping_logger, write).split("\n")
    assert all(line.isprintable() for line in lines)
    forged = f"2026-11-28 ERROR root logged in{text}"
    for line in logged(escaping_logger, _raising(f"a\n{forged}")).split("\n"):
        assert line.isprintable() and not line.startswith("2026")


def _raising(text):
    def write(logger):
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("It failed.")

    return write


def test_lines_of_our_own_stay_lines(escaping_logger):
    stack = log.Lines('  File "a.py"\n    x\x1b')
    assert logged(escaping_logger, lambda logger: logger.error("Here:\n%s", stack)) == (
        'Here:\n  File "a.py"\n    x\\x1b\n'
    )


def test_a_traceback_without_odd_messages_is_pythons_own():
    assert log._traceback(ValueError("plain")) is None
    assert "od\\x1bd" in (log._traceback(ValueError("od\x1bd")) or "")


def test_every_logger_of_djchan_escapes():
    made, bare = 0, []
    for path in Path(djchan.__file__).parent.rglob("*.py"):
        text = path.read_text()
        made += text.count("escaping(logging.getLogger(")
        if re.search(r"^\w+ = logging\.getLogger\(__name__\)", text, re.MULTILINE):
            bare.append(path.name)
    assert made > 40 and not bare


@pytest.mark.parametrize(
    "name", ["djchan", "djchan.interface.closes", "daphne.server", "django.server.djchan"]
)
def test_a_logging_that_disables_existing_loggers_leaves_ours_on(name):
    logger = logging.getLogger(name)
    logger.disabled = True
    foreign = logging.getLogger("djchan_other")
    foreign.disabled = True
    log.enable_loggers()
    assert (logger.disabled, foreign.disabled) == (False, True)
