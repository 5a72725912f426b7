"""System checks of a site that is deployed: the Redis of its layers, and who can reach it.

======  ==================================================================================
W006    what crosses the network to Redis can be read there
W007    everybody on the network may use Redis
W010    the certificate of Redis is not checked
W011    a key of the layer's encryption can be guessed
W012    what crosses the network to Redis is encrypted, and the connection is not
W030    Redis does not answer CLIENT LIST: the death of a process is noticed late
I003    Redis is used as its default user, who may do everything
======  ==================================================================================
"""

from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning

from djchan.checks import Apps, usable_layers
from djchan.exceptions import BrokerError
from djchan.layers.redis.hosts import Hosts

SILENCE = 'SILENCED_SYSTEM_CHECKS = ["{}"]'
# Of a random text in letters and digits: more than 100 bits.
_KEY_LENGTH, _KEY_CHARACTERS = 20, 10


def check_network(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """Traffic to a Redis on another machine is private."""
    found: list[CheckMessage] = []
    for wrapper in usable_layers():
        engine = wrapper.channel_layer.engine
        below = getattr(engine, "engine", engine)
        hosts = getattr(below, "hosts", None)
        if not isinstance(hosts, Hosts) or not hosts.is_far:
            continue
        where = f"The Redis of the channel layer {wrapper.alias!r} ({hosts.describe()})"
        config = f"the CONFIG of CHANNEL_LAYERS[{wrapper.alias!r}]"
        remedy = (
            '"ssl": True in connection_kwargs and in sentinel_kwargs'
            if hosts.is_sentinel
            else "rediss:// in hosts"
        )
        if not hosts.has_tls and below is engine:
            found.append(
                Warning(
                    f"{where} is on another machine and is reached without TLS: an attacker on "
                    "the network can read and change messages, sessions and passwords.",
                    hint=f"In {config}, write {remedy}, or give it "
                    "symmetric_encryption_keys; or, on a network of yours alone, "
                    f"{SILENCE.format('djchan.W006')}.",
                    id="djchan.W006",
                )
            )
        if not hosts.has_tls and below is not engine:
            found.append(
                Warning(
                    f"{where} is on another machine, and what crosses to it is encrypted by "
                    "symmetric_encryption_keys while the connection is not: passwords, and the "
                    "names of channels and groups, can be read, and commands changed.",
                    hint=f"In {config}, write {remedy}; or, on a network of yours alone, "
                    f"{SILENCE.format('djchan.W012')}.",
                    id="djchan.W012",
                )
            )
        if hosts.has_tls and not hosts.checks_certificate:
            found.append(
                Warning(
                    f"{where} is reached over TLS, and its certificate is not verified "
                    "(ssl_cert_reqs, ssl_check_hostname): an attacker on the network can answer in "
                    "its place.",
                    hint=f"In {config}, take ssl_cert_reqs and ssl_check_hostname out, and name "
                    "your certificate authority in ssl_ca_certs; or "
                    f"{SILENCE.format('djchan.W010')}.",
                    id="djchan.W010",
                )
            )
        if hosts.asks_who and not hosts.names_user:
            found.append(
                Info(
                    f"{where} is used as its default user, who may read and delete all of its "
                    "data.",
                    hint="Make an ACL user for the keys of this layer, and write its name before "
                    f"the password in hosts of {config}.",
                    id="djchan.I003",
                )
            )
        if not hosts.asks_who:
            found.append(
                Warning(
                    f"{where} is on another machine and is used without a password: everybody "
                    "who can reach it can send any message to any client.",
                    hint="Set requirepass, or an ACL user, in Redis, and write "
                    f"rediss://:password@… in hosts of {config}; or "
                    f"{SILENCE.format('djchan.W007')}.",
                    id="djchan.W007",
                )
            )
    return found


def check_keys(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """The keys of the layer's encryption cannot be guessed."""
    found: list[CheckMessage] = []
    for wrapper in usable_layers():
        options = settings.CHANNEL_LAYERS.get(wrapper.alias, {}).get("CONFIG", {})
        keys = options.get("symmetric_encryption_keys") or ()
        for place, key in enumerate(keys, start=1):
            if len(key) < _KEY_LENGTH or len(set(key)) < _KEY_CHARACTERS:
                found.append(
                    Warning(
                        f"Key {place} in symmetric_encryption_keys of CHANNEL_LAYERS"
                        f"[{wrapper.alias!r}] can be guessed: a key is a random text, and this "
                        f"one has {len(key)} characters, {len(set(key))} of them different.",
                        hint='Make one: python -c "import secrets; '
                        'print(secrets.token_urlsafe(32))". Then change it as '
                        "docs/howto/encrypt-messages.md has it.",
                        id="djchan.W011",
                    )
                )
    return found


def check_connections(app_configs: Apps, **kwargs: object) -> list[CheckMessage]:
    """Processes see each other's connections, and so a death at once."""
    found: list[CheckMessage] = []
    for wrapper in usable_layers():
        if wrapper.local_only():
            continue
        try:
            seen = wrapper.channel_layer.sees_connections()
        except BrokerError:
            continue  # check_brokers says so.
        if not seen:
            found.append(
                Warning(
                    f"The Redis of the channel layer {wrapper.alias!r} does not answer CLIENT "
                    "LIST: a worker that was killed is noticed by its silence only "
                    "(worker_silence, 15 s), not within 3 s.",
                    hint="Give its user the right +client|list.",
                    id="djchan.W030",
                )
            )
    return found
