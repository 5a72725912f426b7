"""How the end of a view ends its socket. No I/O happens here.

From ``run``, with what the view raised (None: it returned); on to it again.

=====================================  ==========  =============  =======
the view                               when open   when not       the log
                                       (close)     accepted yet
=====================================  ==========  =============  =======
returns                                1000        403            warning, if not accepted
raises SocketDisconnected              (is gone)   (is gone)
raises InvalidJSON                     1007                       info
raises UnexpectedFrame                 1003                       info
raises DenyConnection                  1008        403            info
raises PermissionDenied                1008        403            info
raises Http404                         1008        404            info
raises BadRequest, SuspiciousOperation 1008        400            info
raises anything else                   1011        500            error, with its traceback
=====================================  ==========  =============  =======
"""

import logging
from typing import NamedTuple

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404

from djchan.exceptions import DenyConnection, InvalidJSON, SocketDisconnected, UnexpectedFrame
from djchan.interface.websocket import INTERNAL_ERROR, NORMAL

UNSUPPORTED = 1003
INVALID_DATA = 1007
POLICY = 1008


class Ending(NamedTuple):
    """``code``: the close code of an open socket; ``status``: of a refused handshake.

    ``level``: of the log line; 0: there is none. ``trace``: whether with a traceback.
    """

    code: int
    status: int
    level: int
    trace: bool = False


_ENDINGS: tuple[tuple[tuple[type[BaseException], ...], Ending], ...] = (
    ((SocketDisconnected,), Ending(NORMAL, 403, 0)),
    ((InvalidJSON,), Ending(INVALID_DATA, 400, logging.INFO)),
    ((UnexpectedFrame,), Ending(UNSUPPORTED, 400, logging.INFO)),
    ((DenyConnection,), Ending(POLICY, 403, logging.INFO)),
    ((PermissionDenied,), Ending(POLICY, 403, logging.INFO)),
    ((Http404,), Ending(POLICY, 404, logging.INFO)),
    ((BadRequest, SuspiciousOperation), Ending(POLICY, 400, logging.INFO)),
)
_RETURNED = Ending(NORMAL, 403, 0)
_FAILED = Ending(INTERNAL_ERROR, 500, logging.ERROR, trace=True)


def ending(error: BaseException | None) -> Ending:
    """What a view's end means for its socket."""
    if error is None:
        return _RETURNED
    error = worst(error)
    for kinds, found in _ENDINGS:
        if isinstance(error, kinds):
            return found
    return _FAILED


def worst(error: BaseException) -> BaseException:
    """Of a group of errors the one that counts: a TaskGroup raises one when the client leaves."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    return max(map(worst, error.exceptions), key=lambda each: ending(each).level)
