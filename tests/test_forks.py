"""A consumer that forks: its child ends when it comes back, wherever it was run."""

import os
import socket
import subprocess
import sys

from djchan import forks
from tests.support.processes import ROOT

SCRIPT = """
import asyncio, logging, os
import django
django.setup()
logging.basicConfig()
from djchan import route
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import adispatch, dispatch
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message

def fork(how):
    if os.fork() == 0:
        if how == "raise":
            raise ValueError("a child is lost")
        if how == "odd":
            raise GeneratorExit
        return None
    return os.waitstatus_to_exitcode(os.wait()[1])

def consumer(message):
    return fork(message["how"])

async def aconsumer(message):
    return fork(message["how"])

for each in (consumer, aconsumer):
    layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route("go", each)])
    for how in ("return", "raise", "odd"):
        message = Message({"how": how}, "go", layer)
        run = dispatch(message, router=layer.router, sender=None)
        arun = asyncio.run(adispatch(message, router=layer.router, sender=None))
        print(each.__name__, how, run.value, arun.value, flush=True)
"""


def test_a_child_that_comes_back_from_its_consumer_ends():
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    ran = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=15)
    assert ran.stdout.splitlines() == [
        f"{consumer} {how} 1 1"
        for consumer in ("consumer", "aconsumer")
        for how in ("return", "raise", "odd")
    ], ran.stderr
    # By the name of the consumer and the message.
    assert ran.stderr.count("A child that __main__.consumer forked came back from it, for <") == 6
    assert "a child is lost" in ran.stderr
    assert forks.seen == 0


def test_a_copy_of_a_socket_is_closed_and_its_number_stays_taken():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        forks.close_copy(ours.fileno())
        assert theirs.recv(1) == b""
        os.fstat(ours.fileno())


DATABASE = """
import os, sys
import django
from django.conf import settings
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}
settings.configure(DATABASES={"default": database | {"CONN_MAX_AGE": None}})
django.setup()
from django.db import connection
from djchan import route
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import dispatch
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message

def consumer(message):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    ours = connection.connection
    if os.fork() == 0:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        os._exit(0 if connection.connection is not ours else 2)
    status = os.waitstatus_to_exitcode(os.wait()[1])
    return status, connection.connection is ours

layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route("go", consumer)])
print(dispatch(Message({}, "go", layer), router=layer.router, sender=None).value)
"""


def test_a_child_has_a_database_connection_of_its_own(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", DATABASE, str(tmp_path / "db")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=15)
    assert ran.stdout == "(0, True)\n", ran.stderr


LOCKS = """
import gc, logging, os, sys, threading
from django.conf import settings
layer = {
    "BACKEND": "djchan.layers.redis.RedisChannelLayer",
    "ROUTING": [],
    "CONFIG": {"hosts": sys.argv[1:], "symmetric_encryption_keys": ["some secret"]},
}
settings.configure(
    SECRET_KEY="x", INSTALLED_APPS=["djchan"], CHANNEL_LAYERS={"default": layer}, USE_TZ=True
)
import django
django.setup()
from djchan import Channel, Group
from djchan.asgi import channel_layers
from djchan.layer_sessions import SessionStore
from djchan.layers.operations import Address
from djchan.throttling import throttle, throttled

throttle.is_on = True
layer = channel_layers["default"].channel_layer
stream = layer.flow.open(Address("i", "c", 1))

def use(key):
    session = SessionStore(key)
    session["n"] = session.get("n", 0) + 1
    session.save()
    Channel("x").send({"a": 1})
    Group("g").send({"a": 1})
    layer.flow.close(layer.flow.open(Address("i", "d", 1)))
    throttled(logging.getLogger("x"), logging.ERROR, "cause", "a line")
    return session.session_key

key = use(None)
kind, locks = type(threading.Lock()), {}
for thing in gc.get_objects():
    if str(type(thing).__module__).startswith("djchan."):
        for name in getattr(type(thing), "__slots__", ()) or getattr(thing, "__dict__", {}):
            if isinstance(lock := getattr(thing, name, None), kind):
                locks[f"{type(thing).__name__}.{name}"] = lock
assert {"Throttle._lock", "Stamps._lock", "Flow._lock"} <= locks.keys(), locks
held = threading.Event()

def hold():
    for lock in locks.values():
        lock.acquire()
    held.set()
    threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
if os.fork() == 0:
    use(key)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_child_waits_for_no_lock_that_another_thread_held(redis_server):
    redis_server.start()
    command = [sys.executable, "-W", "ignore", "-c", LOCKS, redis_server.url]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=18)
    assert ran.stdout == "0\n", ran.stderr


MEMORY = """
import os, sys
from djchan.exceptions import BrokerUnsupported
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import Register

layer = InMemoryChannelLayer()
layer.send("go", {"n": 1})
if "serves" in sys.argv:
    layer.engine.link("test").perform(Register("w1", "worker", b"", ("go",)))
if os.fork() == 0:
    try:
        layer.send("go", {"n": 2})
        print(layer.receive(["go"])[1], flush=True)
    except BrokerUnsupported as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
print(layer.receive(["go"])[1], layer.receive(["go"])[1])
"""


def test_a_child_is_told_that_nobody_gets_what_it_sends_to_a_layer_in_memory():
    command = [sys.executable, "-W", "ignore", "-c", MEMORY, "serves"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=18)
    assert ran.stdout.startswith("This is a forked child"), ran.stderr
    assert ran.stdout.endswith("\n{'n': 1} None\n")


def test_a_child_of_a_process_that_serves_nobody_has_a_layer_in_memory_of_its_own():
    command = [sys.executable, "-W", "ignore", "-c", MEMORY]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=18)
    assert ran.stdout == "{'n': 1}\n{'n': 1} None\n", ran.stderr
