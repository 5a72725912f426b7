"""How a layer reaches its engine, from threads and from event loops.

From ``layers.sending``, ``layers.keeping``, ``layers.statistics`` and ``layers.base``, with
operations; on to a link of the engine. A thread borrows a link for each call. An event loop has
one for all of its calls, idle ones for receives that block, and its end of the layer
(``layers.local``).
"""

import asyncio
import os
import threading
import weakref
from importlib import import_module
from typing import Any

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.engine import AsyncLink, Engine, Link
from djchan.layers.local import LocalProcess
from djchan.layers.policy import Policy


class Calls(Policy):
    """``engine`` and ``symmetric_encryption_keys``: see ``layers.base.BaseChannelLayer``."""

    def __init__(
        self, *, engine: Engine, symmetric_encryption_keys: Any = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.engine = engine
        if symmetric_encryption_keys is not None:
            self.engine = _sealed(engine, symmetric_encryption_keys)
        self._links: list[Link] = []
        self._links_lock = threading.Lock()
        self._links_pid = os.getpid()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = (
            weakref.WeakKeyDictionary()
        )

    def local(self) -> LocalProcess:
        """The running event loop's end of this layer, made at first use, not yet started."""
        ours = self._loop()
        if ours.local is None:
            ours.local = LocalProcess(self)
        return ours.local

    def close(self) -> None:
        """Close the idle connections of the synchronous face."""
        with self._links_lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        ours = self._loops.pop(asyncio.get_running_loop(), None)
        if ours is not None:
            for link in (ours.link, *ours.waiting):
                if link is not None:
                    await link.aclose()

    def _loop(self) -> "_Loop":
        loop = asyncio.get_running_loop()
        ours = self._loops.get(loop)
        if ours is None:
            ours = self._loops[loop] = _Loop()
        return ours

    def _alink(self) -> AsyncLink:
        ours = self._loop()
        if ours.link is None:
            ours.link = self.engine.alink("face")
        return ours.link

    def _link(self) -> "_Borrowed":
        return _Borrowed(self)

    def _perform(self, operation: Any) -> Any:
        return self._performs(operation)[0]

    def _performs(self, *operations: Any) -> list[Any]:
        with self._link() as link:
            return link.perform(*operations)


def _sealed(engine: Engine, keys: Any) -> Engine:
    try:
        # Not imported by who has no keys: it is an extra, and it is large.
        module = import_module("djchan.layers.sealed")
    except ImportError as error:
        raise InvalidChannelLayer(
            "symmetric_encryption_keys in the layer's CONFIG needs cryptography, which cannot be "
            f"imported ({error}): pip install 'djchan[crypto]'."
        ) from error
    sealed: Engine = module.SealedEngine(engine, keys)
    return sealed


class _Loop:
    """What one event loop has of a layer."""

    def __init__(self) -> None:
        self.link: AsyncLink | None = None
        self.waiting: list[AsyncLink] = []  # Idle links for receives that block.
        self.local: LocalProcess | None = None


class _Borrowed:
    """A link for one call: an idle one, or a new one."""

    def __init__(self, layer: Calls) -> None:
        self._layer = layer

    def __enter__(self) -> Link:
        layer = self._layer
        with layer._links_lock:
            if layer._links_pid != os.getpid():
                # After a fork: these are the parent's, and so are the answers on them.
                layer._links, layer._links_pid = [], os.getpid()
            self._link = layer._links.pop() if layer._links else None
        if self._link is None:
            self._link = layer.engine.link("face")
        return self._link

    def __exit__(self, *exc: object) -> None:
        assert self._link is not None
        with self._layer._links_lock:
            if len(self._layer._links) < 32:
                self._layer._links.append(self._link)
                return
        self._link.close()
