"""djchan.async_views: asynchronous views and streams, as under Django's own ASGI handler."""

import asyncio
import contextlib
import io
import threading
import warnings

import pytest
from asgiref.sync import markcoroutinefunction, sync_to_async
from django.conf.urls.i18n import i18n_patterns
from django.core import signals
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import clear_url_caches, include, path
from django.utils.decorators import sync_and_async_middleware
from django.views import View
from django.views.decorators.cache import never_cache

from djchan import async_views, detached, route
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import adispatch, dispatch
from djchan.exceptions import ProcessGone, ResponseLater
from djchan.handler import AsgiHandler, ViewConsumer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import WINDOW
from djchan.message import Message
from djchan.outcomes import Outcome
from djchan.staticfiles import StaticFilesConsumer

pytestmark = pytest.mark.django_db


def where():
    return asyncio.get_running_loop(), asyncio.current_task()


def stream_of(parts):
    return StreamingHttpResponse(parts)


# ---------------------------------------------------------- the site of these tests


async def one_task(request):
    of_view = where()

    async def parts():
        for _ in range(2):
            yield b"same " if where() == of_view else b"other "
            await asyncio.sleep(0)

    return stream_of(parts())


async def goes_on(request):
    queue = asyncio.Queue()

    async def produce():
        for number in range(3):
            await asyncio.sleep(0)
            await queue.put(b"%d" % number)
        await queue.put(None)

    request.task = asyncio.create_task(produce())

    async def parts():
        while (part := await queue.get()) is not None:
            yield part

    return stream_of(parts())


async def timeout(request):
    async def parts():
        try:
            async with asyncio.timeout(0.05):
                yield b"begin "
                await asyncio.sleep(5)
        except TimeoutError:
            yield b"timed out"

    return stream_of(parts())


async def group(request):
    async def parts():
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(asyncio.sleep(0, b"done"))
            yield b"begin "
            yield await task

    return stream_of(parts())


class ClassBased(View):
    async def get(self, request):
        await asyncio.sleep(0)
        return HttpResponse(b"class")


@never_cache
async def decorated(request):
    return HttpResponse(b"decorated")


async def later(request):
    raise ResponseLater


async def fails(request):
    raise RuntimeError("no such luck")


async def file(request):
    return FileResponse(io.BytesIO(b"of a file"))


LARGE = b"0123456789abcdef" * (WINDOW // 16 + 1)
closed_after = []  # Parts that were sent when the response below was closed.


async def large(request):
    response = HttpResponse(LARGE)
    reply = request.message.reply_channel
    response._resource_closers.append(lambda: closed_after.append(len(reply.sent)))
    return response


def of_sync_view(request):
    async def parts():
        yield b"begin "
        await asyncio.sleep(0)
        yield b"end"

    return stream_of(parts())


def sync(request):
    return HttpResponse(b"sync")


left = []
arrived = threading.Event()  # The request has, at a view that waits.


async def waits(request):
    arrived.set()
    try:
        await asyncio.sleep(30)
    finally:
        left.append("view")


async def streams(request):
    async def parts():
        try:
            yield b"begin "
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            left.append("stream")

    return stream_of(parts())


def streams_of_sync_view(request):
    return asyncio.run(streams(request))


urlpatterns = [
    path("one-task/", one_task),
    path("goes-on/", goes_on),
    path("timeout/", timeout),
    path("group/", group),
    path("class/", ClassBased.as_view()),
    path("decorated/", decorated),
    path("later/", later),
    path("fails/", fails),
    path("file/", file),
    path("large/", large),
    path("of-sync-view/", of_sync_view),
    path("waits/", waits),
    path("streams/", streams),
    path("streams-of-sync-view/", streams_of_sync_view),
    path("sync/", sync),
    path("below/", include([path("async/", decorated)])),
    *i18n_patterns(path("async/", decorated)),
]


class SyncOnly:
    urlpatterns = (path("sync/", sync), path("of-sync-view/", of_sync_view))


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.LANGUAGES = [("en", "English"), ("de", "German")]
    left.clear()
    arrived.clear()


class Reply:
    """A reply channel that keeps what is sent."""

    name = "http.response.P!1"

    def __init__(self):
        self.sent = []
        self.begun = threading.Event()

    def send(self, content, immediately=False):
        self.sent.append(content)
        self.begun.set()

    async def asend(self, content, immediately=False):
        self.send(content)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def content(self):
        return b"".join(part.get("content", b"") for part in self.sent)


def message(address, consumer=None, **content):
    layer = ChannelLayerWrapper(
        InMemoryChannelLayer(), "default", [route("http.request", consumer or ViewConsumer())]
    )
    head = {"path": address, "method": "GET", "headers": [[b"host", b"testserver"]]}
    made = Message({**head, **content}, "http.request", layer)
    made.reply_channel = Reply()
    return made


def answer(address, *, on_loop=True, consumer=None, outcome=Outcome.DONE, **content):
    made = message(address, consumer, **content)
    router = made.channel_layer.router
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if on_loop:
            ran = asyncio.run(adispatch(made, router=router, sender=None))
        else:
            ran = dispatch(made, router=router, sender=None)
    assert ran.outcome is outcome
    return made.reply_channel


ANSWERS = {
    "one-task": b"same same ",
    "goes-on": b"012",
    "timeout": b"begin timed out",
    "group": b"begin done",
    "class": b"class",
    "decorated": b"decorated",
    "file": b"of a file",
    "of-sync-view": b"begin end",
    "sync": b"sync",
}


@pytest.mark.parametrize("on_loop", [True, False], ids=["loop", "thread"])
@pytest.mark.parametrize(("name", "content"), ANSWERS.items())
def test_a_view_and_its_stream_are_one_task(name, content, on_loop):
    reply = answer(f"/{name}/", on_loop=on_loop)
    assert (reply.status, reply.content) == (200, content)


@pytest.mark.parametrize("on_loop", [True, False], ids=["loop", "thread"])
class TestEnds:
    def test_a_promised_response_is_not_sent(self, on_loop):
        assert answer("/later/", on_loop=on_loop).sent == []

    def test_a_view_that_raises_gets_the_error_page(self, on_loop):
        assert answer("/fails/", on_loop=on_loop).status == 500

    def test_a_request_that_cannot_be_read_gets_a_400(self, on_loop):
        assert answer("/class/", on_loop=on_loop, query_string=b"\xff").status == 400

    def test_head_has_no_content_and_its_stream_is_not_asked(self, on_loop):
        reply = answer("/goes-on/", on_loop=on_loop, method="HEAD")
        assert (reply.status, reply.content, len(reply.sent)) == (200, b"", 1)

    def test_a_whole_response_waits_for_the_commit(self, on_loop):
        made = answer("/decorated/", on_loop=on_loop)
        assert [part["more_content"] for part in made.sent] == [False]


def test_a_large_page_is_closed_and_then_sent_from_disk():
    closed_after.clear()
    reply = answer("/large/")
    assert (reply.status, reply.content) == (200, LARGE)
    assert closed_after == [0]
    assert detached.disk.used == 0


def test_a_large_page_beyond_the_disk_for_all_gets_a_503(monkeypatch):
    closed_after.clear()
    monkeypatch.setattr(detached, "disk", detached.Disk(1000))
    reply = answer("/large/")
    assert (reply.status, len(reply.sent)) == (503, 1)
    assert closed_after == [1]


@sync_and_async_middleware
def both(get_response):
    if asyncio.iscoroutinefunction(get_response):

        async def middleware(request):
            request.seen = ["both"]
            return await get_response(request)
    else:

        def middleware(request):
            request.seen = ["both"]
            return get_response(request)

    return middleware


class OnlyAsync:
    sync_capable = False
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request):
        response = await self.get_response(request)
        response["Of-Loop"] = str(id(asyncio.get_running_loop()))
        return response


def only_sync(get_response):
    def middleware(request):
        response = get_response(request)
        response["Of-Thread"] = threading.current_thread().name
        return response

    return middleware


class TestMiddleware:
    @pytest.mark.parametrize("name", ["both", "only_sync", "OnlyAsync"])
    @pytest.mark.parametrize("address", ["/goes-on/", "/timeout/", "/sync/"])
    @pytest.mark.parametrize("on_loop", [True, False], ids=["loop", "thread"])
    def test_each_kind_works_around_each_kind_of_view(self, settings, name, address, on_loop):
        settings.MIDDLEWARE = [f"{__name__}.{name}"]
        reply = answer(address, on_loop=on_loop)
        assert (reply.status, reply.content) == (200, ANSWERS[address.strip("/")])

    def test_one_that_is_only_async_takes_all_requests_to_the_loop(self, settings):
        settings.MIDDLEWARE = [f"{__name__}.OnlyAsync"]
        assert ViewConsumer().on_loop(message("/sync/")) is not None


class TestChoice:
    @pytest.mark.parametrize("address", ["/class/", "/decorated/", "/below/async/", "/de/async/"])
    def test_an_async_view_is_run_on_the_loop(self, address):
        assert ViewConsumer().on_loop(message(address)) is not None
        prefixed = message(f"/app{address}", root_path="/app")
        assert ViewConsumer().on_loop(prefixed) is not None

    @pytest.mark.parametrize("address", ["/sync/", "/none/", "/of-sync-view/", b"/\xff/"])
    def test_everything_else_is_run_in_a_thread(self, address):
        assert ViewConsumer().on_loop(message(address)) is None

    def test_a_site_without_async_views_resolves_nothing_twice(self, settings, monkeypatch):
        settings.ROOT_URLCONF = SyncOnly
        monkeypatch.delattr(async_views, "get_resolver")
        assert ViewConsumer().on_loop(message("/sync/")) is None

    def test_a_consumer_or_handler_of_the_projects_own_is_called_as_before(self):
        class OwnConsumer(ViewConsumer):
            def __call__(self, message, **kwargs):
                return super().__call__(message, **kwargs)

        class OwnHandler(AsgiHandler):
            def get_response(self, request):
                return HttpResponse(b"own")

        class WithOwnHandler(ViewConsumer):
            handler_class = OwnHandler

        assert OwnConsumer().on_loop(message("/class/")) is None
        assert WithOwnHandler().on_loop(message("/class/")) is None
        assert answer("/class/", consumer=WithOwnHandler()).content == b"own"
        assert answer("/goes-on/", consumer=OwnConsumer()).content == b"012"

    def test_the_consumer_of_runserver_knows_async_views(self):
        consumer = StaticFilesConsumer()
        assert consumer.on_loop(message("/class/")) is not None
        assert answer("/class/", consumer=consumer).content == b"class"


class LeavingReply(Reply):
    """Its client leaves before the second part."""

    async def asend(self, content, immediately=False):
        if self.sent:
            raise ProcessGone
        self.send(content)


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_a_task_group_around_a_yield_ends_with_its_client(fails):
    """It takes the end of its generator for an error, and says so beside errors of its own."""

    async def parts():
        async with asyncio.TaskGroup() as tasks:
            if fails:
                tasks.create_task(fail_at_the_end())
            yield b"begin "
            yield b"never sent"

    async def fail_at_the_end():
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError

    reply = LeavingReply()

    async def send(part):
        try:
            await reply.asend(part)
        except ProcessGone:
            return False
        await asyncio.sleep(0)  # The tasks of the group begin.
        return True

    sending = async_views.send_response(AsgiHandler(), stream_of(parts()), send)
    if fails:
        with pytest.raises(BaseExceptionGroup) as raised:
            await sending
        assert raised.group_contains(LookupError)
    else:
        await sending
    assert reply.content == b"begin "


@pytest.fixture
def leaves(monkeypatch):
    """The client leaves when this event is set."""
    event = threading.Event()

    async def client_left():
        while not event.is_set():
            await asyncio.sleep(0.005)

    monkeypatch.setattr(async_views, "client_left", client_left)
    return event


@pytest.fixture
def finished():
    senders = []

    def on_finished(sender, **kwargs):
        senders.append(sender)

    signals.request_finished.connect(on_finished)
    yield senders
    signals.request_finished.disconnect(on_finished)


class TestAClientThatLeaves:
    @pytest.mark.parametrize("on_loop", [True, False], ids=["loop", "thread"])
    def test_its_view_is_canceled(self, leaves, finished, on_loop):
        threading.Thread(target=lambda: arrived.wait(10) and leaves.set(), daemon=True).start()
        assert answer("/waits/", on_loop=on_loop).sent == []
        assert left == ["view"]
        assert finished == [AsgiHandler]

    @pytest.mark.parametrize("on_loop", [True, False], ids=["loop", "thread"])
    @pytest.mark.parametrize("address", ["/streams/", "/streams-of-sync-view/"])
    def test_its_stream_is_canceled(self, leaves, finished, address, on_loop):
        made = message(address)
        options = {"router": made.channel_layer.router, "sender": None}
        threading.Thread(
            target=lambda: made.reply_channel.begun.wait(10) and leaves.set(), daemon=True
        ).start()
        ran = asyncio.run(adispatch(made, **options)) if on_loop else dispatch(made, **options)
        assert ran.outcome is Outcome.DONE
        assert made.reply_channel.content == b"begin "
        assert left == ["stream"]
        assert finished == [AsgiHandler]

    def test_what_is_canceled_by_others_is_canceled(self, leaves):
        async def main():
            made = message("/waits/")
            running = adispatch(made, router=made.channel_layer.router, sender=None)
            task = asyncio.create_task(running)
            assert await asyncio.to_thread(arrived.wait, 10)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return task.cancelled()

        assert asyncio.run(main())
        assert left == ["view"]


def test_the_database_connections_of_a_request_end_with_its_thread(monkeypatch):
    closed = []

    def open_one():
        connection = connections["default"]
        connection.ensure_connection()

        def note_and_close():
            closed.append(threading.current_thread())
            # Django's own does not close a database in memory, and Python 3.13 minds.
            BaseDatabaseWrapper.close(connection)

        monkeypatch.setattr(connection, "close", note_and_close)
        return threading.current_thread()

    class Uses(View):
        async def get(self, request):
            Uses.thread = await sync_to_async(open_one)()
            return HttpResponse()

    monkeypatch.setitem(globals(), "urlpatterns", [path("uses/", Uses.as_view(), name="uses")])
    clear_url_caches()
    try:
        answer("/uses/")
    finally:
        clear_url_caches()
    assert closed
    assert set(closed) == {Uses.thread}
    assert Uses.thread is not threading.current_thread()
    assert not Uses.thread.is_alive()
