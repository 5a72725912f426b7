"""What a message to a reply channel may hold. No I/O happens here.

The interface asks for every reply, and complains in its log. ``djchan.channel`` asks as well when
something is sent, so that the error is on the line of the consumer that sent it.
"""

from collections.abc import Mapping
from typing import TypeGuard

SOCKET = "websocket.send"
RESPONSE = "http.response"

# "type" means nothing to a socket: a group message that Channels 4 consumers share has it.
KEYS = frozenset({"accept", "text", "bytes", "close", "subprotocol", "type"})
_BYTES = bytes | bytearray | memoryview
NORMAL = 1000  # The close code of True.


def unknown_keys(message: Mapping[str, object]) -> str:
    """What is wrong with the keys of a message to a WebSocket; "" for nothing."""
    if message.keys() <= KEYS:
        return ""
    unknown = ", ".join(repr(key) for key in message if key not in KEYS)
    return (
        f"a reply to a WebSocket has no key {unknown}; it has accept, text, bytes, close and "
        "subprotocol"
    )


def wrong_frame(message: Mapping[str, object]) -> str:
    """What is wrong with the text and the bytes of a message to a WebSocket; "" for nothing."""
    text, data = message.get("text"), message.get("bytes")
    if text and data:
        return "a reply has both text and bytes"
    if not isinstance(text, str | None):
        remedy = " (write json.dumps() around it)" if isinstance(text, dict | list) else ""
        return f"the text of a frame is str, not {_kind(text)}{remedy}"
    if not isinstance(data, _BYTES | None):
        return f"the bytes of a frame are bytes, not {_kind(data)}"
    return ""


def wrong_code(code: object) -> str:
    """What is wrong with the value of ``close``; "" for nothing."""
    if not code or code is True:
        return ""
    if isinstance(code, int) and (code == NORMAL or 3000 <= code <= 4999):
        return ""
    return (
        f"{code!r:.80} is no close code for an application (1000, or 3000 to 4999: RFC 6455, "
        "section 7.4)"
    )


def wrong_part(message: Mapping[str, object]) -> str:
    """What is wrong with the content and the status of a part of a response; "" for nothing."""
    content, status = message.get("content"), message.get("status")
    if not isinstance(content, _BYTES | None):
        return f"the content of a response is bytes, not {_kind(content)}"
    if status is not None and not is_status(status):
        return f"the status of a response is from 200 to 599, not {status!r:.80}"
    return ""


def is_status(status: object) -> TypeGuard[int]:
    return isinstance(status, int) and not isinstance(status, bool) and 200 <= status <= 599


def _kind(value: object) -> str:
    return type(value).__name__
