"""A synchronous consumer has returned something to be awaited, which the event loop runs."""

from typing import Any

import pytest

from djchan import route
from djchan.lanes.loop import AsyncLane
from djchan.layers import codec
from djchan.layers.operations import Push, Send
from tests.lanes.site import Inbox, Site, delivery

REQUEST = "http.request"


def request(method: str) -> Push:
    envelope = codec.decode_envelope(delivery(1, {"method": method}).payload)
    envelope.channel = REQUEST
    return Push(REQUEST, codec.encode_envelope(envelope))


@pytest.mark.parametrize(
    ("method", "attempts", "status"), [("GET", [1, 2], codec.DONE), ("POST", [1], codec.LOST)]
)
def test_what_no_loop_takes_has_begun_all_the_same(
    site: Site,
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    attempts: list[int],
    status: str,
) -> None:
    """An unsafe request is lost then: its first half may have changed something."""
    take, refused = AsyncLane.take, []

    def full(lane: AsyncLane, *given: Any) -> bool:
        if not refused:
            refused.append(given)
            return False
        return take(lane, *given)

    async def rest() -> None:
        pass

    def consumer(message: Any) -> Any:
        site.ran.append(message.attempt)
        return rest()

    monkeypatch.setattr(AsyncLane, "take", full)
    site.worker(route(REQUEST, consumer))
    site(Send("", 0, (request(method),)))
    site.wait(len(attempts))
    assert inbox.wait(1)[-1][:5] == [codec.ANSWER, "1-abc", 1, [], status]
    assert site.ran == attempts
