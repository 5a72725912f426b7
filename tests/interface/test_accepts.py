import asyncio
import errno
import logging

import pytest

from djchan.interface import accepts
from djchan.interface.journal import Journal


def loop_with(caplog, before=None):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(before)
    journal = Journal(logging.getLogger("djchan.test"))
    accepts.log_briefly(loop, journal)
    return loop, journal


def refused(number):
    # As asyncio has it.
    return {
        "message": "socket.accept() out of system resource",
        "exception": OSError(number, "no more"),
        "socket": None,
    }


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_connections_that_cannot_be_taken_are_one_line_without_a_traceback(caplog, number):
    loop, journal = loop_with(caplog)
    for _ in range(100):
        loop.call_exception_handler(refused(number))
    loop.close()
    (record,) = caplog.records
    assert "LimitNOFILE" in record.getMessage() and record.exc_info is None
    assert journal.counts["accept.exhausted"] == 100


@pytest.mark.parametrize(
    "context",
    [
        {"message": "a task failed", "exception": ValueError("x")},
        {"message": "something else", "exception": OSError(errno.EMFILE, "no more")},
        {"message": "socket.accept() failed", "exception": OSError(errno.EPERM, "no")},
        {"message": "nothing more"},
    ],
    ids=lambda context: context["message"],
)
def test_other_errors_go_where_they_went_before(caplog, context):
    seen = []
    loop, _ = loop_with(caplog, before=lambda loop, context: seen.append(context))
    loop.call_exception_handler(context)
    loop.close()
    assert (seen, caplog.records) == ([context], [])

    loop, _ = loop_with(caplog)
    loop.call_exception_handler(context)
    loop.close()
    assert context["message"] in caplog.text
