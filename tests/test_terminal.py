"""djchan.terminal: each record once, in one format, and what the commands show."""

import io
import logging
import logging.handlers
import queue
import re
import sys

import django
import pytest
from daphne.cli import CommandLineInterface
from django.core.management.color import make_style
from django.utils.log import configure_logging

from djchan import log, terminal
from djchan.logging_setup import default_handlers
from djchan.terminal import DAPHNE_FORMAT


@pytest.fixture
def output(capsys, loggers):
    """Answers with the lines that were written to the standard output and error."""

    def read():
        written = capsys.readouterr()
        return (written.err + written.out).splitlines()

    before = log.handler.stream, log.handler.formatter, log.handler.level
    yield read
    log.handler.stream, log.handler.formatter, log.handler.level = before


PLAIN = {"class": "logging.StreamHandler", "formatter": "own"}
OWN = {"version": 1, "formatters": {"own": {"format": "OWN %(levelname)s %(message)s"}}}
KEEP = {**OWN, "disable_existing_loggers": False, "handlers": {"own": PLAIN}}
ROOT = {"handlers": ["own"], "level": "INFO"}

LOGGINGS = {
    "absent": {},
    "plain": {**KEEP, "root": ROOT},
    "disable": {**OWN, "handlers": {"own": PLAIN}, "root": ROOT},
    "json": {
        **KEEP,
        "formatters": {"own": {"format": '{"OWN": "%(levelname)s", "message": "%(message)s"}'}},
        "root": ROOT,
    },
    "stdout": {**KEEP, "handlers": {"own": {**PLAIN, "stream": "ext://sys.stdout"}}, "root": ROOT},
    "queue": {**KEEP, "handlers": {"own": {"()": lambda: queued()}}, "root": ROOT},
    "django": {**KEEP, "loggers": {"django": {**ROOT}}},
    "django.channels": {**KEEP, "loggers": {"django.channels": {**ROOT, "propagate": False}}},
    "djchan": {**KEEP, "loggers": {"djchan": {**ROOT, "propagate": False}}},
    "others": {**KEEP, "loggers": {"shop": ROOT}},
}


def queued():
    """A QueueHandler, with the one that reads its queue at the other end."""
    handler = logging.handlers.QueueHandler(queue.SimpleQueue())
    end = logging.StreamHandler()
    end.setFormatter(logging.Formatter("OWN %(levelname)s %(message)s"))
    handler.enqueue = end.handle
    return handler


def daphne():
    """As its command line begins."""
    logging.basicConfig(level=logging.INFO, format=DAPHNE_FORMAT)
    for name in log.DAPHNE:
        logging.getLogger(name)


def setup(settings, given, process="runworker", *, debug=False, **options):
    """Django's setup in such a process, and what the process sets up itself."""
    settings.LOGGING, settings.DEBUG = given, debug
    log.handler.stream = sys.stderr  # As it is now.
    if process == "daphne":
        daphne()
    logging.getLogger("djchan.early")
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    log.setup_tree(default_handlers())
    if process == "runworker":
        log.setup_logger("djchan", **options)


OURS = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - %s - test_terminal - %s"


# runserver does as runworker does.
@pytest.mark.parametrize("debug", [True, False], ids=["DEBUG", "no DEBUG"])
@pytest.mark.parametrize("process", ["runworker", "daphne"])
@pytest.mark.parametrize("given", LOGGINGS)
def test_each_line_once_and_in_the_format_of_the_project(output, settings, given, process, debug):
    setup(settings, LOGGINGS[given], process, debug=debug)
    logging.getLogger("djchan.early").info("one")
    logging.getLogger("djchan.worker").error("two")
    logging.getLogger("daphne.server").warning("three")
    lines = output()
    if given in ("absent", "others"):
        shapes = [OURS % pair for pair in zip(LEVELS, WORDS, strict=True)]
    elif given == "json":
        shapes = [rf'{{"OWN": "{level}", "message": "{word}"}}' for level, word in PAIRS]
    else:
        shapes = [f"OWN {level} {word}" for level, word in PAIRS]
    assert len(lines) == 3
    for shape, line in zip(shapes, lines, strict=True):
        assert re.fullmatch(shape, line), line


LEVELS = ("INFO", "ERROR", "WARNING")
WORDS = ("one", "two", "three")
PAIRS = tuple(zip(LEVELS, WORDS, strict=True))


@pytest.mark.parametrize("process", ["runworker", "daphne"])
@pytest.mark.parametrize("given", LOGGINGS)
def test_no_level_no_propagate_and_no_handler_of_a_project_is_changed(
    output, settings, given, process
):
    def state():
        return {
            name: (logger.level, logger.propagate, logger.handlers[:])
            for name in ("", "django", "django.channels", "djchan", *log.DAPHNE)
            for logger in [logging.getLogger(name)]
        }

    settings.LOGGING = LOGGINGS[given]
    if process == "daphne":
        daphne()
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    before = state()
    log.setup_tree(default_handlers())
    if process == "runworker":
        log.setup_logger("djchan", verbosity=1 if given in ("absent", "others") else 2)
    after = state()
    if process == "runworker" and given in ("absent", "others"):
        level, propagate, handlers = after["djchan"]
        assert handlers == [log.handler]
        after["djchan"] = level, propagate, []
    assert after == before


@pytest.mark.parametrize("debug", [True, False])
def test_djangos_own_lines_are_written_once_too(output, settings, debug):
    for own in ("plain", "absent"):
        setup(settings, LOGGINGS[own], "daphne", debug=debug)
        logging.getLogger("django.request").warning("Not Found: /")
        (line,) = output()
        assert line.endswith("Not Found: /") and line != "Not Found: /"


def test_lines_of_the_project_are_written_once_under_daphne(output, settings):
    setup(settings, LOGGINGS["others"], "daphne")
    logging.getLogger("shop").warning("sold")
    assert output() == ["OWN WARNING sold"]


def test_djangos_console_keeps_what_no_other_handler_writes(output, settings, tmp_path):
    above = {**KEEP, "root": {**ROOT, "level": "WARNING"}}
    above["handlers"] = {"own": {**PLAIN, "level": "ERROR"}}
    setup(settings, above, "daphne", debug=True)
    logging.getLogger("django.request").warning("warned")
    logging.getLogger("django.request").error("failed")
    assert output() == ["warned", "OWN ERROR failed"]
    file = {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "formatter": "own"}
    setup(settings, {**KEEP, "handlers": {"own": file}, "root": ROOT}, debug=True)
    logging.getLogger("djchan.worker").warning("to both")
    assert output() == ["to both"]
    logging.shutdown(logging._handlerList)
    assert (tmp_path / "log").read_text() == "OWN WARNING to both\n"


def test_daphnes_handler_is_known_by_its_default_format():
    assert CommandLineInterface().parser.get_default("log_fmt") == DAPHNE_FORMAT


def test_a_format_that_was_given_to_daphne_is_kept(output, settings):
    logging.basicConfig(level=logging.INFO, format="MINE %(message)s")
    setup(settings, {}, "none", debug=True)
    for name in ("djchan.worker", "daphne.server", "django.request"):
        logging.getLogger(name).warning("hello")
    assert output() == ["MINE hello"] * 3


def test_a_handler_that_the_project_adds_later_takes_over(output, settings):
    setup(settings, {})
    logging.basicConfig(format="LATER %(message)s")
    logging.getLogger("djchan.worker").warning("hello")
    assert output() == ["LATER hello"]


@pytest.mark.parametrize(
    ("verbosity", "words"), [(0, ["warned"]), (1, ["noted", "warned"]), (2, list("dnw"))]
)
def test_verbosity_is_for_those_who_have_configured_nothing(output, settings, verbosity, words):
    def write():
        logging.getLogger("djchan.worker").debug("d")
        logging.getLogger("djchan.worker").info("n" if verbosity > 1 else "noted")
        logging.getLogger("djchan.worker").warning("w" if verbosity > 1 else "warned")
        lines = [line.rpartition(" ")[2] for line in output()]
        return lines

    setup(settings, {}, verbosity=verbosity)
    assert write() == words
    logging.getLogger("djchan").setLevel(logging.ERROR)
    setup(settings, {}, verbosity=verbosity)
    assert write() == []


@pytest.mark.parametrize(
    ("handlers", "mailed"),
    [(None, ["django.request"]), (["mail_admins"], ["daphne.server", "djchan.worker"])],
    ids=["without LOGGING", "asked for"],
)
def test_djchans_errors_are_mailed_to_admins_where_logging_asks_for_it(
    output, settings, mailoutbox, handlers, mailed
):
    settings.ADMINS = [
        "ada@example.com" if django.VERSION >= (6, 0) else ("Ada", "ada@example.com")
    ]
    mail = {"class": "django.utils.log.AdminEmailHandler"}
    own = {**KEEP, "handlers": {"mail_admins": mail}, "loggers": {"djchan": {"handlers": handlers}}}
    setup(settings, own if handlers else {})
    for name in ("djchan.worker", "daphne.server", *(() if handlers else ("django.request",))):
        logging.getLogger(name).error("failed in %s", name)
    subjects = [each.subject.rpartition(" ")[2] for each in mailoutbox]
    assert sorted(subjects) == mailed


def test_setup_logger_under_the_name_of_channels_1(output, settings):
    setup(settings, {}, debug=True)
    logger = log.setup_logger("django.channels")
    assert logger is logging.getLogger("django.channels")
    logging.getLogger("djchan.worker").info("hello")
    assert len(output()) == 1
    log.setup_logger("djchan")
    logging.getLogger("djchan.worker").info("again")
    assert len(output()) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "style", "options", "env", "colored"),
    [
        (Terminal, "dark", {}, {}, True),
        (io.StringIO, "dark", {}, {}, False),
        (Terminal, "nocolor", {}, {}, False),
        (Terminal, None, {}, {}, False),
        (Terminal, "dark", {}, {"NO_COLOR": "1"}, False),
        (io.StringIO, "dark", {"force_color": True}, {"NO_COLOR": "1"}, True),
    ],
    ids=["terminal", "file", "--no-color", "no style", "NO_COLOR", "--force-color"],
)
def test_colors_are_for_terminals(monkeypatch, stream, style, options, env, colored):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    style = style and make_style(style)
    made = terminal.formatter(stream(), style, **options)
    for level in (*terminal._ROLES, 35):
        record = logging.LogRecord("djchan", level, "a.py", 1, "%s", ("hello",), None)
        line = made.format(record)
        assert line.endswith(" - a - hello")
        assert ("\x1b[" in line) == (colored and level != 35)
