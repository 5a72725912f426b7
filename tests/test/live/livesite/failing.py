"""Live tests that cannot start: ``manage.py test livesite.failing``."""

from django.conf import settings
from django.test import override_settings

from djchan.test import ChannelLiveServerTestCase
from djchan.test.liveserver import WorkerProcess

ENTRY = settings.CHANNEL_LAYERS["default"]


class Failing(WorkerProcess):
    def run(self) -> None:
        raise KeyError("mine")


class FailingTests(ChannelLiveServerTestCase):
    WorkerProcess = Failing

    def test_nothing(self):
        raise AssertionError


@override_settings(CHANNEL_LAYERS={"default": ENTRY, "other": ENTRY})
class TwoLayersTests(ChannelLiveServerTestCase):
    def test_nothing(self):
        raise AssertionError


@override_settings(
    CHANNEL_LAYERS={"default": {name: ENTRY[name] for name in ("BACKEND", "ROUTING")}}
)
class NoTestConfigTests(ChannelLiveServerTestCase):
    def test_nothing(self):
        raise AssertionError
