import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.interface import http
from djchan.interface.http import Complain, Content, Cut, Exchange, Start, State
from djchan.layers import codec
from tests.interface.fakes import http_scope


def exchange(*args, **keys):
    return Exchange(http_scope(*args, **keys))


def started():
    it = exchange()
    assert it.reply({"status": 200, "more_content": True}) == [Start(200, [], b"", True)]
    return it


def is_page(actions, status, sentence):
    (start,) = actions
    assert isinstance(start, Start)
    assert (start.status, start.more) == (status, False)
    retry = [(b"retry-after", b"5")] if status == 503 else []
    assert start.headers == [(b"content-type", b"text/html; charset=utf-8"), *retry]
    assert sentence.encode() in start.content
    return True


def test_the_request_message():
    assert exchange("POST").request("http.response.p!c", b"body", None) == {
        "reply_channel": "http.response.p!c",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/page/",
        "root_path": "/app",
        "query_string": b"q=1",
        "headers": [[b"host", b"example.com"], [b"a", b"1"], [b"a", b"2"]],
        "body": b"body",
        "client": ["10.0.0.1", 4711],
        "server": ["10.0.0.2", 443],
    }
    message = exchange().request("r", b"", "http.request.body.p?x")
    assert message["body_channel"] == "http.request.body.p?x"


def test_a_scope_with_the_least_there_may_be():
    message = Exchange({"type": "http", "path": "/"}).request("r", b"", None)
    assert (message["method"], message["scheme"], message["client"]) == ("GET", "http", None)
    assert (message["headers"], message["query_string"], message["root_path"]) == ([], b"", "")


def test_the_disconnect_message():
    assert exchange().disconnect("r") == {"reply_channel": "r", "path": "/page/"}


def test_a_whole_response():
    it = exchange()
    headers = [(b"X-A", b"1"), ["Content-Type", "text/plain; name=\xe9"]]
    assert it.reply({"status": 404, "headers": headers, "content": b"no"}) == [
        Start(404, [(b"X-A", b"1"), (b"Content-Type", b"text/plain; name=\xe9")], b"no", False)
    ]
    assert it.has_ended
    assert it.reply({"status": 200}) == []
    assert it.reply({"content": b"more"}) == []


def test_headers_may_be_a_dict():
    assert exchange().reply({"status": 200, "headers": {"A": b"1"}})[0].headers == [(b"A", b"1")]


def test_a_streamed_response():
    it = started()
    assert it.reply({"content": b"a", "more_content": True}) == [Content(b"a", True)]
    assert it.reply({"content": None, "more_content": True}) == [Content(b"", True)]
    assert it.reply({}) == [Content(b"", False)]
    assert it.has_ended


@pytest.mark.parametrize(
    "message",
    [
        {"content": b"x"},
        {},
        {"status": None},
        {"status": "200"},
        {"status": True},
        {"status": 100},
        {"status": 600},
        {"status": 200, "content": "text"},
        {"status": 200, "headers": [("A", 5)]},
        {"status": 200, "headers": [("A",)]},
        {"status": 200, "headers": 5},
        {"status": 200, "headers": [("A", "1\r\nSet-Cookie: a=b")]},
        {"status": 200, "headers": [(b"A\n", b"1")]},
        {"status": 200, "headers": [("A", "\u20ac")]},
        {"status": 200, "headers": [("A b", "1")]},
        {"status": 200, "headers": [("", "1")]},
        {"status": 200, "headers": [("A", "\x1b[31m")]},
    ],
)
def test_a_first_message_that_is_no_response_is_a_500(message):
    it = exchange()
    complaint, *page = it.reply(message)
    assert isinstance(complaint, Complain) and complaint.reason.endswith("gets a 500")
    assert is_page(page, 500, http.FAILED)
    assert it.reply({"status": 200}) == [], "there is one response"


@pytest.mark.parametrize("message", [{"status": 500, "content": b"sorry"}, {"content": "text"}])
def test_a_message_that_is_no_part_of_the_response_cuts_it(message):
    it = started()
    complaint, cut = it.reply(message)
    assert isinstance(complaint, Complain) and "is cut" in complaint.reason
    assert cut == Cut()
    assert it.has_ended


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("POST", 304)]
)
def test_a_response_without_content_ends_with_its_headers(method, status, more):
    it = exchange(method)
    said = it.reply(
        {"status": status, "headers": {"A": "b"}, "content": b"x", "more_content": more}
    )
    assert said == [Start(status, [(b"A", b"b")], b"", False)]
    assert it.reply({"content": b"y"}) == [] and it.has_ended


def test_a_page_of_ours_has_no_content_for_head_either():
    (start,) = exchange("HEAD").timeout()
    assert (start.status, start.content) == (503, b"")


@pytest.mark.parametrize(
    ("method", "status", "kept"), [("HEAD", 200, True), ("GET", 204, False), ("GET", 304, False)]
)
def test_the_size_of_content_that_is_not_sent_is_told_to_head_only(method, status, kept):
    (start,) = exchange(method).reply({"status": status, "headers": {"Content-Length": "5"}})
    assert start.headers == [(b"Content-Length", b"5")] * kept


def test_a_205_has_a_size_of_zero():
    (start,) = exchange().reply(
        {"status": 205, "headers": {"Content-Length": "1"}, "content": b"x"}
    )
    assert start == Start(205, [(b"content-length", b"0")], b"", False)


def announcing(size, *, content=b"", more=True):
    message = {"status": 200, "headers": {"Content-Length": size}}
    it = exchange()
    return it, it.reply({**message, "content": content, "more_content": more})


@pytest.mark.parametrize(
    ("size", "content"), [("5", b"four"), ("3", b"four"), ("-1", b""), ("five", b""), ("", b"")]
)
def test_a_whole_response_of_another_size_than_announced_is_a_500(size, content):
    _, (complaint, *page) = announcing(size, content=content, more=False)
    assert "Content-Length" in complaint.reason
    assert is_page(page, 500, http.FAILED)


@pytest.mark.parametrize("parts", [[b"ab", b"c"], [b"abcd"], [b"abc", b"d"]])
def test_a_stream_of_another_size_than_announced_has_no_clean_end(parts):
    it, _ = announcing(str(4 if parts == [b"ab", b"c"] else 3))
    said = [it.reply({"content": part, "more_content": True}) for part in parts[:-1]]
    said.append(it.reply({"content": parts[-1], "more_content": False}))
    assert Cut() in said[-1] and it.has_ended
    assert not any(isinstance(a, Content) and not a.more for actions in said for a in actions)


def test_a_stream_of_the_announced_size():
    it, (start,) = announcing("3", content=b"a")
    assert start.more
    assert it.reply({"content": b"bc", "more_content": True}) == [Content(b"bc", True)]
    assert it.reply({}) == [Content(b"", False)]


def test_two_sizes_are_none():
    headers = [("Content-Length", "1"), ("content-length", "2")]
    complaint, *page = exchange().reply({"status": 200, "headers": headers, "content": b"x"})
    assert "not the only one" in complaint.reason and is_page(page, 500, http.FAILED)


def test_timeout():
    assert is_page(exchange().timeout(), 503, "Worker server failed to respond within time limit.")
    it = started()
    assert it.timeout() == [Cut()], "once it has begun, it only can be cut"
    assert it.timeout() == []
    done = exchange()
    done.reply({"status": 200})
    assert done.timeout() == []


def test_refusals():
    assert is_page(exchange().refuse(503, http.QUEUE_FULL), 503, "Request queue full.")
    assert is_page(exchange().refuse(413, http.TOO_LARGE), 413, "larger")


@pytest.mark.parametrize("status", [codec.LOST, codec.POISON, codec.EXPIRED, codec.STUCK])
def test_a_run_that_was_given_up(status):
    assert is_page(exchange().status(status), 503, "worker")
    assert started().status(status) == [Cut()]


def test_a_consumer_that_returned_may_have_handed_its_request_on():
    it = exchange()
    assert it.status(codec.DONE) == []
    assert it.state is State.WAITING


@pytest.mark.parametrize("status", [codec.FAILED, codec.UNROUTED])
def test_a_run_that_failed_is_an_end(status):
    assert is_page(exchange().status(status), 500, http.FAILED)
    assert started().status(status) == [Cut()]
    done = exchange()
    done.reply({"status": 200})
    assert done.status(status) == [], "it had answered before"


def test_parts_of_one_run_only():
    it = exchange()
    assert it.part(7, 0, {"status": 200, "more_content": True}) == [Start(200, [], b"", True)]
    assert it.part(7, 1, {"content": b"a", "more_content": True}) == [Content(b"a", True)]
    assert it.part(8, 0, {"status": 200, "more_content": True}) == [], "another run"
    assert it.part(8, 2, {"content": b"z", "more_content": True}) == []
    assert it.part(7, 1, {"content": b"a", "more_content": True}) == [], "the same again"
    assert it.part(7, 2, {"content": b"b"}) == [Content(b"b", False)]


def test_a_missing_part_cuts():
    it = exchange()
    it.part(7, 0, {"status": 200, "more_content": True})
    assert it.part(7, 2, {"content": b"c", "more_content": True}) == [Cut()]


def test_a_missing_first_part_is_a_503():
    assert is_page(exchange().part(7, 1, {"content": b"c"}), 503, "worker")


def test_nothing_is_said_to_a_client_that_left():
    it = exchange()
    it.left()
    assert it.reply({"status": 200}) == []
    assert it.timeout() == it.fail() == []


def test_safe_methods():
    assert exchange("GET").safe and exchange("head").safe
    assert not exchange("POST").safe and not exchange("DELETE").safe


def test_the_announced_size():
    assert exchange(headers=[(b"content-length", b"12")]).announced == 12
    assert exchange(headers=[(b"content-length", b"many")]).announced is None
    assert exchange().announced is None


VALUES = st.sampled_from([None, True, 0, 200, 404, 700, b"", b"x", []])
KEYS = st.sampled_from(["status", "headers", "content", "more_content", "other"])


@given(st.lists(st.dictionaries(KEYS, VALUES), max_size=6))
def test_whatever_consumers_say_the_client_sees_a_legal_sequence(messages):
    it = exchange()
    said = [action for message in messages for action in it.reply(message)]
    said = [action for action in said if not isinstance(action, Complain)]
    assert [isinstance(action, Start) for action in said[:1]] == [True] * bool(said)
    assert not any(isinstance(action, Start) for action in said[1:])
    assert all(isinstance(action, Start | Content) and action.more for action in said[:-1])
    assert it.has_ended or all(action.more for action in said)


@pytest.mark.parametrize(
    ("version", "headers", "has_body"),
    [
        ("1.1", [], False),
        ("1.1", [(b"content-length", b"0")], False),
        ("1.1", [(b"content-length", b"1")], True),
        ("1.0", [(b"content-length", b"nonsense")], True),
        ("1.1", [(b"transfer-encoding", b"chunked")], True),
        ("2", [], True),
    ],
)
def test_which_requests_have_a_body(version, headers, has_body):
    assert Exchange(http_scope(http_version=version, headers=headers)).has_body is has_body
