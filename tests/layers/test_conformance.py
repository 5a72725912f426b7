"""Every layer there is keeps the contract that ``djchan.test`` gives to authors of layers.

The base class is reached by its module, so that it is not collected here as well.
"""

import secrets
import unittest
from collections.abc import Iterator
from typing import Any

import pytest

from djchan import names
from djchan.layers.base import BaseChannelLayer
from djchan.layers.engine import Engine
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.memory.links import MemoryEngine
from djchan.layers.operations import Flush
from djchan.layers.redis.engine import RedisEngine
from djchan.test import conformance
from tests.support.servers import Server

KEYS = ["test", "old"]


class Conforms(conformance.ConformanceTestCase):
    """``server``: the fixture of the one the layer is on; "": memory."""

    __test__ = False
    expiry_delay = 1.1
    capacity_limit = 5
    server = ""
    config: dict[str, Any] = {}  # noqa: RUF012  # Of the class, and never changed.

    @pytest.fixture(autouse=True)
    def over(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self.engine: Engine = MemoryEngine()
        if self.server:
            server: Server = request.getfixturevalue(self.server)
            server.start()
            self.engine = RedisEngine([server.url], prefix=f"test-{secrets.token_hex(6)}")
        self.made: list[BaseChannelLayer] = []
        type(self).channel_layer = self.make_layer(capacity=5, **self.config)
        yield
        link = self.engine.link("cleanup")
        link.perform(Flush())
        link.close()
        for layer in self.made:
            layer.close()

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        layer = BaseChannelLayer(engine=self.engine, expiry=1, **options)
        self.made.append(layer)
        return layer


class TestMemory(Conforms):
    pass


class TestEncryptedMemory(Conforms):
    config = {"symmetric_encryption_keys": KEYS, "group_expiry": 1}  # noqa: RUF012
    group_expiry_delay = 1.1


class TestRedis(Conforms):
    server = "redis_server"


class TestValkey(Conforms):
    server = "valkey_server"


class TestEncryptedRedis(TestRedis):
    # group_expiry as the tests of asgi_redis have it.
    config = {"symmetric_encryption_keys": KEYS, "group_expiry": 1}  # noqa: RUF012
    group_expiry_delay = 1.1


def results(case: type[unittest.TestCase], *names: str) -> unittest.TestResult:
    suite = unittest.TestSuite(
        [case(name) for name in names]
        if names
        else unittest.defaultTestLoader.loadTestsFromTestCase(case)
    )
    return suite.run(unittest.TestResult())


def words(found: list[tuple[Any, str]]) -> str:
    return "\n".join(text for _, text in found)


class TestTheCaseItself:
    def test_unittest_runs_it_too_and_skips_the_abstract_one(self):
        abstract = results(conformance.ConformanceTestCase)
        assert len(abstract.skipped) == abstract.testsRun > 30

        class Mine(conformance.ConformanceTestCase):
            channel_layer = InMemoryChannelLayer(expiry=1, capacity=5)
            expiry_delay = 1.1

        ran = results(Mine, "test_a_full_channel_refuses", "test_capacity_goes_by_pattern")
        assert ran.wasSuccessful()
        assert [why for _, why in ran.skipped] == [
            "the class has no capacity_limit",
            "make_layer makes no layer with channel_capacity",
        ]
        assert results(Mine, "test_what_is_sent_is_received_once").wasSuccessful()
        assert Mine.__test__ and not conformance.ConformanceTestCase.__test__

    def test_it_says_what_the_class_lacks(self):
        class Mine(conformance.ConformanceTestCase):
            channel_layer = InMemoryChannelLayer()

        ran = results(Mine, "test_statistics")
        assert "Give the class an expiry_delay" in words(ran.failures)

    @pytest.mark.parametrize(
        ("broken", "test"),
        [
            ("twice", "test_what_is_sent_is_received_once"),
            ("twice", "test_no_message_reaches_two_readers"),
            ("by reference", "test_a_message_is_what_it_was_at_send"),
            ("unfair", "test_no_channel_starves_beside_a_busy_one"),
            ("last first", "test_what_is_for_one_process_keeps_its_order"),
            ("deaf", "test_what_is_sent_is_received_once"),
            ("any name", "test_names_that_are_not"),
            ("bottomless", "test_a_full_channel_refuses"),
            ("immortal", "test_a_message_expires"),
        ],
    )
    def test_a_layer_that_breaks_the_contract_fails(self, broken: str, test: str):
        class Mine(conformance.ConformanceTestCase):
            channel_layer = SmallLayer(broken)
            expiry_delay = 0.0
            capacity_limit = 5

        class Sound(Mine):
            channel_layer = SmallLayer("")

        assert not results(Mine, test).wasSuccessful()
        # It is the fault that is found. (No small layer knows the time.)
        assert results(Sound, test).wasSuccessful() is (broken != "immortal")


class SmallLayer:
    """The smallest layer of all, with one fault, or without."""

    extensions = ()

    class ChannelFull(Exception):
        pass

    class MessageTooLarge(Exception):
        pass

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.messages: list[tuple[str, Any]] = []

    def send(self, channel: Any, message: Any) -> None:
        if self.fault != "any name":
            names.check_channel(channel)
        waiting = [name for name, _ in self.messages if name == channel]
        if self.fault != "bottomless" and len(waiting) >= 5:
            raise self.ChannelFull(channel)
        copy = message if self.fault == "by reference" else _copy(message)
        self.messages += [(channel, copy)] * (2 if self.fault == "twice" else 1)

    def receive(self, channels: list[Any], block: bool = False) -> Any:
        if self.fault == "deaf":
            return None, None
        if self.fault != "any name":
            assert all(names.check_channel(name, receive=True) for name in channels)
        for wanted in channels if self.fault == "unfair" else reversed(channels):
            found = [pair for pair in self.messages if pair[0] == wanted]
            if str(wanted).endswith("!"):
                found = [pair for pair in self.messages if pair[0].startswith(wanted)]
            if found:
                pair = found[-1 if self.fault == "last first" else 0]
                self.messages.remove(pair)
                return pair
        return None, None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [*value] if isinstance(value, list) else value
