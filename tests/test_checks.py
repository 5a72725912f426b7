"""djchan.checks: each mistake of a setup is found, and told with its remedy."""

import pytest
from django.core.checks import Error, Warning, run_checks
from django.core.management import call_command, get_commands
from django.core.management.base import SystemCheckError

from djchan.asgi import ChannelLayerWrapper, channel_layers
from djchan.checks import (
    broker_problem,
    check_app_order,
    check_brokers,
    check_layers,
    in_memory,
    sentence,
)
from djchan.exceptions import BrokerRefused, BrokerUnavailable, BrokerUnsupported
from djchan.layers.redis import RedisChannelLayer
from tests.support.waiting import free_port

IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"
REDIS = "djchan.layers.redis.RedisChannelLayer"
CHANNELS4 = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {}}


def ids(messages):
    return [message.id for message in messages]


@pytest.fixture
def found(settings):
    """The messages for one entry of CHANNEL_LAYERS."""

    def check(**entry):
        settings.DEBUG = True
        settings.CHANNEL_LAYERS = {"default": entry}
        return check_layers(None)

    return check


class TestLayers:
    def test_a_good_entry(self, found):
        assert found(BACKEND=IN_MEMORY, ROUTING=[]) == []
        assert found(BACKEND=REDIS, ROUTING=[], CONFIG={}, INTERFACE={}, WORKER={}) == []

    def test_no_default_layer(self, settings):
        # A project may be without, and is then a normal WSGI project.
        settings.CHANNEL_LAYERS = {}
        (message,) = check_layers(None)
        assert isinstance(message, Warning)
        assert message.id == "djchan.W001"
        assert "'default'" in message.msg
        assert "CHANNEL_LAYERS" in message.msg

    @pytest.mark.parametrize("value", ["default", [1]])
    def test_a_setting_that_is_no_dict(self, settings, value):
        settings.CHANNEL_LAYERS = value
        assert ids(check_layers(None)) == ["djchan.E001"]
        assert check_brokers(None) == []

    def test_an_entry_that_is_no_dict(self, settings):
        settings.CHANNEL_LAYERS = {"default": IN_MEMORY}
        assert ids(check_layers(None)) == ["djchan.E001"]

    def test_no_backend(self, found):
        assert ids(found(ROUTING=[])) == ["djchan.E002"]

    def test_no_routing(self, found):
        (message,) = found(BACKEND=IN_MEMORY)
        assert isinstance(message, Error)
        assert message.id == "djchan.E003"

    def test_an_entry_of_channels_4(self, found):
        (message,) = found(**CHANNELS4)
        assert message.id == "djchan.E003"
        assert "Channels 4" in message.hint
        assert '"ROUTING"' in message.hint

    def test_a_layer_for_channels_4_alone_needs_no_routing_and_cannot_have_one(self, found):
        alone = {"BACKEND": "djchan.channels4.RedisLayer"}
        assert found(**alone) == []
        (message,) = found(**alone, ROUTING=[])
        assert message.id == "djchan.E004"
        assert "take its ROUTING away" in message.hint

    def test_another_alias_may_be_left_to_channels_4(self, settings):
        ours = {"BACKEND": IN_MEMORY, "ROUTING": []}
        settings.DEBUG = True
        settings.CHANNEL_LAYERS = {"default": ours, "theirs": CHANNELS4}
        assert check_layers(None) == []
        settings.CHANNEL_LAYERS = {"default": ours, "unfinished": {"BACKEND": REDIS}}
        assert ids(check_layers(None)) == ["djchan.E003"]

    def test_a_backend_that_cannot_be_imported(self, found):
        (message,) = found(BACKEND="nowhere.Layer", ROUTING=[])
        assert message.id == "djchan.E004"
        assert "nowhere.Layer" in message.msg

    def test_a_backend_without_a_successor(self, found):
        (message,) = found(BACKEND="asgi_ipc.IPCChannelLayer", ROUTING=[])
        assert message.id == "djchan.E004"
        assert "RedisChannelLayer" in message.hint

    def test_a_config_that_cannot_be(self, found):
        assert ids(found(BACKEND=IN_MEMORY, ROUTING=[], CONFIG={"capacity": 0})) == ["djchan.E005"]

    @pytest.mark.parametrize("where", ["INTERFACE", "WORKER"])
    def test_options_that_cannot_be(self, found, where):
        (message,) = found(BACKEND=IN_MEMORY, ROUTING=[], **{where: {"timeuot": 1}})
        assert message.id == "djchan.E005"
        assert "timeuot" in message.msg

    @pytest.mark.parametrize("routing", ["nowhere.routing", "tests.urls.nothing", 7, [7]])
    def test_a_routing_that_cannot_be_imported(self, found, routing):
        (message,) = found(BACKEND=IN_MEMORY, ROUTING=routing)
        assert message.id == "djchan.E006"
        assert "'default'" in message.msg

    def test_a_key_that_means_nothing(self, found):
        (message,) = found(BACKEND=IN_MEMORY, ROUTING=[], HOSTS=[])
        assert message.id == "djchan.W003"
        assert "HOSTS" in message.msg

    def test_in_memory_outside_of_development(self, settings):
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY, "ROUTING": []}}
        settings.DEBUG = False
        (message,) = check_layers(None)
        assert isinstance(message, Warning)
        assert message.id == "djchan.W002"
        assert "runworker" in sentence(in_memory("default"))


class TestAppOrder:
    @pytest.fixture
    def order(self, settings):
        def install(*apps):
            settings.INSTALLED_APPS = list(apps)
            get_commands.cache_clear()
            return check_app_order(None)

        yield install
        get_commands.cache_clear()

    def test_ours_first(self, order):
        assert order("djchan", "django.contrib.staticfiles") == []
        assert order("djchan", "channels", "daphne", "django.contrib.staticfiles") == []

    @pytest.mark.parametrize(
        ("app", "command"),
        [
            ("django.contrib.staticfiles", "runserver"),
            ("daphne", "runserver"),
            ("channels", "runworker"),
        ],
    )
    def test_another_before_ours(self, order, app, command):
        (message,) = order(app, "djchan")
        assert isinstance(message, Error)
        assert message.id == "djchan.E008"
        assert command in message.msg
        assert f'move the line "djchan" above "{app}"' in message.hint

    def test_a_line_that_names_the_app_config(self, order):
        (message,) = order("daphne.apps.DaphneConfig", "djchan")
        assert '"daphne.apps.DaphneConfig"' in message.hint

    def test_both_commands_are_looked_at(self, order):
        messages = order("channels", "daphne", "djchan", "django.contrib.staticfiles")
        assert ids(messages) == ["djchan.E008", "djchan.E008"]

    def test_the_command_itself_prints_it(self, order, settings):
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY, "ROUTING": []}}
        others = ("auth", "contenttypes", "staticfiles")
        order("channels", "djchan", *(f"django.contrib.{name}" for name in others))
        with pytest.raises(SystemCheckError, match='move the line "djchan" above "channels"'):
            call_command("runworker", "x", skip_checks=False)


class TestBrokers:
    def test_in_memory_has_none(self):
        assert broker_problem(channel_layers["default"]) is None
        assert check_brokers(None) == []

    def test_one_that_does_not_answer(self):
        hosts = [("127.0.0.1", free_port())]
        wrapper = ChannelLayerWrapper(RedisChannelLayer(hosts), "default", [])
        problem = broker_problem(wrapper)
        wrapper.channel_layer.close()
        assert problem.id == "djchan.E009"
        assert f"127.0.0.1:{hosts[0][1]}" in problem.msg
        assert "Start a Redis" in problem.hint
        assert sentence(problem) == f"{problem.msg} {problem.hint}"

    def test_one_that_does(self, broker):
        wrapper = ChannelLayerWrapper(RedisChannelLayer([broker.url]), "default", [])
        assert broker_problem(wrapper) is None
        wrapper.channel_layer.close()

    def test_are_asked_only_with_deploy(self, settings):
        entry = {
            "BACKEND": REDIS,
            "ROUTING": [],
            "CONFIG": {"hosts": [("127.0.0.1", free_port())]},
        }
        settings.CHANNEL_LAYERS = {"default": entry}
        assert "djchan.E009" not in ids(run_checks(tags=["djchan"]))
        everything = run_checks(tags=["djchan"], include_deployment_checks=True)
        assert "djchan.E009" in ids(everything)
        channel_layers["default"].channel_layer.close()

    def test_a_layer_that_cannot_be_built_is_another_checks_matter(self, settings):
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": "nowhere.Layer", "ROUTING": []}}
        assert check_brokers(None) == []


ERRORS = [
    (BrokerUnavailable("Redis at x did not answer."), "djchan.E009", False),
    (BrokerUnavailable("Redis at x is in protected mode", answered=True), "djchan.E010", False),
    (BrokerUnavailable("Redis at x is loading.", transient=True), "djchan.E011", True),
    (BrokerRefused("Redis at x has no replicas.", transient=True), "djchan.E011", True),
    (BrokerRefused("Redis at x refused: something"), "djchan.E010", False),
    (BrokerUnsupported("Redis at x is too old."), "djchan.E010", False),
]


@pytest.mark.parametrize(("error", "check", "is_waited_for"), ERRORS, ids=str)
def test_each_kind_of_error_has_its_check(error, check, is_waited_for):
    class Layer:
        def global_statistics(self):
            raise error

    wrapper = ChannelLayerWrapper(Layer(), "default", [])

    problem = broker_problem(wrapper)
    assert problem.id == check and str(error) in problem.msg
    assert (broker_problem(wrapper, waits=True) is None) == is_waited_for


@pytest.mark.parametrize(
    "config",
    [
        {"hosts": ["redis://cache?virtual_host=x"]},
        {"hosts": ["rediss://cache?ssl_cert_reqs=CERT_NONE"]},
        {"hosts": ["redis://:S3CRET#x@cache"]},
        {"connection_kwargs": {"ssl": True}},
        {"connection_kwargs": {"socket_timeout": "30"}},
        {"connection_kwargs": {"max_conections": 10}},
    ],
    ids=str,
)
def test_an_option_that_redis_py_cannot_use_is_found_without_redis(settings, config):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": config}}

    (problem,) = check_layers(None)

    assert problem.id == "djchan.E005"
    assert "S3CRET" not in str(problem)
    assert problem.msg.endswith((".", "?")) and not problem.msg.endswith(("..", "?."))


@pytest.mark.parametrize(
    ("layers", "check"),
    [
        ("redis://:S3CRET@cache", "djchan.E001"),
        ({"default": "redis://:S3CRET@cache"}, "djchan.E001"),
        ({"default": ["redis://:S3CRET@cache"]}, "djchan.E001"),
        ({"default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": "redis://:S3CRET@cache"}},
         "djchan.E005"),
        ({"default": {"BACKEND": REDIS, "ROUTING": [], "CONFIG": ["redis://:S3CRET@cache"]}},
         "djchan.E005"),
        ({"default": {"BACKEND": REDIS, "ROUTING": [], "INTERFACE": "S3CRET"}}, "djchan.E005"),
        ({"default": {"BACKEND": REDIS, "ROUTING": [], "WORKER": "S3CRET"}}, "djchan.E005"),
    ],
    ids=str,
)  # fmt: skip
def test_a_url_that_strayed_is_not_quoted(settings, layers, check):
    settings.CHANNEL_LAYERS = layers

    found = check_layers(None)

    assert check in ids(found)
    assert not any("S3CRET" in str(each) for each in found)
