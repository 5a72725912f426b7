"""System checks of a site that is deployed: what is open, and to whom.

They run with ``manage.py check --deploy``; nothing here can be wrong on a developer's machine.
Those of Redis are in ``redis_checks``.

======  ==================================================================================
W002    a layer in memory (with DEBUG on too; off, ``djchan.checks`` says so anyway)
W004    a URL can stand for a session cookie
W005    pages of every site may open WebSockets: ALLOWED_HOSTS has ``*``
W008    sessions are kept in the memory of one process
W009    messages wait on channels that no route takes
I001    consumers and socket views that take WebSockets from pages of every site, as they say
        themselves
I002    limits of time that are switched off
I004    WebSockets are taken for every host
I005    the Origin of a WebSocket is compared by its host alone
I006    a header may choose the site's prefix
======  ==================================================================================
"""

from collections.abc import Callable, Iterable

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning

from djchan.asgi import ChannelLayerWrapper
from djchan.checks import BAD_ROUTING, Apps, in_memory, usable_layers
from djchan.conf import setting
from djchan.delay.request import CHANNEL as DELAY
from djchan.exceptions import BrokerError
from djchan.lanes.unrouted import unrouted
from djchan.outcomes import CONNECT
from djchan.redis_checks import SILENCE, check_connections, check_keys, check_network
from djchan.routing import Include, Router
from djchan.test_mode import CONFIG, test_mode
from djchan.urls import socket_views
from djchan.utils import name_that_thing

_MEMORY_CACHES = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
)
_CACHED_SESSIONS = (
    "django.contrib.sessions.backends.cache",
    "django.contrib.sessions.backends.cached_db",
)


def check_memory(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """No layer lives in the memory of one process."""
    if not settings.DEBUG or test_mode.layers() != CONFIG:
        return []
    return [in_memory(each.alias) for each in usable_layers() if each.local_only()]


def check_session_key(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """No session key is taken from a URL."""
    if not setting("CHANNEL_SESSION_KEY_IN_QUERY"):
        return []
    return [
        Warning(
            "CHANNEL_SESSION_KEY_IN_QUERY is on: who sees a URL with ?session_key= (in logs, the "
            "Referer, a history) has that session, and a link can put a visitor into another's.",
            hint="Take it out, and let browsers send the session cookie; other clients can send "
            "a Cookie header, too.",
            id="djchan.W004",
        )
    ]


def check_hosts(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """The Origin of a WebSocket is compared with something."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            'ALLOWED_HOSTS has "*": a page of any site may open WebSockets to this one, and the '
            "visitor's cookies come along.",
            hint="Name your hosts. For a consumer that is meant for every site there is "
            "djchan.security.websockets.any_origin.",
            id="djchan.W005",
        )
    ]


def check_host_and_origin(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """WebSockets follow the rules for requests and forms."""
    found: list[CheckMessage] = []
    if not setting("CHANNEL_WEBSOCKET_HOSTS"):
        found.append(
            Info(
                "A WebSocket is accepted with any Host header.",
                hint="CHANNEL_WEBSOCKET_HOSTS = True compares it with ALLOWED_HOSTS, as that of "
                "a request.",
                id="djchan.I004",
            )
        )
    if not setting("CHANNEL_STRICT_ORIGIN"):
        found.append(
            Info(
                "Pages of every port and scheme of the hosts in ALLOWED_HOSTS may open "
                "WebSockets, including pages over http:, which an attacker on the network can "
                "change.",
                hint="CHANNEL_STRICT_ORIGIN = True takes those of the WebSocket's own origin and "
                "of CSRF_TRUSTED_ORIGINS, as Django does for forms.",
                id="djchan.I005",
            )
        )
    return found


def check_root_path(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """No header chooses the site's prefix unnoticed."""
    return [
        Info(
            f"CHANNEL_LAYERS[{wrapper.alias!r}] trusts the header Daphne-Root-Path "
            "(root_path_header under INTERFACE): its sender chooses the site's prefix.",
            hint="The proxy in front has to set it, or clear it, for every request. Where the "
            "prefix is always the same, daphne --root-path needs no header.",
            id="djchan.I006",
        )
        for wrapper in usable_layers()
        if wrapper.interface_options.get("root_path_header")
    ]


def check_sessions(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """Workers see the sessions that pages have written."""
    engines = {"SESSION_ENGINE": settings.SESSION_ENGINE}
    engines["CHANNEL_SESSION_ENGINE"] = setting("CHANNEL_SESSION_ENGINE")
    alias = settings.SESSION_CACHE_ALIAS
    cache = settings.CACHES.get(alias, {}).get("BACKEND")
    names = [name for name, engine in engines.items() if engine in _CACHED_SESSIONS]
    if cache not in _MEMORY_CACHES or not names:
        return []
    return [
        Warning(
            f"{' and '.join(names)} keeps sessions in the cache {alias!r}, which is a {cache}: "
            "each process has its own, and a worker does not see what a page has written.",
            hint=f"Give CACHES[{alias!r}] a BACKEND that processes share, such as "
            "django.core.cache.backends.redis.RedisCache, or keep sessions in the database.",
            id="djchan.W008",
        )
    ]


def check_waiting(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """Nothing waits for a consumer that is not there."""
    found: list[CheckMessage] = []
    for wrapper in usable_layers():
        router = _router(wrapper)
        if router is None:
            continue
        routed = set(router.channels)
        if apps.is_installed("djchan.delay"):
            routed.add(DELAY)
        try:
            waiting = wrapper.channel_layer.waiting()
        except BrokerError:
            continue  # check_brokers says so.
        for channel, number in sorted(unrouted(waiting, routed).items()):
            found.append(
                Warning(
                    f"Messages wait on {channel!r} of the channel layer {wrapper.alias!r} "
                    f"({number}), and no route takes that channel.",
                    hint=f"Add route({channel!r}, …) to the ROUTING of "
                    f"CHANNEL_LAYERS[{wrapper.alias!r}], or send to another name. (Are they for "
                    f"the workers of another project? {SILENCE.format('djchan.W009')}.)",
                    id="djchan.W009",
                )
            )
    return found


def check_any_origin(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """Which consumers and socket views have opted out of the check of Origin."""
    names: dict[str, None] = {}
    for wrapper in usable_layers():
        router = _router(wrapper)
        for consumer in _consumers(router.root) if router is not None else ():
            if getattr(consumer, "any_origin", False):
                names[name_that_thing(consumer)] = None
    for found in socket_views():
        if found.any_origin:
            names[name_that_thing(found.view)] = None
    if not names:
        return []
    return [
        Info(
            f"Pages of every site may open WebSockets to {', '.join(names)} (any_origin).",
            hint="If that is not meant, take any_origin away: then pages of ALLOWED_HOSTS may.",
            id="djchan.I001",
        )
    ]


def check_limits(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """Which time limits a setting has switched off."""
    found: list[CheckMessage] = []
    for wrapper in usable_layers():
        off = {
            "group_expiry in CONFIG (a socket may live for ever)": (
                not wrapper.channel_layer.group_expiry
            ),
            "http_timeout under INTERFACE (a request may wait for ever)": (
                wrapper.interface_options.get("http_timeout", 0) is None
            ),
            "http_header_timeout under INTERFACE (headers may arrive for ever)": (
                wrapper.interface_options.get("http_header_timeout", 0) is None
            ),
            "http_body_timeout under INTERFACE (a request body may arrive for ever)": (
                wrapper.interface_options.get("http_body_timeout", 0) is None
            ),
            "http_send_timeout under INTERFACE (a client may take nothing for ever)": (
                wrapper.interface_options.get("http_send_timeout", 0) is None
            ),
            "http_idle_timeout under INTERFACE (a held response may be silent for ever)": (
                wrapper.interface_options.get("http_idle_timeout", 0) is None
            ),
            "run_limit under WORKER (a consumer that never returns keeps its thread)": (
                wrapper.worker_options.get("run_limit") == 0
            ),
            "http_run_limit under WORKER (so does a view)": (
                wrapper.worker_options.get("http_run_limit") == 0
            ),
        }
        names = [name for name, is_off in off.items() if is_off]
        if names:
            found.append(
                Info(
                    f"CHANNEL_LAYERS[{wrapper.alias!r}] has switched limits off: "
                    f"{'; '.join(names)}.",
                    hint="A limit that is long is safer than none.",
                    id="djchan.I002",
                )
            )
    return found


DEPLOY_CHECKS: tuple[Callable[..., list[CheckMessage]], ...] = (
    check_memory,
    check_session_key,
    check_hosts,
    check_network,
    check_keys,
    check_host_and_origin,
    check_root_path,
    check_sessions,
    check_waiting,
    check_connections,
    check_any_origin,
    check_limits,
)


def _router(wrapper: ChannelLayerWrapper) -> Router | None:
    try:
        return wrapper.router
    except BAD_ROUTING:
        return None  # check_layers says so.


def _consumers(include: Include) -> Iterable[object]:
    """Those of the project's routes that take websocket.connect."""
    for route in include.routing:
        if isinstance(route, Include):
            yield from _consumers(route)
        elif CONNECT in route.channel_names():
            yield getattr(route, "consumer", None)
