import logging
from typing import Any

import pytest

from djchan import Channel, route
from djchan.lanes.unrouted import Lookout, unrouted
from tests.support.waiting import wait_for


class FakeLink:
    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.asked = 0

    def perform(self, *operations: Any) -> list[Any]:
        self.asked += 1
        return [self.waiting]


def test_only_what_a_route_could_take() -> None:
    waiting = {
        "thumbnails": 1,
        "thumbnial": 2,
        "empty": 0,
        "specific.abc!def": 1,
        "http.request.body.p?x": 1,
        "websocket.receive": 1,
        "http.disconnect": 1,
    }
    assert unrouted(waiting, {"thumbnails"}) == {"thumbnial": 2}


def test_each_channel_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    link = FakeLink()
    lookout = Lookout(link, {"a"}, interval=30.0, alias="default")  # type: ignore[arg-type]
    link.waiting = {"a": 1, "b": 3}
    with caplog.at_level(logging.WARNING, "djchan.lanes.unrouted"):
        for now in (100.0, 101.0, 131.0):
            lookout.look(now)
        link.waiting = {"a": 1, "b": 4, "c": 1}
        lookout.look(162.0)
    assert link.asked == 3
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("Messages wait on 'b' (3), which no route of CHANNEL_LAYERS['default']")
    assert "ROUTING" in first
    assert second.startswith("Messages wait on 'c' (1)")


def test_a_flood_of_names_is_no_flood_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    link = FakeLink()
    lookout = Lookout(link, (), interval=30.0, alias="default")  # type: ignore[arg-type]
    link.waiting = {f"name-{number}": 1 for number in range(500)}
    with caplog.at_level(logging.WARNING, "djchan.lanes.unrouted"):
        lookout.look(100.0)
    assert len(caplog.records) == 100


def test_a_worker_says_it(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    Channel("thumbnial", channel_layer=site.layer).send({"id": 1})
    with caplog.at_level(logging.WARNING, "djchan.lanes.unrouted"):
        site.worker(route("thumbnails", lambda message: None))
        wait_for(lambda: "thumbnial" in caplog.text, timeout=10, what="the worker has looked")
