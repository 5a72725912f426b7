"""One socket view from its first line to its end, whatever ends it.

From ``application``, with the view that was found; on to the view, with a ``Socket``. What
decides the close code is in ``endings``.

::

    view ends            ──► the socket is closed, or refused, as ``endings`` has it
    client leaves        ──► the view may finish within leave_grace, then it is canceled
    nobody accepts       ──► after connect_timeout the handshake is refused
    server stops         ──► the socket is closed (1012), the view is canceled
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from djchan.interface.websocket import ABNORMAL, SERVICE_RESTART
from djchan.legible import value
from djchan.log import escaping
from djchan.sockets.endings import ending, worst
from djchan.sockets.limits import SocketLimits
from djchan.sockets.server import Receive
from djchan.sockets.socket import Socket
from djchan.throttling import BURST, throttled

logger = escaping(logging.getLogger(__name__))

_SENTENCES = {400: "Bad request.", 404: "Not found.", 500: "Server error."}


async def run(
    view: Callable[[], Awaitable[object]],
    socket: Socket,
    receive: Receive,
    limits: SocketLimits,
    *,
    name: str,
) -> None:
    """Run ``view`` to its end and the socket with it; ``name``: the view's, for the log."""
    feeding = asyncio.ensure_future(socket.feed(receive))
    viewing = asyncio.ensure_future(_errors(view))
    try:
        await _accompany(viewing, feeding, socket, limits, name)
    except asyncio.CancelledError:
        # The server stops, or will not wait for this view any longer.
        await socket.expel(SERVICE_RESTART, 503, "the server stops")
        await _cancel(viewing, limits.leave_grace, socket, name)
        raise
    finally:
        failed = feeding.done()
        feeding.cancel()
        viewing.cancel()
    if failed:
        feeding.result()  # Raises what the server's receive() raised, if it did.


async def _accompany(
    viewing: "asyncio.Future[BaseException | None]",
    feeding: "asyncio.Future[None]",
    socket: Socket,
    limits: SocketLimits,
    name: str,
) -> None:
    settled = asyncio.ensure_future(socket.settled.wait())
    try:
        await _first(viewing, feeding, settled, timeout=limits.connect_timeout)
    finally:
        settled.cancel()
    if not viewing.done() and socket.connecting:
        throttled(
            logger,
            logging.WARNING,
            f"late {name}",
            "The WebSocket to %s was refused: the view %s did not accept() it within %g s (the "
            "limit is connect_timeout). Accept first, and do what takes long then.",
            *(value(socket.path), name, limits.connect_timeout),
        )
        await socket.expel(ABNORMAL, 503, "the handshake took too long")
    if not viewing.done():
        await _first(viewing, feeding)
    if not viewing.done():
        await _first(viewing, timeout=limits.leave_grace)
    if not viewing.done():
        throttled(
            logger,
            logging.INFO,
            f"left {name}",
            "The view %s of a WebSocket to %s is canceled: its socket ended %g s ago (the limit "
            "is leave_grace).",
            *(name, value(socket.path), limits.leave_grace),
        )
        await _cancel(viewing, limits.leave_grace, socket, name)
        return
    error = (
        asyncio.CancelledError("it canceled itself") if viewing.cancelled() else viewing.result()
    )
    await _finish(socket, error, name)


async def _finish(socket: Socket, error: BaseException | None, name: str) -> None:
    found = ending(error)
    if error is None and socket.connecting:
        throttled(
            logger,
            logging.WARNING,
            f"returned {name}",
            "The WebSocket to %s was refused: the view %s returned without accept(). To refuse "
            "it on purpose, await socket.close().",
            *(value(socket.path), name),
        )
    if found.level:
        throttled(
            logger,
            found.level,
            f"{type(error).__qualname__} in {name}",
            "The view %s of a WebSocket to %s: %s",
            *(name, value(socket.path), _told(error)),
            exc_info=error if found.trace else None,
            burst=BURST if found.trace else 1,
        )
    await socket.finish(found.code, found.status, _SENTENCES.get(found.status, "Refused."))


async def _errors(view: Callable[[], Awaitable[object]]) -> BaseException | None:
    """Run ``view``; what it raised. SystemExit too: no view ends the process of all sockets."""
    try:
        await view()
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        return error
    return None


async def _first(*waiting: "asyncio.Future[Any]", timeout: float | None = None) -> None:
    await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


async def _cancel(
    viewing: "asyncio.Future[BaseException | None]", grace: float, socket: Socket, name: str
) -> None:
    viewing.cancel()
    await asyncio.wait([viewing], timeout=grace)
    if not viewing.done():
        throttled(
            logger,
            logging.ERROR,
            f"still runs {name}",
            "The view %s of a WebSocket to %s was canceled and still runs after %g s: it must "
            "not catch CancelledError, or not wait then.",
            *(name, value(socket.path), grace),
        )
    elif not viewing.cancelled() and (error := viewing.result()) is not None:
        found = ending(error)
        if found.level:
            throttled(
                logger,
                found.level,
                f"canceled, {type(error).__qualname__} in {name}",
                "The view %s of a WebSocket to %s, when it was canceled: %s",
                *(name, value(socket.path), _told(error)),
                exc_info=error if found.trace else None,
                burst=BURST if found.trace else 1,
            )


def _told(error: BaseException | None) -> str:
    # Http404 and the like may carry a client's text.
    error = error and worst(error)
    return value(str(error)) if error is not None and str(error) else type(error).__name__
