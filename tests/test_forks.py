"""A consumer that forks: its child ends when it comes back, wherever it was run."""

import os
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
