"""docs/howto/test-consumers.md is true: what it says of delayed messages."""

import re
import unittest
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import send_mail

from djchan import route

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/test-consumers.md"


def remind(message: Any) -> None:
    send_mail("Reminder", "An hour is over.", None, [message["to"]])


@pytest.mark.django_db
def test_its_test_of_a_reminder_passes(settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.inmemory.InMemoryChannelLayer",
            "ROUTING": [route("reminders", remind)],
        }
    }
    (code,) = re.findall(r"```python\n(from datetime.*?)```", PAGE.read_text(), re.S)
    namespace: dict[str, Any] = {"__name__": "shop.tests"}
    exec(code, namespace)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(namespace["ReminderTests"]).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), [*result.errors, *result.failures]
