"""What server-sent events look like: text, of which a blank line ends each event.

From the consumers and the view; on to the group ``ticker`` or to one held response. See
https://html.spec.whatwg.org/multipage/server-sent-events.html. No channel is touched here.
"""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from realtime.ticker.models import Headline

GROUP = "ticker"
HEADERS = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx: hand on what there is
)
RETRY = b"retry: 2000\n\n"  # milliseconds until a browser comes back
# A comment: it tells the browser nothing, and proxies that the response is in use.
STILL_HERE = b": still here\n\n"


def more(content: bytes) -> dict[str, Any]:
    """More of a response that stays open."""
    return {"content": content, "more_content": True}


def events(headlines: Iterable[Headline]) -> bytes:
    """Each headline as an event with its id. JSON has no line breaks that would end one."""
    return b"".join(
        f"id: {headline.pk}\ndata: {json.dumps({'text': headline.text})}\n\n".encode()
        for headline in headlines
    )


def seen(request: dict[str, Any]) -> int:
    """The id of the last event that a client had; 0: it had none.

    A browser that comes back by itself says it in a header, a page in ``?after=``.
    """
    said = parse_qs(request["query_string"].decode("latin-1")).get("after", [""])[0]
    for name, value in request["headers"]:
        if name == b"last-event-id":
            said = value.decode("latin-1")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0
