"""System checks: what is wrong with a project's setup, and what to do about it.

From ``manage.py check`` and every command that runs checks; the sentences are those that the
same mistakes raise at run time (``djchan.asgi``), and ``runserver`` and ``runworker`` print.

======  ==================================================================================
E001    CHANNEL_LAYERS, or an entry of it, is not a dict
E002    an entry has no BACKEND
E003    an entry has no ROUTING: it is one for Channels 4
E004    a BACKEND cannot be imported, or is no layer of djchan
E005    the CONFIG, INTERFACE or WORKER of an entry cannot be used
E006    a ROUTING cannot be imported, or is none
E008    ``runserver`` or ``runworker`` of another app is found before ours
E009    Redis does not answer (``check --deploy`` only, as the next two)
E010    Redis answers, and cannot be used: the login, TLS, its version, its settings, the rights
        of its user
E011    Redis answers that it cannot serve now: it loads its data, has no replicas …
W001    there is no default layer
W002    a layer in memory, and DEBUG is off
W003    an entry has a key that means nothing
======  ==================================================================================

What is open on a site that is deployed: ``djchan.deploy_checks``.
"""

import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, get_commands, load_command_class

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.asgi import (
    SUCCESSORS,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
    configured_layer,
    no_layer,
)
from djchan.conf import LAYER_KEYS
from djchan.credentials import without_credentials
from djchan.exceptions import BrokerError, BrokerUnavailable, InvalidChannelLayer
from djchan.interface.options import InterfaceOptions
from djchan.lanes.options import WorkerOptions
from djchan.test_mode import CONFIG, VARIABLE, test_mode

TAG = "djchan"
# What a ROUTING that cannot be used raises when it is read: E006. Anything else is a traceback.
BAD_ROUTING = (ImproperlyConfigured, TypeError, ValueError)
COMMANDS = ("runserver", "runworker")
# Seconds: supervisors (honcho, systemd, compose) start Redis and workers at the same time.
PATIENCE = 5.0
_PAUSE = 0.2  # Seconds between two questions to a Redis that may be starting.

Apps = Sequence[AppConfig] | None


def check_layers(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """CHANNEL_LAYERS can be used: layers, routing, options."""
    try:
        configs = channel_layers.configs
    except InvalidChannelLayerError as error:
        return [_message(error)]
    found: list[CheckMessage] = []
    if DEFAULT_CHANNEL_LAYER not in configs:
        found.append(_message(no_layer(DEFAULT_CHANNEL_LAYER)))
    for alias, entry in configs.items():
        if not for_channels4_alone(alias, entry):
            found += _check_entry(alias, entry)
    return found


def for_channels4_alone(alias: str, entry: object) -> bool:
    """Whether an entry was left to Channels 4 on purpose: by a BACKEND that says so, or one that is
    not ours and not the default."""
    if not isinstance(entry, dict) or "ROUTING" in entry:
        return False
    backend = str(entry.get("BACKEND", ""))
    if backend.startswith("djchan.channels4."):
        return True
    if alias == DEFAULT_CHANNEL_LAYER:
        return False
    package = backend.partition(".")[0]
    return package != "djchan" and (package.startswith("channels") or backend not in SUCCESSORS)


def _check_entry(alias: str, entry: Any) -> Iterable[CheckMessage]:
    try:
        wrapper = channel_layers[alias]
    except InvalidChannelLayerError as error:
        return [_message(error)]
    found: list[CheckMessage] = []
    unknown = sorted(map(str, set(entry) - LAYER_KEYS))
    if unknown:
        found.append(
            Warning(
                f"CHANNEL_LAYERS[{alias!r}] has keys that mean nothing: "
                f"{without_credentials(', '.join(unknown))}.",
                hint=f"It may have {', '.join(sorted(LAYER_KEYS))}; what the layer itself takes "
                "(hosts, capacity, …) goes into its CONFIG.",
                id="djchan.W003",
            )
        )
    try:
        InterfaceOptions.parse(wrapper.interface_options)
        WorkerOptions.parse(wrapper.worker_options)
    except InvalidChannelLayer as error:
        found.append(Error(str(error), id="djchan.E005"))
    try:
        wrapper.router  # noqa: B018  # Building it imports the routing.
    except BAD_ROUTING as error:
        found.append(
            Error(
                f"The ROUTING of CHANNEL_LAYERS[{alias!r}] cannot be used: "
                f"{without_credentials(str(error))}",
                hint="It is a list of route() and include(), or the dotted path of one: "
                '"project.routing.channel_routing".',
                id="djchan.E006",
            )
        )
    if not settings.DEBUG and test_mode.layers() == CONFIG and wrapper.local_only():
        found.append(in_memory(alias))
    return found


def in_memory(alias: str) -> CheckMessage:
    """The sentence for a layer in memory where there are several processes."""
    if test_mode.layers() != CONFIG:
        return Warning(
            f"The channel layer {alias!r} is in memory, since tests run ({VARIABLE} is "
            f"{test_mode.layers()!r}): it reaches no process but its own.",
            hint=f"Give CHANNEL_LAYERS[{alias!r}] a TEST_CONFIG, and start this process within "
            f"djchan.test.use_test_config(). Or start it with {VARIABLE}=CONFIG, if the layer of "
            "its CONFIG is for tests alone.",
            id="djchan.W002",
        )
    return Warning(
        f"The channel layer {alias!r} is in memory: it reaches no process but its own, so the "
        "workers of another process (runworker) would never get a message.",
        hint='For production, give it the BACKEND "djchan.layers.redis.RedisChannelLayer".',
        id="djchan.W002",
    )


def check_app_order(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Our commands are the ones that ``manage.py`` finds."""
    found: list[CheckMessage] = []
    commands = get_commands()
    for name in COMMANDS:
        owner = commands[name]
        if owner == TAG or _is_ours(owner, name):
            continue
        found.append(
            Error(
                f"`manage.py {name}` is the command of {owner!r}, not of 'djchan'.",
                hint=f'In INSTALLED_APPS, move the line "djchan" above {_line_of(owner)}.',
                id="djchan.E008",
            )
        )
    return found


def _is_ours(app: str, name: str) -> bool:
    """Whether another app's command is built on ours, and so may stand before it."""
    try:
        command = load_command_class(app, name)
    except (ImportError, AttributeError):
        return False
    ours = f"djchan.management.commands.{name}"
    return any(kind.__module__ == ours for kind in type(command).__mro__)


def _line_of(app: str) -> str:
    """The line of INSTALLED_APPS that an app was named by."""
    for line in settings.INSTALLED_APPS:
        if line == app or line.startswith(f"{app}.apps."):
            return f'"{line}"'
    return f'"{app}"'


def check_brokers(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Every layer's Redis answers, and is one that djchan can use."""
    problems = (broker_problem(wrapper) for wrapper in usable_layers())
    return [problem for problem in problems if problem is not None]


def usable_layers() -> Iterable[ChannelLayerWrapper]:
    """The layers that can be built. (What is wrong with the others, check_layers says.)"""
    try:
        configs = channel_layers.configs
    except InvalidChannelLayerError:
        return
    for alias, entry in configs.items():
        if isinstance(entry, dict) and "ROUTING" in entry:
            with contextlib.suppress(InvalidChannelLayerError):
                yield channel_layers[alias]


def broker_problem(
    wrapper: ChannelLayerWrapper, *, patience: float = 0.0, waits: bool = False
) -> CheckMessage | None:
    """Why the layer's Redis cannot be used now; None when it can.

    ``patience``: seconds in which one that does not answer yet may come up. ``waits``: one that
    is there, and will serve again by itself, is no problem.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            wrapper.channel_layer.global_statistics()
            return None
        except BrokerError as error:
            if waits and error.transient:
                return None
            if isinstance(error, BrokerUnavailable) and time.monotonic() < deadline:
                time.sleep(_PAUSE)
                continue
            return _problem(wrapper.alias, error)


def _problem(alias: str, error: BrokerError) -> CheckMessage:
    text = f"The channel layer {alias!r} cannot be used: {error}"
    if error.transient:
        return Error(text, hint="It is there: try again in a while.", id="djchan.E011")
    if isinstance(error, BrokerUnavailable) and not error.answered:
        return Error(
            text,
            hint="Start a Redis 7.0 or Valkey 7.2 or newer there, or set hosts in the CONFIG of "
            f"CHANNEL_LAYERS[{alias!r}] to one.",
            id="djchan.E009",
        )
    return Error(text, id="djchan.E010")


def shared_layer(alias: str) -> ChannelLayerWrapper:
    """The layer that a process of its own is to serve. Raises CommandError when it cannot.

    A Redis that is there and cannot serve now is waited for, by the worker itself.
    """
    try:
        wrapper = configured_layer(alias)
    except InvalidChannelLayer as error:
        raise CommandError(str(error)) from error
    if wrapper.local_only():
        raise CommandError(sentence(in_memory(alias)))
    problem = broker_problem(wrapper, patience=PATIENCE, waits=True)
    if problem is not None:
        raise CommandError(sentence(problem))
    return wrapper


def sentence(problem: CheckMessage) -> str:
    """A problem and its remedy as one text, for a command to print."""
    return f"{problem.msg} {problem.hint or ''}".rstrip()


def _message(error: InvalidChannelLayerError) -> CheckMessage:
    kind = Warning if ".W" in error.check else Error
    return kind(error.message, hint=error.hint, id=error.check)
