"""The settings of djchan, read when they are needed, with every default in one table.

From the project's settings module; on to ``djchan.asgi`` and whoever asks. Nothing read here
is kept, so a setting that a test overrides counts at once; what was *built* from
CHANNEL_LAYERS (``djchan.asgi.channel_layers``) forgets itself on ``setting_changed``.
"""

from typing import Any

from django.conf import settings as django_settings

DEFAULTS: dict[str, Any] = {
    # {alias: {"BACKEND": …, "ROUTING": …, "CONFIG": {…}, "TEST_CONFIG": {…},
    #          "INTERFACE": {…}, "WORKER": {…}}}
    "CHANNEL_LAYERS": {},
    # The engine of channel sessions: of Django's, or like them.
    "CHANNEL_SESSION_ENGINE": "djchan.layer_sessions",
    # Whether ?session_key= in the URL of a handshake stands for a session cookie it lacks.
    "CHANNEL_SESSION_KEY_IN_QUERY": False,
    # A pattern: keys whose values are not shown. None: what Django hides in its reports.
    "CHANNEL_HIDDEN_KEYS": None,
    # Whether a WebSocket's Origin is compared with its scheme and port, too.
    "CHANNEL_STRICT_ORIGIN": False,
    # Whether a WebSocket's Host has to be in ALLOWED_HOSTS, as that of a request has.
    "CHANNEL_WEBSOCKET_HOSTS": False,
    # Subprotocols that a WebSocket may choose from, the first that the client offers wins.
    "CHANNELS_WS_PROTOCOLS": None,
}

# The keys of an entry of CHANNEL_LAYERS.
LAYER_KEYS = frozenset({"BACKEND", "ROUTING", "CONFIG", "TEST_CONFIG", "INTERFACE", "WORKER"})


def setting(name: str) -> Any:
    """The project's value of one of our settings, or its default."""
    default = DEFAULTS[name]
    return getattr(django_settings, name, default)
