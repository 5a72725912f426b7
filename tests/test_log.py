"""djchan.log: the tree of loggers, and what the commands show."""

import io
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import djchan
from djchan import log

pytestmark = pytest.mark.usefixtures("loggers")


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def terminal():
    before = log.handler.setStream(io.StringIO())
    yield log.handler.stream
    log.handler.setStream(before)


def test_a_project_that_configured_django_channels_keeps_its_handlers_and_level():
    kept = Kept()
    logging.getLogger("django.channels").addHandler(kept)
    logging.getLogger("django.channels").setLevel(logging.DEBUG)
    assert not logging.getLogger("djchan.worker").isEnabledFor(logging.DEBUG)
    log.join_loggers()
    log.join_loggers()
    logging.getLogger("djchan.worker").debug("hello")
    assert kept.lines == ["hello"]


def test_a_record_reaches_the_root_once(caplog):
    log.join_loggers()
    with caplog.at_level(logging.INFO, logger="djchan"):
        logging.getLogger("djchan.worker").info("hello")
    assert [record.getMessage() for record in caplog.records] == ["hello"]


def test_a_project_that_configured_djchan_itself_decides():
    kept, parent = Kept(), Kept()
    logging.getLogger("djchan").addHandler(kept)
    logging.getLogger("djchan").propagate = False
    logging.getLogger("django.channels").addHandler(parent)
    log.join_loggers()
    logging.getLogger("djchan.worker").warning("hello")
    assert (kept.lines, parent.lines) == (["hello"], [])


def test_setup_logger_shows_info_and_debug_only_when_asked(terminal):
    logger = log.setup_logger("djchan")
    assert logger is logging.getLogger("djchan")
    logging.getLogger("djchan.worker").info("listening")
    logging.getLogger("djchan.worker").debug("detail")
    log.setup_logger("djchan", verbosity=2)
    logging.getLogger("djchan.worker").debug("more detail")
    lines = terminal.getvalue().splitlines()
    assert [line.rpartition(" - ")[2] for line in lines] == ["listening", "more detail"]
    assert " - INFO - test_log - listening" in lines[0]


def test_setup_logger_shows_daphne_too(terminal):
    log.setup_logger("djchan")
    logging.getLogger("daphne.server").info("Listening on TCP")
    assert "Listening on TCP" in terminal.getvalue()


def test_setup_logger_keeps_what_it_shows_from_the_parents(terminal, caplog):
    log.setup_logger("djchan")
    logging.getLogger("djchan.worker").warning("once")
    assert terminal.getvalue().count("once") == 1
    assert caplog.records == []


def test_setup_logger_still_gives_records_to_django_channels_own_handlers(terminal, caplog):
    kept = Kept()
    logging.getLogger("django.channels").addHandler(kept)
    log.setup_logger("djchan")
    logging.getLogger("djchan.worker").info("both")
    assert kept.lines == ["both"]
    assert terminal.getvalue().count("both") == 1
    assert caplog.records == []


def test_setup_logger_under_the_name_of_channels_1(terminal):
    log.join_loggers()
    logger = log.setup_logger("django.channels")
    assert (logger.name, logger.propagate) == ("django.channels", False)
    logging.getLogger("djchan.worker").info("hello")
    assert terminal.getvalue().count("hello") == 1
    log.setup_logger("djchan")
    logging.getLogger("djchan.worker").info("again")
    assert terminal.getvalue().count("again") == 1


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


@pytest.mark.parametrize("name", ["djchan", "djchan.interface.closes", "daphne.server"])
def test_a_logging_that_disables_existing_loggers_leaves_ours_on(name):
    logger = logging.getLogger(name)
    logger.disabled = True
    foreign = logging.getLogger("djchan_other")
    foreign.disabled = True
    log.enable_loggers()
    assert (logger.disabled, foreign.disabled) == (False, True)
