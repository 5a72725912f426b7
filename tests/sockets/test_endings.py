"""How each end of a view ends its socket."""

import logging

import pytest
from django.core.exceptions import BadRequest, PermissionDenied, TooManyFieldsSent
from django.http import Http404

from djchan.exceptions import (
    DenyConnection,
    InvalidJSON,
    SocketDisconnected,
    SocketStateError,
    UnexpectedFrame,
)
from djchan.sockets.endings import Ending, ending, worst


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, Ending(1000, 403, 0)),
        (SocketDisconnected(code=1001), Ending(1000, 403, 0)),
        (InvalidJSON(), Ending(1007, 400, logging.INFO)),
        (UnexpectedFrame(), Ending(1003, 400, logging.INFO)),
        (DenyConnection(), Ending(1008, 403, logging.INFO)),
        (PermissionDenied(), Ending(1008, 403, logging.INFO)),
        (Http404(), Ending(1008, 404, logging.INFO)),
        (BadRequest(), Ending(1008, 400, logging.INFO)),
        (TooManyFieldsSent(), Ending(1008, 400, logging.INFO)),
        (SocketStateError(), Ending(1011, 500, logging.ERROR, trace=True)),
        (ZeroDivisionError(), Ending(1011, 500, logging.ERROR, trace=True)),
        (SystemExit(), Ending(1011, 500, logging.ERROR, trace=True)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_endings(error, expected):
    assert ending(error) == expected


def test_of_a_group_the_worst_counts():
    gone, bad, failed = SocketDisconnected(), InvalidJSON(), ZeroDivisionError()
    assert ending(ExceptionGroup("", [gone, gone])) == ending(gone)
    assert ending(ExceptionGroup("", [gone, ExceptionGroup("", [bad])])) == ending(bad)
    assert ending(BaseExceptionGroup("", [failed, bad, SystemExit()])).code == 1011
    assert worst(ExceptionGroup("", [gone, ExceptionGroup("", [bad])])) is bad
    assert worst(failed) is failed
