"""What the class-based consumers answer."""

import json

import pytest

from tests.realtime.site import SOCKET, Sent, lines, socket

TEXT, JSON = "/ws/pingpong/text/", "/ws/pingpong/json/"


@pytest.mark.parametrize("path", [TEXT, JSON])
class TestBoth:
    def test_are_accepted(self, sent, path):
        socket("connect", path)
        assert sent == [Sent("send", SOCKET, {"accept": True}, {})]

    def test_say_nothing_when_they_go(self, sent, path):
        socket("disconnect", path, code=1001)
        assert sent == []


class TestText:
    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            ("PING", "PONG"),
            ("ping 7", "PONG 7"),
            ("PING <b> 🐎", "PONG <b> 🐎"),
            ("hello", "This socket understands PING only."),
            ("", "This socket understands PING only."),
        ],
    )
    def test_a_ping_is_answered_with_a_pong(self, sent, text, answer):
        socket("receive", TEXT, text=text)
        assert sent == [Sent("send", SOCKET, {"text": answer}, {})]

    def test_bytes_are_no_ping(self, sent):
        socket("receive", TEXT, bytes=b"PING")
        assert sent[0].what == {"text": "This socket understands PING only."}


class TestJson:
    @pytest.mark.parametrize("number", [0, -1, 2**40])
    def test_a_number_comes_back(self, sent, number):
        socket("receive", JSON, text=json.dumps({"ping": number}))
        assert lines(sent) == [{"pong": number}]

    @pytest.mark.parametrize(
        "frame",
        [
            *({"text": text} for text in ("", "ping", "{", "{'ping': 1}", "[" * 100_000)),
            *({"text": text} for text in ("[]", "1", "{}", '{"ping": "1"}', '{"ping": NaN}')),
            {"bytes": b'{"ping": 1}'},
            {"text": '{"ping": ' + "9" * 5000 + "}"},
        ],
    )
    def test_anything_else_is_answered_in_words(self, sent, frame):
        socket("receive", JSON, **frame)
        ((verb, to, _, _),) = sent
        assert (verb, to) == ("send", SOCKET)
        (answer,) = lines(sent)
        assert list(answer) == ["error"] and len(answer["error"]) <= 200
