"""Where settings, layer, router and interface are tied together.

From CHANNEL_LAYERS and a project's ``asgi.py``; on to ``djchan.layers`` (what moves
messages), ``djchan.routing`` (which the worker asks) and ``djchan.interface`` (which Daphne
runs). A wrapper is all three by name: the layer, its router, and an ASGI 3 application::

    daphne djchan.asgi:channel_layer                     no asgi.py needed
    channel_layer = get_channel_layer()                  in asgi.py, as in Channels 1.x
    ProtocolTypeRouter({"http": django_application, "websocket": get_channel_layer()})

Nothing is built before it is asked for: the interface process loads no consumer, and a
worker serves no socket. While tests run (``djchan.test_mode``), a wrapper's layer is another.
"""

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

import djchan.lazy  # noqa: F401  (messages may hold lazy values)
from djchan import DEFAULT_CHANNEL_LAYER
from djchan.conf import setting
from djchan.credentials import without_credentials
from djchan.exceptions import InvalidChannelLayer
from djchan.hidden import hidden_keys
from djchan.interface.application import Interface
from djchan.interface.reactor import when_running
from djchan.layers.base import BaseChannelLayer
from djchan.layers.channels4 import Channels4Layer
from djchan.log import escaping
from djchan.logging_setup import setup_logging
from djchan.routing import Router
from djchan.stand_ins import StandIns, TestLayers
from djchan.test_mode import CONFIG, TEST_CONFIG, TOOLS, VARIABLE, test_mode
from djchan.tracebacks import clear_locals, with_causes

logger = escaping(logging.getLogger(__name__))

REDIS = "djchan.layers.redis.RedisChannelLayer"
SENTINEL = "djchan.layers.redis.RedisSentinelChannelLayer"
IN_MEMORY = "djchan.layers.inmemory.InMemoryChannelLayer"

# What the BACKEND of an older settings file stands for.
SUCCESSORS = {
    "asgi_redis.RedisChannelLayer": REDIS,
    "asgi_redis.core.RedisChannelLayer": REDIS,
    "asgi_redis.RedisLocalChannelLayer": REDIS,
    "asgi_redis.local.RedisLocalChannelLayer": REDIS,
    "asgi_redis.RedisSentinelChannelLayer": SENTINEL,
    "asgi_redis.sentinel.RedisSentinelChannelLayer": SENTINEL,
    "asgiref.inmemory.ChannelLayer": IN_MEMORY,
    "channels_redis.core.RedisChannelLayer": REDIS,
    "channels_redis.pubsub.RedisPubSubChannelLayer": REDIS,
    "channels.layers.InMemoryChannelLayer": IN_MEMORY,
}
# BACKENDs that have none, and what to write instead.
_NO_SUCCESSOR = {
    "asgi_ipc": f'{REDIS!r} with "CONFIG": {{"hosts": ["unix:///run/redis/redis.sock"]}}: a Redis '
    "on the same machine takes the place of shared memory",
    "asgi_rabbitmq": f"{REDIS!r}: djchan needs what a Redis can do atomically",
}

_TESTS_RUN = (
    "The channel layer %r is in memory, since tests run (%s is %r), and no worker runs in this "
    "process: nothing will be answered. Give its entry a TEST_CONFIG, and start this process "
    "within djchan.test.use_test_config()."
)


class InvalidChannelLayerError(InvalidChannelLayer):
    """CHANNEL_LAYERS cannot be used as it is.

    ``message``: what is wrong. ``hint``: what to do. ``check``: the id of the system check that
    says the same.
    """

    def __init__(self, message: str, hint: str, *, check: str) -> None:
        message = without_credentials(message).rstrip(".")
        self.message = message if message.endswith("?") else f"{message}."
        super().__init__(f"{self.message} {hint}")
        self.hint = hint
        self.check = check


class NoChannelLayerError(InvalidChannelLayerError, KeyError):
    """CHANNEL_LAYERS has no entry of this alias."""

    __str__ = InvalidChannelLayerError.__str__  # KeyError's is a repr.


class ChannelLayerWrapper:
    """A layer with its alias, its routing and its interface.

    Whatever it does not have itself is asked of the layer. ``interface_options`` and
    ``worker_options`` are the INTERFACE and WORKER of its entry in CHANNEL_LAYERS.
    ``for_tests``: what takes the layer's place while tests run.
    """

    def __init__(
        self,
        channel_layer: BaseChannelLayer,
        alias: str,
        routing: Any,
        *,
        interface_options: Mapping[str, Any] | None = None,
        worker_options: Mapping[str, Any] | None = None,
        for_tests: TestLayers | None = None,
    ) -> None:
        self._layer = channel_layer
        self.for_tests = for_tests
        self.alias = alias
        self.routing = routing
        self.interface_options = dict(interface_options or {})
        self.worker_options = dict(worker_options or {})
        self.has_worker = False  # One of this very process serves it.
        self._interface: Interface | None = None
        self._channels4: Channels4Layer | None = None

    @property
    def channel_layer(self) -> BaseChannelLayer:
        """The layer that this process may use now."""
        # In short for the next lines, where no tests can run: each send comes by.
        if not test_mode.chosen and TOOLS not in sys.modules:
            return self._layer
        if self.for_tests is None or (which := test_mode.layers()) == CONFIG:
            return self._layer
        return self.for_tests.get(which)

    @cached_property
    def router(self) -> Router:
        """Imports the routing, and with it the project's consumers."""
        return Router(self.routing)

    @property
    def interface(self) -> Interface:
        """The application that holds the sockets; options are read when it is first used."""
        layer = self.channel_layer
        if self._interface is None or self._interface.layer is not layer:
            self._interface = Interface(layer, hidden=hidden_keys(), **self.interface_options)
        return self._interface

    @property
    def channels4(self) -> Channels4Layer:
        """The same layer as Channels 4 knows one."""
        layer = self.channel_layer
        if self._channels4 is None or self._channels4.layer is not layer:
            self._channels4 = Channels4Layer(layer)
        return self._channels4

    def local_only(self) -> bool:
        """Whether the layer reaches no other process than this."""
        return self.channel_layer.engine.local_only

    def warm_up(self) -> None:
        """A server is about to run the interface in this process."""
        self.interface.warm_up()
        if self.local_only() and not self.has_worker:
            if test_mode.layers() != CONFIG:
                logger.error(_TESTS_RUN, self.alias, VARIABLE, test_mode.layers())
                return
            logger.error(
                "The channel layer %r is in memory, and no worker runs in this process: nothing "
                "will be answered. Workers of other processes do not see it: set its BACKEND in "
                "CHANNEL_LAYERS to %r; or use `manage.py runserver`, which is both in one.",
                self.alias,
                REDIS,
            )

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """ASGI 3: one connection, from its scope to its end."""
        await self.interface(scope, receive, send)

    def __str__(self) -> str:
        kind = type(self.channel_layer)
        return f"{self.alias} ({kind.__module__}.{kind.__qualname__})"

    def __repr__(self) -> str:
        return f"<ChannelLayerWrapper {self}>"

    def __getattr__(self, name: str) -> Any:
        if name in ("_layer", "for_tests", "channel_layer"):  # A copy that has no attributes yet.
            raise AttributeError(name)
        return getattr(self.channel_layer, name)


class ChannelLayerManager:
    """The configured layers by alias, each built at first use and then kept.

    They are forgotten when a test overrides CHANNEL_LAYERS.
    """

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}
        self._stand_ins = StandIns()
        setting_changed.connect(self._forget)

    @property
    def configs(self) -> dict[str, Any]:
        """CHANNEL_LAYERS, as it is now."""
        configs = setting("CHANNEL_LAYERS")
        if not isinstance(configs, Mapping):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS is of type {type(configs).__name__}",
                'It must be a dict of alias to entry: {"default": {"BACKEND": …}}.',
                check="djchan.E001",
            )
        return dict(configs)

    def make_backend(self, name: str) -> ChannelLayerWrapper:
        """A new wrapper for the alias ``name``.

        Raises NoChannelLayerError (a KeyError) for an alias that is not there,
        InvalidChannelLayerError for one that cannot be used.
        """
        return self._checked(name, CONFIG)

    def make_test_backend(self, name: str) -> ChannelLayerWrapper:
        """The same with its TEST_CONFIG in place of its CONFIG."""
        return self._checked(name, TEST_CONFIG)

    def set(self, key: str, layer: Any) -> Any:
        """Let ``key`` be ``layer`` (None: forget it); what it was before, or None."""
        before = self._built.pop(key, None)
        if layer is not None:
            self._built[key] = layer
        return before

    def __getitem__(self, key: str) -> Any:
        if key not in self._built:
            self._built[key] = self.make_backend(key)
        return self._built[key]

    def __contains__(self, key: object) -> bool:
        return key in self._built or key in self.configs

    def _entry(self, name: str) -> Any:
        configs = self.configs
        if name not in configs:
            raise no_layer(name)
        return configs[name]

    def _checked(self, name: str, which: str) -> ChannelLayerWrapper:
        try:
            return self._make(name, which)
        except InvalidChannelLayerError as error:
            clear_locals(error)  # They hold the entry, with the password of Redis.
            texts = [str(each) for each in with_causes(error)]
            if any(without_credentials(text) != text for text in texts):
                error.__cause__ = error.__context__ = None
            raise

    def _make(self, name: str, which: str) -> ChannelLayerWrapper:
        entry = self._entry(name)
        if which == TEST_CONFIG and not (isinstance(entry, Mapping) and which in entry):
            raise no_test_config(name)
        check_entry(name, entry)
        for key in (which, "INTERFACE", "WORKER"):
            if not isinstance(entry.get(key) or {}, Mapping):
                # Not quoted: a URL of Redis may have strayed there, with its password.
                raise InvalidChannelLayerError(
                    f"{key} of CHANNEL_LAYERS[{name!r}] is of type {type(entry[key]).__name__}",
                    f'It must be a dict of options: "{key}": {{…}}.',
                    check="djchan.E005",
                )
        layer = _layer(name, entry["BACKEND"], dict(entry.get(which) or {}))
        interface_options = dict(entry.get("INTERFACE") or {})
        protocols = setting("CHANNELS_WS_PROTOCOLS")
        if protocols:
            interface_options.setdefault("websocket_protocols", tuple(protocols))
        return ChannelLayerWrapper(
            layer,
            name,
            entry["ROUTING"],
            interface_options=interface_options,
            worker_options=entry.get("WORKER"),
            for_tests=self._for_tests(name, entry, layer) if which == CONFIG else None,
        )

    def _for_tests(self, name: str, entry: Any, layer: BaseChannelLayer) -> TestLayers:
        in_memory = self._stand_ins.of(entry, layer)
        if TEST_CONFIG not in entry:
            return TestLayers(in_memory, None)
        return TestLayers(in_memory, lambda: self.make_test_backend(name).channel_layer)

    def _forget(self, *, setting: str, **kwargs: Any) -> None:
        if setting in ("CHANNEL_LAYERS", "CHANNELS_WS_PROTOCOLS"):
            self._built = {}


def check_entry(alias: str, entry: Any) -> None:
    """Raise InvalidChannelLayerError for an entry of CHANNEL_LAYERS that lacks something."""
    if not isinstance(entry, Mapping):
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}] is of type {type(entry).__name__}",
            'It must be a dict: {"BACKEND": …, "ROUTING": …, "CONFIG": {…}}.',
            check="djchan.E001",
        )
    if "BACKEND" not in entry:
        raise InvalidChannelLayerError(
            f"No BACKEND specified for {alias}",
            f'Give CHANNEL_LAYERS[{alias!r}] a "BACKEND": {REDIS!r}, or {IN_MEMORY!r} for a '
            "site of one process.",
            check="djchan.E002",
        )
    if "ROUTING" not in entry:
        raise InvalidChannelLayerError(
            f"No ROUTING specified for {alias}",
            f"CHANNEL_LAYERS[{alias!r}] is an entry for Channels 4. For djchan, give it a "
            '"ROUTING": the dotted path of your list of routes, "project.routing.channel_routing"; '
            "Channels 4's consumers go on working over the same layer. If there are no others, set "
            'the BACKEND to "djchan.channels4.RedisLayer": that needs no ROUTING.',
            check="djchan.E003",
        )


def backend_path(alias: str, backend: object) -> str:
    """The dotted path of the layer that a BACKEND stands for today."""
    for package, instead in _NO_SUCCESSOR.items():
        if str(backend).partition(".")[0] == package:
            raise InvalidChannelLayerError(
                f"Cannot import BACKEND {backend!r} specified for {alias}",
                f"{package} works with no supported Django. Use {instead}.",
                check="djchan.E004",
            )
    return SUCCESSORS.get(str(backend), str(backend))


def _layer(alias: str, backend: Any, config: dict[str, Any]) -> BaseChannelLayer:
    path = backend_path(alias, backend)
    if str(backend).endswith(".RedisLocalChannelLayer"):
        logger.warning(
            "%r in CHANNEL_LAYERS[%r] is a plain %s now: each message crosses Redis, and no "
            "machine needs a worker for every channel any more.",
            backend,
            alias,
            REDIS,
        )
    try:
        kind = import_string(path)
    except (ImportError, AttributeError) as error:
        raise InvalidChannelLayerError(
            f"Cannot import BACKEND {backend!r} specified for {alias}: {error}",
            f"Use {REDIS!r}, or {IN_MEMORY!r} for a site of one process.",
            check="djchan.E004",
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, BaseChannelLayer)):
        raise InvalidChannelLayerError(
            f"The BACKEND {backend!r} specified for {alias} is not a djchan layer",
            f"Use {REDIS!r}; or, for a layer of Channels 4 alone, take its ROUTING away.",
            check="djchan.E004",
        )
    try:
        return kind(**config)
    except (TypeError, ValueError) as error:
        raise InvalidChannelLayerError(
            f"The CONFIG of CHANNEL_LAYERS[{alias!r}] cannot be used: {error}",
            f"It holds the options of {path}.",
            check="djchan.E005",
        ) from error


channel_layers = ChannelLayerManager()


def no_layer(alias: str) -> NoChannelLayerError:
    """The error for an alias that CHANNEL_LAYERS does not have."""
    return NoChannelLayerError(
        f"CHANNEL_LAYERS has no entry {alias!r}",
        f'Add {{{alias!r}: {{"BACKEND": {IN_MEMORY!r}, "ROUTING": '
        '"project.routing.channel_routing"}} to your settings, or the BACKEND '
        f"{REDIS!r} for more than one process.",
        check="djchan.W001",
    )


def no_test_config(*aliases: str) -> InvalidChannelLayerError:
    """The error for a test that asks for a TEST_CONFIG where there is none."""
    return InvalidChannelLayerError(
        f"No TEST_CONFIG specified for {', '.join(aliases)}",
        'Give the entry a "TEST_CONFIG": the CONFIG of the layer that tests use.',
        check="djchan.E007",
    )


def configured_layer(alias: str) -> ChannelLayerWrapper:
    """The wrapper of a layer by its alias. Raises InvalidChannelLayer when there is none."""
    if alias not in channel_layers:
        raise no_layer(alias)
    wrapper: ChannelLayerWrapper = channel_layers[alias]
    return wrapper


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> ChannelLayerWrapper:
    """The wrapper of a layer, after ``django.setup()``: what an ``asgi.py`` needs.

    Raises InvalidChannelLayerError.
    """
    django.setup(set_prefix=False)
    setup_logging()
    if not apps.is_installed("djchan"):
        logger.error(
            "'djchan' is not in INSTALLED_APPS: its commands and checks are missing, and Channels "
            "4 refuses the entries of CHANNEL_LAYERS that have a ROUTING. Add it as the first line."
        )
    wrapper = configured_layer(alias)
    if isinstance(wrapper, ChannelLayerWrapper):
        when_running(wrapper.warm_up)
    return wrapper


def get_asgi_application(alias: str = DEFAULT_CHANNEL_LAYER) -> ChannelLayerWrapper:
    """``get_channel_layer`` by the name under which ASGI_APPLICATION files know it."""
    return get_channel_layer(alias)


if TYPE_CHECKING:
    channel_layer: ChannelLayerWrapper
else:

    def __getattr__(name: str) -> Any:
        # `daphne djchan.asgi:channel_layer` with nothing but DJANGO_SETTINGS_MODULE.
        if name == "channel_layer":
            return get_channel_layer()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
