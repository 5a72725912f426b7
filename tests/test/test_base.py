"""A test case with a layer for each test; other routes for a test."""

import asyncio
import unittest
import warnings
from importlib import import_module, reload

import pytest
from django.test import SimpleTestCase, override_settings

from djchan import Channel, Group, channel_layers, route
from djchan.exceptions import ChannelFull
from djchan.signals import consumer_finished, consumer_started
from djchan.test import ChannelTestCase, TransactionChannelTestCase, apply_routes
from djchan.test.base import ChannelTestCaseMixin

MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"
ROUTING = [route("x", lambda message: None)]


def layers(*aliases):
    return {alias: {"BACKEND": MEMORY, "ROUTING": ROUTING} for alias in aliases}


def run(case, method="test"):
    """Run a test case as unittest does; its first failure or error, as text."""
    result = unittest.TestResult()
    case(method).run(result)
    assert result.testsRun == 1
    return "".join(text for _, text in (*result.failures, *result.errors))


class TestFreshLayers(ChannelTestCase):
    def test_a_full_channel_holds_10_messages(self):
        for _ in range(10):
            Channel("x").send({})
        with self.assertRaises(ChannelFull):
            Channel("x").send({})

    def test_nothing_is_left_of_another_test(self):
        for _ in range(10):
            Channel("x").send({})

    def test_get_next_message(self):
        Channel("x").send({"n": 1})
        message = self.get_next_message("x", require=True)
        self.assertEqual((message.content, message.channel.name), ({"n": 1}, "x"))
        self.assertIs(message.channel_layer, channel_layers["default"])
        self.assertIsNone(self.get_next_message("x"))
        with self.assertRaisesMessage(AssertionError, "'x' (default)"):
            self.get_next_message("x", require=True)

    def test_no_default_routes_are_added(self):
        self.assertEqual(channel_layers["default"].router.channels, set())

    async def test_async_tests_have_it_too(self):
        await Channel("x").asend({"n": 1})
        self.assertEqual(self.get_next_message("x").content, {"n": 1})


class TestByHand(ChannelTestCase):
    """A test that calls a consumer itself sends the signals around it, as in Channels 1.x."""

    def test_consumer_finished_flushes_what_is_pending(self):
        consumer_started.send(sender=self.__class__)
        Group("g").add("member")
        Channel("x").send({"n": 1})
        Group("g").send({"n": 2})
        self.assertIsNone(self.get_next_message("x"))
        consumer_finished.send(sender=self.__class__)
        self.assertEqual(self.get_next_message("x", require=True).content, {"n": 1})
        self.assertEqual(self.get_next_message("member", require=True).content, {"n": 2})
        Channel("x").send({"n": 3})
        self.assertEqual(self.get_next_message("x", require=True).content, {"n": 3})


class TestWithTransactions(TransactionChannelTestCase):
    def test_it_has_a_layer_of_its_own(self):
        self.assertEqual(channel_layers["default"].channel_layer.capacity, 10)


class TestAliases(ChannelTestCase):
    test_channel_aliases = ("default", "other")

    def run(self, result=None):
        with override_settings(CHANNEL_LAYERS=layers("default", "other", "third")):
            third = channel_layers["third"]
            super().run(result)
            assert channel_layers["third"] is third

    def test_each_alias_has_a_layer_of_its_own(self):
        Channel("x", alias="other").send({"n": 1})
        self.assertIsNone(self.get_next_message("x"))
        self.assertEqual(self.get_next_message("x", alias="other").content, {"n": 1})

    def test_a_layer_that_is_not_named_is_left_alone(self):
        self.assertEqual(channel_layers["third"].channel_layer.capacity, 100)

    def test_the_routing_is_a_copy(self):
        self.assertEqual(channel_layers["other"].routing, ROUTING)
        self.assertIsNot(channel_layers["other"].routing, ROUTING)


def test_afterwards_the_layer_is_the_one_of_before():
    before = channel_layers["default"]
    inside = []

    class Case(ChannelTestCaseMixin, SimpleTestCase):
        def test(self):
            inside.append(channel_layers["default"])

        def fail_(self):
            raise RuntimeError("a bug")

    assert not run(Case)
    assert "a bug" in run(Case, "fail_")
    assert channel_layers["default"] is before
    assert inside[0] is not before


def test_a_setup_of_its_own_need_not_call_ours_and_has_the_layer_already():
    class Case(ChannelTestCaseMixin, SimpleTestCase):
        def setUp(self):
            Channel("x").send({"n": 1})

        def test(self):
            assert self.get_next_message("x").content == {"n": 1}

        def tearDown(self):
            assert channel_layers["default"].channel_layer.capacity == 10

    assert not run(Case)


def test_a_debug_run_has_a_layer_of_its_own_too():
    class Case(ChannelTestCaseMixin, SimpleTestCase):
        def test(self):
            assert channel_layers["default"].channel_layer.capacity == 10

    Case("test").debug()
    assert channel_layers["default"].channel_layer.capacity == 100


# ------------------------------------------------------------------ apply_routes


def names():
    return channel_layers["default"].router.channels


A, B = route("a", lambda message: None), route("b", lambda message: None)


@pytest.mark.parametrize(
    ("routes", "channels"),
    [(A, {"a"}), ([A, B], {"a", "b"}), ([[A], [B]], {"a", "b"}), ((A,), {"a"}), ([], set())],
)
def test_apply_routes_takes_a_route_a_list_a_list_of_lists_and_an_empty_one(routes, channels):
    before = names()
    with apply_routes(routes):
        assert names() == channels
    assert names() == before


def test_apply_routes_inside_one_another():
    applied = apply_routes(A)
    with applied:
        with apply_routes([B]):
            assert names() == {"b"}
            with applied:
                assert names() == {"a"}
            assert names() == {"b"}
        assert names() == {"a"}
    assert names() == set()


def test_apply_routes_minds_its_aliases(settings):
    settings.CHANNEL_LAYERS = layers("default", "other", "third")
    with apply_routes(A, aliases=["other", "third"]):
        assert names() == {"x"}
        assert channel_layers["other"].router.channels == {"a"}
        assert channel_layers["third"].routing == [A]
    assert channel_layers["other"].router.channels == {"x"}


def test_apply_routes_restores_after_an_error():
    with pytest.raises(RuntimeError), apply_routes(A):
        raise RuntimeError
    assert names() == set()


def test_apply_routes_by_enter_and_exit():
    applied = apply_routes(A)
    applied.enter()
    assert names() == {"a"}
    applied.exit()
    assert names() == set()


def test_apply_routes_decorates_a_function():
    @apply_routes(A)
    def test(one, two=None):
        """Its words."""
        return one, two, names()

    assert test(1, two=2) == (1, 2, {"a"})
    assert (test.__doc__, names()) == ("Its words.", set())


def test_apply_routes_decorates_an_async_function():
    @apply_routes(A)
    async def test():
        await asyncio.sleep(0)
        return names()

    assert asyncio.run(test()) == {"a"}
    assert names() == set()


def test_apply_routes_decorates_a_class():
    @apply_routes(A)
    class Case(ChannelTestCaseMixin, SimpleTestCase):
        def setUp(self):
            self.seen = [names()]

        def test(self):
            self.seen.append(names())

        def tearDown(self):
            self.seen.append(names())
            assert self.seen == [{"a"}] * 3

        def fail_(self):
            raise RuntimeError("a bug")

    assert not run(Case)
    assert "a bug" in run(Case, "fail_")
    assert names() == set()


def test_apply_routes_that_cannot_be_changes_nothing(settings):
    settings.CHANNEL_LAYERS = layers("default")
    with pytest.raises(KeyError), apply_routes(A, aliases=["default", "nowhere"]):
        pass
    assert names() == {"x"}


def test_a_group_reaches_plain_channels_in_a_test():
    class Case(ChannelTestCaseMixin, SimpleTestCase):
        def test(self):
            Group("g").add("x")
            Group("g").send({"n": 1})
            assert self.get_next_message("x").content == {"n": 1}

    assert not run(Case)


def test_the_older_names_of_the_package_are_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        package = import_module("djchan.tests")
    assert package.ChannelTestCase is ChannelTestCase
    assert import_module("djchan.tests.base").apply_routes is apply_routes
    with pytest.warns(DeprecationWarning, match=r"djchan\.test now"):
        reload(package)
    with pytest.raises(AttributeError, match="Clint"):
        package.Clint  # noqa: B018
