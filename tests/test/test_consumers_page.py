"""docs/howto/test-consumers.md is true: what it says of delayed messages and coroutines."""

import re
import unittest
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import send_mail

from djchan import route

TEXT = (Path(__file__).resolve().parents[2] / "docs/howto/test-consumers.md").read_text()


def remind(message: Any) -> None:
    send_mail("Reminder", "An hour is over.", None, [message["to"]])


async def take(message: Any) -> None:
    message.reply_channel.send({"accept": True})


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ReminderTests", "AsyncChatTests"])
def test_its_test_case_passes(settings, name):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
            "ROUTING": [
                route("reminders", remind),
                route("websocket.connect", take, path="^/chat/$"),
                route("thumbnails", lambda message: None),
            ],
        }
    }
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", TEXT, re.S) if name in code)
    namespace: dict[str, Any] = {"__name__": "shop.tests"}
    exec(code, namespace)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(namespace[name]).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), [*result.errors, *result.failures]
