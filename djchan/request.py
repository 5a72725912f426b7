"""Django's request, made of an ``http.request`` message, for the project's middleware and views."""

import io
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from djchan.exceptions import RequestAborted, RequestTimeout, ResponseLater


class AsgiRequest(ASGIRequest):
    """Django's own request, made from a message, with the additions below.

    The body is complete when the constructor returns. It raises KeyError without a path or
    method, RequestTimeout when the body takes longer than ``body_receive_timeout`` seconds,
    RequestAborted when the client left before its end.
    """

    ResponseLater = ResponseLater
    body_receive_timeout = 60

    # Whether the view raised ResponseLater: then nothing is sent for it here.
    promised = False

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply_channel = message.reply_channel
        scope = scope_of(message.content)
        # The scope first: an unreadable request is refused before the wait for its body.
        super().__init__(scope, io.BytesIO())
        if self.script_name:
            # Django 5.2 takes "/app" off "/apple" too.
            self.path_info = below(self.script_name, self.path)
            self.META["PATH_INFO"] = self.path_info
        self._stream = self._receive_body()
        self._set_content_length(scope)

    def _set_content_length(self, scope: dict[str, Any]) -> None:
        """Set CONTENT_LENGTH to the size of the body: chunked and HTTP/2 requests may lack it.

        Django's parsers, and DRF's, take a request without one for a request without a body.
        """
        size = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(0)
        if not size and "CONTENT_LENGTH" not in self.META:
            return
        length = str(size)
        if self.META.get("CONTENT_LENGTH") != length:
            self.META["CONTENT_LENGTH"] = length
            headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
            scope["headers"] = [*headers, (b"content-length", length.encode())]

    def _receive_body(self) -> BinaryIO:
        content = self.message.content
        start = content.get("body") or b""
        channel = content.get("body_channel")
        if not channel:
            return io.BytesIO(start)
        layer = self.message.channel_layer
        deadline = time.monotonic() + self.body_receive_timeout
        begin = getattr(layer, "begin_body", None)  # A layer of the project's own may have none.
        if begin is not None:
            begin(channel)
        with ExitStack() as undo:
            body: Any = undo.enter_context(
                tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
            )
            body.write(start)
            more = True
            while more:
                if time.monotonic() >= deadline:
                    raise RequestTimeout(
                        f"The request body on {channel!r} did not arrive within "
                        f"{self.body_receive_timeout} seconds (body_receive_timeout)."
                    )
                _, chunk = layer.receive([channel], block=True)
                if chunk is None:
                    # A layer may answer at once although it was asked to block.
                    time.sleep(0.01)
                    continue
                if chunk.get("closed"):
                    raise RequestAborted
                body.write(chunk.get("content") or b"")
                more = chunk.get("more_content", False)
            body.seek(0)
            undo.pop_all()
        spooled: BinaryIO = body
        return spooled


def scope_of(content: Mapping[str, Any], *, errors: str = "strict") -> dict[str, Any]:
    """The ASGI scope that Django expects for the message.

    ``errors``: for a path in bytes that are not UTF-8; "strict" raises UnicodeDecodeError.
    """
    path = content["path"]
    return {
        "type": "http",
        "http_version": content.get("http_version", "1.1"),
        "method": content["method"],
        "scheme": content.get("scheme"),
        "path": path.decode(errors=errors) if isinstance(path, bytes) else path,
        "root_path": content.get("root_path"),
        "query_string": content.get("query_string") or b"",
        "headers": _headers(content.get("headers") or ()),
        "client": content.get("client"),
        "server": content.get("server"),
    }


def _headers(
    headers: Mapping[str | bytes, str | bytes] | Iterable[tuple[str | bytes, str | bytes]],
) -> list[tuple[bytes, bytes]]:
    """Pairs of bytes with lower-case names, from any source, and one cookie header.

    HTTP/2 splits cookies over several headers, and Django 5.2 would join them by a comma. The
    body is complete, so headers about its transfer are dropped.
    """
    pairs = cast(
        "Iterable[tuple[str | bytes, str | bytes]]",
        headers.items() if isinstance(headers, Mapping) else headers,
    )
    found: list[tuple[bytes, bytes]] = []
    cookies: list[bytes] = []
    for name, value in pairs:
        name = name.lower().encode("latin-1") if isinstance(name, str) else name
        field = value.encode("latin-1") if isinstance(value, str) else value
        if name == b"cookie":
            cookies.append(field.rstrip(b"; "))
        elif name != b"transfer-encoding":
            found.append((name, field))
    if cookies:
        found.append((b"cookie", b"; ".join(cookies)))
    return found


def below(prefix: str, path: str) -> str:
    """``path`` as seen from ``prefix``, or as it is when it does not lie below it."""
    prefix = prefix.rstrip("/")
    if path == prefix or path.startswith(prefix + "/"):
        return path[len(prefix) :]
    return path
