"""Appendix B of the contract, lines 7 to 9: several workers, delays, the life of a worker.

See test_appendix_b.py for the other lines.
"""

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from djchan import Channel
from djchan.asgi import ChannelLayerWrapper
from djchan.layers.redis.layer import RedisChannelLayer
from tests.compat.conftest import Site
from tests.compat.talk import hear
from tests.processes.conftest import READY, socket
from tests.support.servers import Server
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]


# ------------------------------------------------------------------- 7. enforce_ordering


def test_b07_enforce_ordering_with_4_workers_and_1000_frames(site: Site) -> None:
    apart = site.apart("b07")
    apart.marks = site.marks.with_name("b07")
    apart.marks.touch()
    apart.env["MARKS"] = str(apart.marks)
    server = apart.daphne("asgi:channel_layer")
    workers = [site.processes.runworker(env=apart.env, cwd=apart.home) for _ in range(4)]
    for worker in workers:
        worker.wait_printed(READY)
    replies: list[list[int]] = []
    with socket(server, "/ordered/") as client:
        for number in range(1, 1001):
            client.send(str(number))
            if number > 100:
                replies.append(hear(client))
        while len(replies) < 999:
            replies.append(hear(client))
    # Frame 500 raises, and nobody is stuck behind it.
    assert [order for order, _ in replies] == [n for n in range(1, 1001) if n != 500]
    assert len({pid for _, pid in replies}) > 1

    def marks() -> list[str]:
        return [text for _, text in apart.lines()]

    wait_for(lambda: "over" in marks(), timeout=10, what="the disconnect is run")

    def expected() -> Iterator[str]:
        # One at a time, whichever worker had it: the end of each before the next begins.
        for number in range(1, 1002):
            yield f"begin {number}"
            yield f"end {number}"
        yield "over"

    assert marks() == list(expected())
    assert server.stop() == 0
    assert [worker.stop() for worker in workers] == [0] * 4


# --------------------------------------------------------------------------- 8. delay


def test_b08_delay_precision_and_a_bad_message(site: Site) -> None:
    due = {f"b08-{ms}": time.time() + ms / 1000 for ms in (0, 50, 250, 600)}
    for ms in (600, 250, 50, 0):
        site.layer.send("asgi.delay", {"channel": "due", "delay": "soon", "content": {}})
        content = {"n": f"b08-{ms}"}
        due[content["n"]] = time.time() + ms / 1000
        site.layer.send("asgi.delay", {"channel": "due", "delay": ms, "content": content})
    wait_for(lambda: len(site.marked("due b08-")) == 4, timeout=10, what="all are due")
    for line in site.marked("due b08-"):
        ms, at = line.split()
        late = float(at) - due[f"b08-{ms}"]
        assert -0.002 <= late < 1.0, f"{ms} ms came {late:.3f} s late"
    site.runworker.wait_printed(r"A message on asgi\.delay is dropped: .*not 'soon'", times=4)
    assert site.runworker.running()


def test_b08_delay_channel_full(site: Site, narrow: Callable[..., ChannelLayerWrapper]) -> None:
    # What was delayed is not lost when it meets a full channel.
    layer = narrow()
    for n in range(4):
        Channel("x", channel_layer=layer).send({"n": n}, delay=0.05)
    wait_for(lambda: taken(layer) == 4, timeout=5, what="all four")


_taken: dict[ChannelLayerWrapper, int] = {}


def taken(layer: ChannelLayerWrapper) -> int:
    name, _ = layer.receive(["x"])
    _taken[layer] = _taken.get(layer, 0) + (name is not None)
    return _taken[layer]


def test_b08_delay_two_rundelay_processes(site: Site) -> None:
    apart = site.apart("b08")
    rows = (
        "from djchan.delay.models import DelayedMessage\n"
        "for n in range(10):\n"
        "    DelayedMessage.objects.create(\n"
        "        channel_name='due', content='{\"n\": \"row-%d\"}' % n, delay=-1)\n"
    )
    pair = [
        site.processes.manage("rundelay", "--sleep", "0.05", env=apart.env, cwd=apart.home)
        for _ in range(2)
    ]
    for each in pair:
        each.wait_printed(READY)
    worker = apart.worker("--only-channels", "due")
    apart.shell(rows)
    other = RedisChannelLayer(hosts=[site.broker.url], prefix="b08")
    other.send("asgi.delay", {"channel": "due", "delay": 0, "content": "no dict"})
    for n in range(10):
        other.send("asgi.delay", {"channel": "due", "delay": 50, "content": {"n": f"asked-{n}"}})
    other.close()
    wait_for(
        lambda: len(site.marked("due row-")) >= 10 and len(site.marked("due asked-")) >= 10,
        timeout=10,
        what="twenty messages",
    )
    assert [each.stop() for each in pair] == [0, 0]
    assert worker.stop() == 0
    for kind in ("row", "asked"):
        found = sorted(line.split()[0] for line in site.marked(f"due {kind}-"))
        assert found == sorted(str(n) for n in range(10))


# ----------------------------------------------------------------------- 9. runworker


def test_b09_runworker_filters_threads_and_sigterm_while_busy_and_idle(site: Site) -> None:
    apart = site.apart("b09")
    layer = RedisChannelLayer(hosts=[site.broker.url], prefix="b09")
    only = ("--only-channels", "work.*", "--exclude-channels", "*.not", "--threads", "3")
    busy = apart.worker(*only)
    idle = apart.worker("--only-channels", "work.not")
    assert busy.printed(r"3 threads, .* 1 channel: work\.slow")
    assert idle.printed(r"1 thread, .* 1 channel: work\.not")
    for n in range(3):
        layer.send("work.slow", {"name": f"b09-{n}", "seconds": 1.0})
    wait_for(lambda: len(site.marked("start b09-")) == 3, timeout=10, what="three at a time")
    assert site.marked("end b09-") == []
    # Idle: at once.
    begun = time.monotonic()
    assert idle.stop() == 0
    assert time.monotonic() - begun < 5.0  # Its grace is 30 s.
    # Busy: no more is begun, and what runs is finished. In 1.x it was cut in the middle.
    busy.send_signal(signal.SIGTERM)
    busy.wait_printed("Stopping: what runs has")
    layer.send("work.slow", {"name": "late", "seconds": 0})
    layer.send("work.not", {"name": "never", "seconds": 0})
    assert busy.wait_exit() == 0
    assert sorted(site.marked("end b09-")) == ["0", "1", "2"]
    assert site.marked("start late") == site.marked("start never") == []
    assert int(layer.channel_statistics("work.slow")["messages_pending"]) == 1
    layer.close()


def test_b09_runworker_layer_restart(site: Site, own_broker: Server) -> None:
    apart = site.apart("b09r")
    apart.env["REDIS_URL"] = own_broker.url
    server, worker = apart.daphne("asgi:channel_layer"), apart.worker()
    with socket(server, "/rows/") as client:
        client.send("ping")
        assert client.recv(timeout=10) == "before"
        own_broker.restart()  # And all that it had is lost.
        client.send("ping")
        assert client.recv(timeout=10) == "before"
    # Before their Redis goes.
    assert (server.stop(), worker.stop()) == (0, 0)
