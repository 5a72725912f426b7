"""A consumer that forks: its child keeps nothing that is the worker's alone."""

import time
from collections import Counter
from pathlib import Path

import pytest

from djchan.layers.redis.layer import RedisChannelLayer
from tests.processes.conftest import Project
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(40)

WAYS = {"process", "bare", "pool"}


@pytest.fixture
def forking(project: Project) -> Project:
    project.env["DJANGO_SETTINGS_MODULE"] = "app.forks_settings"
    return project


def texts(project: Project) -> Counter[str]:
    return Counter(text for _, text in project.lines())


def test_what_a_child_sends_goes_out_at_once_and_once(forking: Project) -> None:
    layer = RedisChannelLayer(hosts=[forking.broker.url])
    worker = forking.worker()
    layer.send("member", {})
    wait_for(lambda: texts(forking)["member"], timeout=10, what="a member of the group")
    for channel in ("fork", "afork"):
        for child in ("send", "send_to_group", "send_async"):
            layer.send(channel, {"child": child})
    expected = {"of the consumer": 6, "member": 1, **dict.fromkeys(WAYS, 6)}
    total = sum(expected.values())
    wait_for(lambda: sum(texts(forking).values()) >= total, timeout=20, what="the sends")
    assert texts(forking) == expected
    assert "Traceback" not in worker.output()


def test_a_child_that_is_terminated_ends(forking: Project) -> None:
    layer = RedisChannelLayer(hosts=[forking.broker.url])
    worker = forking.worker()
    for _ in range(20):
        layer.send("terminate", {})
    wait_for(lambda: sum(texts(forking).values()) == 20, timeout=20, what="the ends")
    assert texts(forking) == {"exit -15": 20}
    # And the worker itself still stops when it is told to.
    worker.stop()


def test_the_death_of_a_worker_is_noticed_though_its_child_lives(forking: Project) -> None:
    layer = RedisChannelLayer(hosts=[forking.broker.url])
    worker = forking.worker()
    layer.send("linger", {})
    wait_for(lambda: texts(forking)["forked"], timeout=10, what="the child")
    forking.worker()
    worker.kill9()
    # Well before worker_silence, which is 15 seconds.
    wait_for(lambda: texts(forking)["again"], timeout=8, what="the second run")


@pytest.mark.parametrize("channel", ["leave_running", "aleave_running"])
def test_a_worker_ends_after_grace_whatever_its_consumers_left_running(
    forking: Project, channel: str
) -> None:
    layer = RedisChannelLayer(hosts=[forking.broker.url])
    worker = forking.worker()
    layer.send(channel, {})
    wait_for(lambda: forking.lines(), timeout=10, what="the consumer's end")
    began = time.monotonic()
    assert worker.stop() == 1
    assert time.monotonic() - began > 1.5, "they have grace to end by themselves"
    assert "have left running: " in worker.output()
    (_, left), *_ = forking.lines()
    children = [int(pid) for pid in left.split()[1:]]
    wait_for(lambda: not any(map(lives, children)), timeout=5, what="the end of the children")


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
