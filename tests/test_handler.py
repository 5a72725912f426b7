"""djchan.handler: messages to Django's requests, Django's responses to messages."""

import asyncio
import io
import logging
import sys
import tempfile
import threading

import pytest
from django.contrib.auth.models import Group as AuthGroup
from django.core import signals
from django.core.exceptions import RequestDataTooBig
from django.db import connections
from django.http import (
    FileResponse,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import get_script_prefix, path

from djchan import detached
from djchan.exceptions import (
    ChannelFull,
    Fenced,
    ProcessGone,
    RequestAborted,
    RequestTimeout,
    ResponseLater,
)
from djchan.handler import AsgiHandler, AsgiRequest, ViewConsumer
from djchan.message import Message

# Each request closes stale connections, as Django does: that looks at the database.
pytestmark = pytest.mark.django_db

# ---------------------------------------------------------- the site of these tests


def hello(request):
    return HttpResponse(b"Hello")


def named(request, name):
    return HttpResponse(f"{name} {request.GET.get('q')} {request.resolver_match.url_name}")


async def hello_async(request):
    return HttpResponse(b"Hello, later on")


def later(request):
    request.seen.append(request.reply_channel.name)
    raise request.ResponseLater


async def later_async(request):
    raise AsgiRequest.ResponseLater()


def later_in_template(request):
    response = TemplateResponse(request, "none.html")

    def render():
        raise ResponseLater

    response.render = render
    return response


def later_after_write(request):
    AuthGroup.objects.create(name="promised")
    raise request.ResponseLater


def fails(request):
    raise RuntimeError("no such luck")


def upload(request):
    return JsonResponse(
        {
            "post": request.POST.dict(),
            "files": {name: file.read().decode() for name, file in request.FILES.items()},
        }
    )


def big(request):
    return HttpResponse(b"x" * (AsgiHandler.chunk_size + 1))


def whole_body(request):
    return HttpResponse(request.body)


class Urls:
    urlpatterns = (
        path("hello/", hello),
        path("named/<name>/", named, name="the_name"),
        path("async/", hello_async),
        path("later/", later),
        path("later_async/", later_async),
        path("later_in_template/", later_in_template),
        path("later_after_write/", later_after_write),
        path("fails/", fails),
        path("upload/", upload),
        path("big/", big),
        path("body/", whole_body),
    )


class UrlsWithoutLuck:
    """A site whose error page fails in its turn."""

    urlpatterns = (path("fails/", fails),)

    @staticmethod
    def handler500(request):
        raise RuntimeError("nor here")


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = Urls
    settings.MIDDLEWARE = []
    settings.TEMPLATES = []
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    settings.DEBUG = False


class FakeLayer:
    """Answers receive with one chunk after the other, then with nothing."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)
        self.asked = []

    def receive(self, channels, block=False):
        self.asked.append((list(channels), block))
        return (channels[0], self.chunks.pop(0)) if self.chunks else (None, None)


class ReplyChannel:
    name = "http.response.P!1"

    def __init__(self, *errors):
        self.errors = list(errors)
        self.sent = []

    def send(self, content, immediately=False):
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.sent.append((content, immediately))

    async def asend(self, content, immediately=False):
        self.send(content, immediately)


def message(path="/hello/", *, layer=None, reply=None, **content):
    content = {
        "reply_channel": "http.response.P!1",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [[b"host", b"testserver"]],
        "body": b"",
        "client": ["192.0.2.7", 51000],
        "server": ["192.0.2.1", 8000],
        **content,
    }
    made = Message(
        {key: value for key, value in content.items() if value is not ...},
        "http.request",
        layer or FakeLayer(),
    )
    if reply is not None:
        made.reply_channel = reply
    return made


def parts_of(message, handler=None):
    return list((handler or AsgiHandler())(message))


def single(message, handler=None):
    (part,) = parts_of(message, handler)
    return part


class Finished:
    """Counts request_started and request_finished."""

    def __enter__(self):
        self.started, self.finished = [], []
        signals.request_started.connect(self.on_started)
        signals.request_finished.connect(self.on_finished)
        return self

    def __exit__(self, *exc):
        signals.request_started.disconnect(self.on_started)
        signals.request_finished.disconnect(self.on_finished)

    def on_started(self, sender, **kwargs):
        self.started.append((sender, kwargs.get("message")))

    def on_finished(self, sender, **kwargs):
        self.finished.append(sender)


# ----------------------------------------------------------------- AsgiRequest


def test_the_smallest_message_is_a_request():
    request = AsgiRequest(
        Message({"reply_channel": "r", "method": "get", "path": "/x/"}, "http.request", "a layer")
    )
    assert (request.method, request.path, request.path_info) == ("GET", "/x/", "/x/")
    assert (request.script_name, request.body, request.scheme) == ("", b"", "http")
    assert request.META == {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/x/",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "SERVER_NAME": "unknown",
        "SERVER_PORT": "0",
    }
    assert not request.GET
    assert not request.POST
    assert not request.COOKIES
    assert not request.FILES


def test_a_full_message_is_a_request():
    whole = message(
        "/app/x/",
        root_path="/app",
        method="POST",
        scheme="https",
        query_string=b"a=1&b=%C3%A9",
        headers=[
            [b"host", b"example.com"],
            [b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"],
            [b"content-length", b"5"],
            [b"x-double", b"one"],
            [b"x-double", b"two"],
        ],
        body=b"k=v%2",
    )
    request = AsgiRequest(whole)
    assert request.message is whole
    assert request.reply_channel.name == "http.response.P!1"
    assert (request.path, request.path_info, request.script_name) == ("/app/x/", "/x/", "/app")
    assert (request.GET["a"], request.GET["b"]) == ("1", "é")
    assert request.POST["k"] == "v%2"
    assert request.is_secure()
    meta = request.META
    assert (meta["REMOTE_ADDR"], meta["REMOTE_HOST"], meta["REMOTE_PORT"]) == (
        "192.0.2.7",
        "192.0.2.7",
        51000,
    )
    assert (meta["SERVER_NAME"], meta["SERVER_PORT"]) == ("192.0.2.1", "8000")
    assert (meta["HTTP_HOST"], meta["HTTP_X_DOUBLE"]) == ("example.com", "one,two")
    assert (meta["CONTENT_LENGTH"], meta["PATH_INFO"]) == ("5", "/x/")
    assert request.content_type == "application/x-www-form-urlencoded"
    assert request.content_params == {"charset": "utf-8"}
    assert request.encoding == "utf-8"
    assert request.headers["X-Double"] == "one,two"


def test_what_the_test_client_and_old_servers_send_is_taken():
    request = AsgiRequest(
        message(
            "/é/".encode(),
            query_string="a=1",
            headers={"Host": b"testserver", "cookie": b"k=v", "X-Text": "text"},
        )
    )
    assert (request.path, request.GET["a"], request.COOKIES) == ("/é/", "1", {"k": "v"})
    assert request.META["HTTP_X_TEXT"] == "text"
    bare = AsgiRequest(message(headers=None, query_string=None, body=None, client=None, server=...))
    assert (bare.META["SERVER_NAME"], bare.body) == ("unknown", b"")
    assert "REMOTE_ADDR" not in bare.META


def test_cookies_in_several_headers_are_all_read():
    headers = [[b"cookie", b"a=1; "], [b"x", b"y"], [b"cookie", b"b=2;"], [b"cookie", b"c=3"]]
    request = AsgiRequest(message(headers=headers))
    assert request.META["HTTP_COOKIE"] == "a=1; b=2; c=3"
    assert request.COOKIES == {"a": "1", "b": "2", "c": "3"}


def test_header_names_with_an_underscore_are_dropped():
    headers = [[b"x_real", b"spoofed"], [b"content_length", b"9"], [b"x-real", b"true"]]
    meta = AsgiRequest(message(headers=headers)).META
    assert meta["HTTP_X_REAL"] == "true"
    assert "CONTENT_LENGTH" not in meta


@pytest.mark.parametrize(
    ("root", "whole", "below"),
    [
        ("/app", "/app/x/", "/x/"),
        ("/app/", "/app/x/", "/x/"),
        ("/app", "/app", ""),
        ("/app", "/apple/", "/apple/"),
        ("/app", "/other/", "/other/"),
        ("", "/x/", "/x/"),
    ],
)
def test_the_script_prefix_ends_at_a_slash(root, whole, below):
    request = AsgiRequest(message(whole, root_path=root))
    assert (request.path_info, request.META["PATH_INFO"]) == (below, below)
    assert request.path == whole


def test_force_script_name(settings):
    settings.FORCE_SCRIPT_NAME = "/forced"
    request = AsgiRequest(message("/forced/x/", root_path="/app"))
    assert (request.script_name, request.path_info) == ("/forced", "/x/")


@pytest.mark.parametrize("missing", ["path", "method"])
def test_a_message_without_path_or_method_is_none_of_http(missing):
    with pytest.raises(KeyError, match=missing):
        AsgiRequest(message(**{missing: ...}))


def test_the_body_is_a_stream():
    request = AsgiRequest(message(method="PUT", body=b"onetwothree"))
    assert request.read(3) == b"one"
    assert request.read() == b"twothree"


def test_files_are_uploaded():
    body = (
        b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nHi\r\n'
        b'--B\r\nContent-Disposition: form-data; name="doc"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\ncontent\r\n--B--\r\n"
    )
    sent = {
        "method": "POST",
        "headers": [
            [b"content-type", b"multipart/form-data; boundary=B"],
            [b"content-length", str(len(body)).encode()],
        ],
    }
    request = AsgiRequest(message(body=body, **sent))
    assert request.POST["title"] == "Hi"
    assert request.FILES["doc"].read() == b"content"
    assert request._post_parse_error is False
    chunks = [{"content": body[at : at + 40], "more_content": True} for at in range(0, 300, 40)]
    layer = FakeLayer(*chunks, {"content": b""})
    request = AsgiRequest(message(layer=layer, body_channel="body", **sent))
    assert request.FILES["doc"].read() == b"content"
    request.close()


def test_a_body_in_chunks_follows_what_came_with_the_message():
    layer = FakeLayer(
        {"content": b"two", "more_content": True}, {"content": b"three", "more_content": False}
    )
    request = AsgiRequest(message(body=b"one", body_channel="http.request.body?x", layer=layer))
    assert request.body == b"onetwothree"
    assert layer.asked == [(["http.request.body?x"], True)] * 2


def test_a_large_body_goes_to_a_file(settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    small, large = ([{"content": b"x" * size}] for size in (10, 11))
    in_memory = AsgiRequest(message(body_channel="b", layer=FakeLayer(*small)))
    on_disk = AsgiRequest(message(body_channel="b", layer=FakeLayer(*large)))
    assert (in_memory._stream._rolled, on_disk._stream._rolled) == (False, True)
    assert on_disk.read() == b"x" * 11
    on_disk.close()
    in_memory.close()
    assert on_disk._stream.closed


def test_a_body_that_does_not_come_is_a_timeout(monkeypatch):
    class Impatient(AsgiRequest):
        body_receive_timeout = 0

    opened = []
    monkeypatch.setattr(
        tempfile,
        "SpooledTemporaryFile",
        lambda *args, **kwargs: opened.append(io.BytesIO()) or opened[0],
    )
    with pytest.raises(RequestTimeout, match="body_receive_timeout"):
        Impatient(message(body_channel="b"))
    assert opened[0].closed


def test_a_body_is_waited_for_with_one_budget():
    class Impatient(AsgiRequest):
        body_receive_timeout = 0.05

    class Dripping(FakeLayer):
        def receive(self, channels, block=False):
            self.asked.append(channels)
            return (channels[0], {"more_content": True}) if len(self.asked) % 2 else (None, None)

    with pytest.raises(RequestTimeout):
        Impatient(message(body_channel="b", layer=Dripping()))


def test_a_client_that_leaves_aborts_its_request():
    layer = FakeLayer({"content": b"x", "more_content": True}, {"closed": True})
    with pytest.raises(RequestAborted):
        AsgiRequest(message(body_channel="b", layer=layer))


@pytest.mark.parametrize("chunked", [False, True])
def test_the_upload_limit_is_enforced(settings, chunked):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

    def posted():
        if chunked:
            layer = FakeLayer({"content": b"x" * 11})
            return message("/body/", method="POST", body_channel="b", layer=layer)
        return message("/body/", method="POST", body=b"x" * 11)

    request = AsgiRequest(posted())
    with pytest.raises(RequestDataTooBig):
        _ = request.body
    request.close()
    assert single(posted())["status"] in (400, 413)


# ------------------------------------------------------------ encoding responses


class Given(AsgiHandler):
    """Answers with a response that is given to it."""

    chunk_size = 30

    def __init__(self, response):
        self._response = response
        super().__init__()

    def get_response(self, request):
        return self._response


def given(response):
    return parts_of(message(), Given(response))


def test_a_response_is_one_message():
    response = HttpResponse(b"Hi there!", content_type="text/plain", status=201)
    response["X-Mixed-Case"] = "é"
    assert given(response) == [
        {
            "status": 201,
            "headers": [(b"Content-Type", b"text/plain"), (b"X-Mixed-Case", b"\xe9")],
            "content": b"Hi there!",
            "more_content": False,
        }
    ]


def test_cookies_are_headers_of_their_own():
    response = HttpResponse("Hi")
    response.set_signed_cookie("a", "1")
    response.set_cookie("b", "é")
    (part,) = given(response)
    cookies = [value for name, value in part["headers"] if name == b"Set-Cookie"]
    assert [cookie.partition(b"=")[0] for cookie in cookies] == [b"a", b"b"]


def test_a_long_response_is_chunked():
    first, *rest = given(HttpResponse(b"x" * 30 + b"y" * 30 + b"z"))
    assert (first["status"], first["content"], first["more_content"]) == (200, b"x" * 30, True)
    assert rest == [
        {"content": b"y" * 30, "more_content": True},
        {"content": b"z", "more_content": False},
    ]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 205), ("GET", 304)]
)
def test_content_that_is_not_sent_is_not_asked_for(method, status, streaming):
    asked = []

    def parts():
        asked.append(1)
        yield b"x"

    kind = StreamingHttpResponse if streaming else HttpResponse
    response = kind(parts() if streaming else b"x" * 700_000, status=status)
    closed = []
    response._resource_closers.append(lambda: closed.append(1))
    handler = AsgiHandler()
    handler._respond = lambda request: response
    (part,) = handler(message(method=method))
    assert (part["status"], part["content"], part["more_content"]) == (status, b"", False)
    assert (asked, closed) == ([], [1])


@pytest.mark.parametrize("status", [100, 103, 199])
def test_a_status_that_is_no_responses_is_the_views_failure(status):
    with pytest.raises(ValueError, match=str(status)):
        list(AsgiHandler.encode_response(HttpResponse(status=status)))


def test_an_empty_response_and_a_redirect():
    (part,) = given(HttpResponse())
    assert (part["content"], part["more_content"]) == (b"", False)
    (part,) = given(HttpResponseRedirect("/x/"))
    assert (part["status"], dict(part["headers"])[b"Location"]) == (302, b"/x/")


def test_a_stream_has_a_message_more_than_parts():
    first, *rest = given(StreamingHttpResponse(["one", b"two"]))
    assert (first["status"], first["content"], first["more_content"]) == (200, b"one", True)
    assert rest == [{"content": b"two", "more_content": True}, {"more_content": False}]


def test_parts_of_a_stream_are_chunked_too():
    parts = given(StreamingHttpResponse([b"x" * 31]))
    assert [len(part.get("content", b"")) for part in parts] == [30, 1, 0]
    assert [part["more_content"] for part in parts] == [True, True, False]


def test_an_empty_stream_has_its_status_all_the_same():
    (part,) = given(StreamingHttpResponse([]))
    assert (part["status"], part["more_content"]) == (200, False)
    assert (b"Content-Type", b"text/html; charset=utf-8") in part["headers"]


def test_a_file_is_read_in_large_blocks():
    file = io.BytesIO(b"x" * 70)
    sizes = []
    reads = file.read
    file.read = lambda size=-1: sizes.append(size) or reads(size)
    parts = given(FileResponse(file))
    assert b"".join(part.get("content", b"") for part in parts) == b"x" * 70
    assert set(sizes) == {512 * 1024}
    assert file.closed


def test_chunk_bytes():
    assert list(Given.chunk_bytes(b"")) == [(b"", True)]
    assert list(Given.chunk_bytes(b"x" * 30)) == [(b"x" * 30, True)]
    assert list(Given.chunk_bytes(b"x" * 31)) == [(b"x" * 30, False), (b"x", True)]
    assert list(Given.chunk_bytes(b"x" * 60)) == [(b"x" * 30, False), (b"x" * 30, True)]


def test_an_async_stream_goes_out_as_it_comes():
    closed = []

    async def numbers():
        try:
            number = 0
            while True:
                yield f"{number}"
                number += 1
        finally:
            closed.append(True)

    parts = Given(StreamingHttpResponse(numbers()))(message())
    assert [next(parts)["content"] for _ in range(3)] == [b"0", b"1", b"2"]
    assert not closed
    parts.close()
    assert closed


def test_an_async_stream_ends():
    async def two():
        yield b"one"
        yield b"two"

    parts = given(StreamingHttpResponse(two()))
    assert [part.get("content") for part in parts] == [b"one", b"two", None]


# ------------------------------------------------------------------ AsgiHandler


def test_views_answer():
    part = single(message("/named/bob/", query_string=b"q=1"))
    assert (part["status"], part["content"]) == (200, b"bob 1 the_name")
    assert single(message("/async/"))["content"] == b"Hello, later on"
    assert single(message("/missing/"))["status"] == 404


def test_middleware_is_loaded_once(settings):
    made = []

    class Once:
        sync_capable = True

        def __init__(self, get_response):
            made.append(self)
            self.get_response = get_response

        def __call__(self, request):
            return self.get_response(request)

    Urls.Once = Once
    settings.MIDDLEWARE = [_dotted("Once")]
    handler = AsgiHandler()
    for _ in range(3):
        assert single(message(), handler)["content"] == b"Hello"
    assert len(made) == 1


def _dotted(name):
    """The dotted path of something that a test hung onto Urls."""
    module = f"middleware_{name.lower()}"
    sys.modules[module] = Urls
    return f"{module}.{name}"


def test_signals_frame_each_request():
    whole = message()
    with Finished() as seen:
        generator = AsgiHandler()(whole)
        next(generator)
        assert seen.started == [(AsgiHandler, whole)]
        assert seen.finished == []
        generator.close()
    assert seen.finished == [AsgiHandler]


def test_request_started_has_the_scope_of_djangos_own_handler():
    scopes = []

    def started(sender, scope, **kwargs):
        scopes.append(scope)

    signals.request_started.connect(started)
    try:
        parts_of(message("/hello/"))
        parts_of(message(b"/\xff/"))
    finally:
        signals.request_started.disconnect(started)
    assert [(scope["type"], scope["path"]) for scope in scopes] == [
        ("http", "/hello/"),
        ("http", "/\N{REPLACEMENT CHARACTER}/"),
    ]


def test_the_script_prefix_is_that_of_the_request():
    seen = []
    Given(HttpResponse())
    handler = Given(HttpResponse())
    handler.get_response = lambda request: seen.append(get_script_prefix()) or HttpResponse()
    parts_of(message("/app/", root_path="/app"), handler)
    parts_of(message("/"), handler)
    assert seen == ["/app/", "/"]


def test_a_path_or_query_that_is_not_utf8_is_a_bad_request():
    with Finished() as seen:
        assert single(message(b"/\xff/"))["status"] == 400
        assert single(message(query_string=b"\xff"))["status"] == 400
    assert len(seen.finished) == 2


def test_a_content_type_of_nonsense_is_a_bad_request():
    headers = [[b"content-type", b"text/plain; charset*=nonsense'en'x"]]
    assert single(message(headers=headers))["status"] == 400


def test_a_body_that_does_not_come_is_408():
    class Impatient(AsgiRequest):
        body_receive_timeout = 0

    class ImpatientHandler(AsgiHandler):
        request_class = Impatient

    part = single(message(body_channel="b"), ImpatientHandler())
    assert part["status"] == 408
    assert dict(part["headers"])[b"Content-Type"] == b"text/plain"


def test_a_client_that_left_gets_nothing():
    with Finished() as seen:
        assert parts_of(message(body_channel="b", layer=FakeLayer({"closed": True}))) == []
    # As Django's own handler: a request that never was complete is none.
    assert (len(seen.started), len(seen.finished)) == (0, 0)


def test_a_view_that_fails_is_a_500(caplog):
    assert single(message("/fails/"))["status"] == 500
    assert "no such luck" in caplog.text


def test_a_failure_of_the_error_page_is_a_plain_500(settings, caplog):
    settings.ROOT_URLCONF = UrlsWithoutLuck
    with Finished() as seen:
        part = single(message("/fails/"))
    assert (part["status"], part["content"]) == (500, b"Internal Server Error")
    assert dict(part["headers"])[b"Content-Type"] == b"text/plain"
    assert "nor here" in caplog.text
    assert len(seen.finished) == 1
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    with pytest.raises(RuntimeError, match="no such luck"):
        single(message("/fails/"))


def test_a_plain_500_tells_more_in_debug(settings, monkeypatch):
    settings.DEBUG = True
    handler = AsgiHandler()

    def get_response(request):
        raise RuntimeError("in the dark")

    handler.get_response = get_response
    assert b"in the dark" in single(message(), handler)["content"]


def test_uploads_through_a_view():
    body = b"a=1&b=2"
    headers = [[b"content-type", b"application/x-www-form-urlencoded"]]
    part = single(message("/upload/", method="POST", headers=headers, body=body))
    assert part["content"] == b'{"post": {"a": "1", "b": "2"}, "files": {}}'


def test_requests_run_in_several_threads():
    handler = AsgiHandler()
    answers = {}

    def ask(number):
        whole = message(f"/named/n{number}/", query_string=b"q=%d" % number)
        answers[number] = single(whole, handler)["content"]

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"n{n} {n} the_name".encode() for n in range(8)}


# ---------------------------------------------------------------- ResponseLater


class Passing:
    """Middleware that sees each response, or answers with one of its own."""

    replace = False
    seen = ()

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.seen = self.seen
        response = self.get_response(request)
        self.seen.append(response.status_code)
        return HttpResponse("of the middleware") if self.replace else response

    def process_exception(self, request, exception):
        self.seen.append(exception)
        return HttpResponse("an error")


@pytest.fixture
def passing(settings, monkeypatch):
    monkeypatch.setattr(Urls, "Passing", Passing, raising=False)
    monkeypatch.setattr(Passing, "seen", [])
    settings.MIDDLEWARE = [_dotted("Passing")]
    return Passing


@pytest.mark.parametrize("url", ["/later/", "/later_async/", "/later_in_template/"])
@pytest.mark.parametrize("replace", [False, True])
def test_a_promised_response_is_not_sent_here(passing, monkeypatch, url, replace):
    monkeypatch.setattr(passing, "replace", replace)
    with Finished() as seen:
        assert parts_of(message(url)) == []
    assert passing.seen[-1] == 202
    assert len(seen.finished) == 1
    if url == "/later/":
        assert passing.seen == ["http.response.P!1", 202]
    # The next request of the same handler is answered.
    monkeypatch.setattr(passing, "replace", False)
    assert single(message())["content"] == b"Hello"


def test_a_get_response_of_ones_own_may_promise_too():
    handler = AsgiHandler()

    def get_response(request):
        raise request.ResponseLater

    handler.get_response = get_response
    with Finished() as seen:
        assert parts_of(message(), handler) == []
    assert len(seen.finished) == 1


@pytest.mark.django_db(transaction=True)
def test_a_promise_is_no_failure_to_a_transaction(passing, monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    assert parts_of(message("/later_after_write/")) == []
    assert AuthGroup.objects.filter(name="promised").exists()
    assert single(message())["content"] == b"Hello"


def test_the_exception_is_reached_from_the_request():
    assert AsgiRequest.ResponseLater is ResponseLater


# ----------------------------------------------------------------- ViewConsumer


def test_a_response_of_one_message_waits_for_the_commit():
    reply = ReplyChannel()
    with Finished() as seen:
        ViewConsumer()(message(reply=reply), some="kwarg of a route")
    ((part, immediately),) = reply.sent
    assert (part["status"], part["content"], immediately) == (200, b"Hello", False)
    assert len(seen.finished) == 1


def test_a_longer_response_goes_part_by_part_at_once():
    reply = ReplyChannel()
    ViewConsumer()(message("/big/", reply=reply))
    assert [len(part["content"]) for part, _ in reply.sent] == [AsgiHandler.chunk_size, 1]
    assert [immediately for _, immediately in reply.sent] == [True, True]


def whole_page(size):
    return HttpResponse(b"x" * size, status=201)


def page_in_blocks(size):
    return StreamingHttpResponse(iter([b"x" * (size - size // 3), b"x" * (size // 3)]), status=201)


def page_in_async_blocks(size):
    async def blocks():
        yield b"x" * size

    return StreamingHttpResponse(blocks(), status=201)


@pytest.mark.parametrize("make", [whole_page, page_in_blocks, page_in_async_blocks])
@pytest.mark.parametrize("size", [0, 1, 500, 501, 1000, 5000, 9 * AsgiHandler.chunk_size])
def test_a_part_fits_into_a_message_of_the_layer_however_small_its_limit(make, size):
    limit = 100_000 if size > 5000 else 1000
    layer, reply = FakeLayer(), ReplyChannel()
    layer.max_message_size = limit
    consumer = ViewConsumer()
    consumer.handler = Unchanged(make(size))

    rest = consumer(message(reply=reply, layer=layer))
    if rest is not None:
        asyncio.run(rest)

    parts = [part for part, _ in reply.sent]
    assert sum(len(part.get("content", b"")) for part in parts) == size
    assert all(len(part.get("content", b"")) <= limit // 2 for part in parts)
    assert [part.get("status") for part in parts] == [201, *[None] * (len(parts) - 1)]
    assert [part["more_content"] for part in parts] == [*[True] * (len(parts) - 1), False]
    if make is whole_page and size <= limit // 2:
        assert len(parts) == 1


def test_a_promised_response_sends_nothing():
    reply = ReplyChannel()
    ViewConsumer()(message("/later_async/", reply=reply))
    assert reply.sent == []


def streaming(reply, *, full_wait=10.0):
    """Let a view that counts for ever stream to ``reply``; where it got to, whether it closed."""
    progress = []

    def numbers():
        try:
            while True:
                progress.append(len(progress))
                yield b"%d" % len(progress)
        finally:
            progress.append("closed")

    consumer = ViewConsumer()
    consumer.full_wait = full_wait
    consumer.handler = Given(StreamingHttpResponse(numbers()))
    with Finished() as seen:
        consumer(message(reply=reply))
    assert len(seen.finished) == 1
    return progress


@pytest.mark.parametrize("error", [ProcessGone, Fenced])
def test_a_stream_whose_client_is_gone_is_closed(error, caplog):
    reply = ReplyChannel(None, None, error())
    with caplog.at_level(logging.INFO):
        assert streaming(reply) == [0, 1, 2, "closed"]
    assert [part["content"] for part, _ in reply.sent] == [b"1", b"2"]
    assert caplog.records == []


def test_a_full_reply_channel_is_waited_for_but_not_for_ever(caplog):
    reply = ReplyChannel(None, ChannelFull(), None, ProcessGone())
    assert streaming(reply) == [0, 1, 2, "closed"]
    assert [part["content"] for part, _ in reply.sent] == [b"1", b"2"]
    reply = ReplyChannel(None, *[ChannelFull()] * 100)
    assert streaming(reply, full_wait=0.01) == [0, 1, "closed"]
    assert "full_wait" in caplog.text


class Unchanged(Given):
    chunk_size = AsgiHandler.chunk_size


def large_page(reply, *, full_wait=10.0):
    """Let an event loop send a page to ``reply`` that is larger than any window."""
    page = HttpResponse(b"x" * (9 * AsgiHandler.chunk_size))
    consumer = ViewConsumer()
    consumer.full_wait = full_wait
    consumer.handler = Unchanged(page)
    with Finished() as seen:
        rest = consumer(message(reply=reply))
        assert len(seen.finished) == 1, "the thread is done with the response"
        assert page.closed
        assert reply.sent == []
        asyncio.run(rest)
    assert len(seen.finished) == 1
    return len(reply.sent)


def test_a_large_page_is_sent_by_an_event_loop():
    reply = ReplyChannel()
    assert large_page(reply) == 10
    assert [part.get("status") for part, _ in reply.sent] == [200, *[None] * 9]
    assert {immediately for _, immediately in reply.sent} == {True}
    assert [part["more_content"] for part, _ in reply.sent] == [*[True] * 9, False]


@pytest.mark.parametrize("error", [ProcessGone, Fenced])
def test_a_large_page_whose_client_is_gone_is_not_sent_on(error, caplog):
    with caplog.at_level(logging.INFO):
        assert large_page(ReplyChannel(None, None, error())) == 2
    assert caplog.records == []


def test_an_event_loop_waits_for_a_full_reply_channel_but_not_for_ever(caplog):
    assert large_page(ReplyChannel(None, ChannelFull(), None, ProcessGone())) == 2
    assert large_page(ReplyChannel(None, *[ChannelFull()] * 100), full_wait=0.01) == 1
    assert "full_wait" in caplog.text


def test_a_large_page_of_a_worker_without_disk_is_sent_by_its_thread(monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    reply = ReplyChannel()
    consumer = ViewConsumer()
    consumer.handler = Unchanged(HttpResponse(b"x" * (9 * AsgiHandler.chunk_size)))
    assert consumer(message(reply=reply)) is None
    assert len(reply.sent) == 9
    assert "/nowhere" in caplog.text


def test_a_large_page_beyond_the_disk_for_all_gets_a_503(monkeypatch, caplog):
    monkeypatch.setattr(detached, "disk", detached.Disk(1000))
    reply = ReplyChannel()
    consumer = ViewConsumer()
    consumer.handler = Given(HttpResponse(b"x" * (9 * AsgiHandler.chunk_size)))
    with Finished() as seen:
        consumer(message(reply=reply))
    assert len(seen.finished) == 1
    part = reply.sent[0][0]
    assert (part["status"], dict(part["headers"])[b"Retry-After"]) == (503, b"5")
    assert "http_response_disk" in caplog.text


class OfAProject(Unchanged):
    @classmethod
    def encode_response(cls, response):
        for part in super().encode_response(response):
            yield {**part, "mine": True}


def test_a_handler_that_encodes_responses_itself_is_asked_for_large_ones_too():
    reply = ReplyChannel()
    consumer = ViewConsumer()
    consumer.handler = OfAProject(HttpResponse(b"x" * (9 * AsgiHandler.chunk_size)))
    assert consumer(message(reply=reply)) is None
    assert all(part["mine"] for part, _ in reply.sent)


def test_a_stream_that_fails_is_closed_and_the_failure_is_the_consumers():
    closed = []

    def failing():
        try:
            yield b"one"
            raise RuntimeError("half way")
        finally:
            closed.append(True)

    consumer = ViewConsumer()
    consumer.handler = Given(StreamingHttpResponse(failing()))
    reply = ReplyChannel()
    with Finished() as seen, pytest.raises(RuntimeError, match="half way"):
        consumer(message(reply=reply))
    assert len(reply.sent) == 1
    assert closed
    assert len(seen.finished) == 1
