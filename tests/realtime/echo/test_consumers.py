"""What the echo's consumer answers."""

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
