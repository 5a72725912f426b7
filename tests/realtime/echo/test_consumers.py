"""What the echo's consumers answer, and what they hand on."""

import os

import pytest

from tests.realtime.site import SOCKET, Sent, socket


class TestEcho:
    def test_says_what_it_was_told(self, sent):
        socket("receive", "/chat/", text="hello world")
        assert sent == [Sent("send", SOCKET, {"text": "You said: hello world"}, {})]

    def test_bytes_have_no_echo(self, sent):
        socket("receive", "/chat/", bytes=b"\x00")
        assert sent == []

    @pytest.mark.parametrize("path", ["/", "/chat", "/chat/more/", "/other/", "/ws/chat/"])
    def test_is_at_no_other_path(self, sent, path):
        socket("receive", path, text="hello world")
        assert sent == []

    @pytest.mark.parametrize("text", ["/slow", "/slowly now", "say /slow x", " /slow x"])
    def test_only_the_command_is_slow(self, sent, text):
        socket("receive", "/chat/", text=text)
        assert sent == [Sent("send", SOCKET, {"text": f"You said: {text}"}, {})]


class TestSlow:
    def test_hands_the_line_and_the_socket_on(self, sent):
        socket("receive", "/chat/", text="/slow hello world")
        work = {"reply_channel": SOCKET, "text": "hello world", "by": os.getpid()}
        assert sent == [Sent("send", "slow-echo", work, {})]

    @pytest.mark.parametrize("path", ["/", "/chat/more/", "/other/"])
    def test_is_at_no_other_path(self, sent, path):
        socket("receive", path, text="/slow hello world")
        assert sent == []
