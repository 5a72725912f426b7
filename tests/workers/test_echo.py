"""The slow echo's answer, and to whom it goes."""

import os

from tests.realtime.site import SOCKET, Sent, run
from workers import echo


def test_answers_the_socket_that_came_with_the_work(sent, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(echo.time, "sleep", slept.append)
    run("slow-echo", {"reply_channel": SOCKET, "text": "hello", "by": 7})
    answer = f"You said: hello (3 seconds of work by worker {os.getpid()}, handed on by worker 7)"
    assert sent == [Sent("send", SOCKET, {"text": answer}, {})]
    assert slept == [3.0]
