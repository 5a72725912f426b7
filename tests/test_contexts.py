"""djchan.contexts: whatever a consumer sets, the next message does not find it."""

import asyncio
import decimal
import json
import os
import subprocess
import sys
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar

import pytest
from asgiref.local import Local
from django.core.cache import caches
from django.http import HttpResponse
from django.urls import (
    get_script_prefix,
    get_urlconf,
    path,
    reverse,
    set_script_prefix,
    set_urlconf,
)
from django.utils import timezone, translation

from djchan import route
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.contexts import within
from djchan.dispatch import adispatch, dispatch
from djchan.handler import ViewConsumer
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.outcomes import Outcome
from djchan.test import Client, work_off
from tests.support.processes import ROOT

VARIABLE: ContextVar[str] = ContextVar("of_a_visitor", default="nobody's")
LOCAL = Local()


def change(*args):
    """Set everything that a consumer or view may set for itself."""
    translation.activate("de")
    timezone.activate(zoneinfo.ZoneInfo("Asia/Tokyo"))
    set_script_prefix("/of-a-visitor/")
    set_urlconf("tests.of_a_visitor")
    decimal.getcontext().prec = 5
    VARIABLE.set("a visitor's")
    LOCAL.user = "a visitor"
    return HttpResponse("changed")


async def achange(*args):
    return change()


def state(*args):
    return (
        translation.get_language(),
        timezone.get_current_timezone_name(),
        get_script_prefix(),
        get_urlconf(),
        decimal.getcontext().prec,
        VARIABLE.get(),
        getattr(LOCAL, "user", None),
    )


async def astate(*args):
    return state()


CLEAN = ("en-us", "America/Chicago", "/", None, 28, "nobody's", None)

urlpatterns = [path("page/", change, name="page"), path("async-page/", achange)]


@pytest.fixture(autouse=True)
def _before_and_after():
    """A worker's thread has none of these set; a test's may."""
    yield
    translation.deactivate()
    timezone.deactivate()


def wrapper(*routes):
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", list(routes))


def value_of(consumer, *, on_loop=False, channel="websocket.receive", **content):
    layer = wrapper(route(channel, consumer))
    message = Message(content, channel, layer)
    if on_loop:
        ran = asyncio.run(adispatch(message, router=layer.router, sender=None))
    else:
        ran = dispatch(message, router=layer.router, sender=None)
    assert ran.outcome is Outcome.DONE
    return ran.value


@pytest.mark.parametrize("on_loop", [False, True], ids=["thread", "loop"])
@pytest.mark.parametrize("channel", ["websocket.receive", "a-job"])
class TestNothingIsLeftOfTheMessageBefore:
    @pytest.mark.parametrize("before", [change, achange])
    @pytest.mark.parametrize("after", [state, astate])
    def test_of_a_consumer(self, before, after, channel, on_loop):
        value_of(before, on_loop=on_loop, channel=channel)
        assert value_of(after, on_loop=on_loop, channel=channel) == CLEAN
        assert VARIABLE.get() == "nobody's"

    @pytest.mark.django_db
    @pytest.mark.parametrize("address", ["/page/", "/async-page/"])
    def test_of_a_view(self, settings, address, channel, on_loop):
        settings.ROOT_URLCONF = __name__
        request = {"path": address, "method": "GET", "reply_channel": "http.response!1-abc"}
        value_of(ViewConsumer(), channel="http.request", **request)
        assert value_of(state, on_loop=on_loop, channel=channel) == CLEAN


def test_messages_that_run_at_the_same_time_on_one_loop_have_a_context_each():
    async def consumer(message):
        VARIABLE.set(message["mine"])
        await asyncio.sleep(0)
        return VARIABLE.get()

    layer = wrapper(route("go", consumer))

    async def main():
        messages = [Message({"mine": str(number)}, "go", layer) for number in range(3)]
        return await asyncio.gather(
            *(adispatch(each, router=layer.router, sender=None) for each in messages)
        )

    assert [ran.value for ran in asyncio.run(main())] == ["0", "1", "2"]


def test_a_task_of_a_consumer_keeps_the_context_of_its_message():
    async def consumer(message):
        VARIABLE.set("mine")

        async def task():
            await asyncio.sleep(0)
            return VARIABLE.get()

        async with asyncio.timeout(5):
            return await asyncio.create_task(task())

    assert value_of(consumer, on_loop=True) == "mine"


@pytest.mark.parametrize("how", ["client", "work_off"])
def test_the_test_kit_gives_each_message_a_context_too(how, monkeypatch):
    found = []
    layer = wrapper(route("first", change), route("then", lambda message: found.append(state())))
    if how == "client":
        monkeypatch.setitem(channel_layers._built, "default", layer)
        client = Client()
        client.send_and_consume("first")
        client.send_and_consume("then")
    else:
        layer.send("first", {})
        layer.send("then", {})
        work_off(layer)
    assert found == [CLEAN]


def test_the_clients_of_caches_stay_with_their_thread():
    def consumer(message):
        return caches["default"]

    # A new thread: tests that ran in this one may have replaced Django's caches.
    with ThreadPoolExecutor(max_workers=1) as thread:
        first, second = (thread.submit(value_of, consumer).result() for _ in range(2))
    assert first is second


class TestScriptPrefix:
    @pytest.mark.parametrize("on_loop", [False, True], ids=["thread", "loop"])
    @pytest.mark.parametrize("channel", ["websocket.connect", "websocket.receive", "a-job"])
    def test_force_script_name_holds_everywhere(self, settings, channel, on_loop):
        settings.ROOT_URLCONF = __name__
        settings.FORCE_SCRIPT_NAME = "/app"
        found = value_of(lambda message: reverse("page"), on_loop=on_loop, channel=channel)
        assert found == "/app/page/"

    @pytest.mark.parametrize("on_loop", [False, True], ids=["thread", "loop"])
    def test_a_root_path_holds_for_the_messages_of_its_interface_alone(self, settings, on_loop):
        settings.ROOT_URLCONF = __name__

        def page(channel, **content):
            return value_of(
                lambda message: reverse("page"), on_loop=on_loop, channel=channel, **content
            )

        assert page("websocket.receive", root_path="/mnt") == "/mnt/page/"
        assert page("websocket.receive") == "/page/"
        # What a project sends itself may hold what a client said.
        assert page("a-job", root_path="/of-a-client") == "/page/"


PREFIXED = """
import json
import django
django.setup()
from django.conf import settings
from django.templatetags.static import static
from djchan import route
from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.dispatch import dispatch
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message

layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [
    route("websocket.receive", lambda message: [settings.STATIC_URL, static("app.css")]),
    route("a-job", lambda message: [settings.STATIC_URL, static("app.css")]),
])

def value(channel, **content):
    return dispatch(Message(content, channel, layer), router=layer.router, sender=None).value

print(json.dumps([
    value("a-job"),
    value("websocket.receive", root_path="/mnt"),
    value("a-job"),
    value("websocket.receive", root_path="/other"),
]))
"""


def test_static_files_are_below_the_first_root_path_of_an_interface():
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", PREFIXED]
    ran = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=15, check=True
    )
    before, *after = json.loads(ran.stdout)
    assert before == ["/static/", "/static/app.css"]
    assert after == [["/mnt/static/", "/mnt/static/app.css"]] * 3


class _Never:
    def __await__(self):
        yield


class TestWithin:
    def test_what_is_thrown_in_arrives_inside(self):
        async def inside():
            VARIABLE.set("inside")
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                return VARIABLE.get()

        async def main():
            task = asyncio.create_task(outside())
            await asyncio.sleep(0)
            task.cancel()
            return await task

        async def outside():
            return await within(Context(), inside()), VARIABLE.get()

        assert asyncio.run(main()) == ("inside", "nobody's")

    def test_one_that_is_never_finished_is_closed_inside(self):
        left = []

        async def inside():
            VARIABLE.set("inside")
            try:
                await _Never()
            finally:
                left.append(VARIABLE.get())

        async def outside():
            await within(Context(), inside())

        running = outside()
        running.send(None)
        running.close()
        assert left == ["inside"]
