"""djchan.log: the tree of loggers, and what the commands show."""

import io
import logging

import pytest

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
