"""What is to be decided where a project uses what was private to an old channel layer.

Tests looked into the layer to count what waits, and subclasses changed how it speaks to Redis.
The layers of today are made otherwise; each name is listed with what takes its place.
"""

import ast
import re
from collections.abc import Iterator

from djchan.upgrade.modules import Module, Project
from djchan.upgrade.source import Note

_KEYS = (
    "The layer's keys in Redis have other names and contents: use send(), receive(), "
    "group_channels() and channel_statistics() of the layer."
)
_CONNECTIONS = (
    "The layer lends nobody its connections: open a redis.Redis of your own, and leave the "
    "layer's keys alone."
)
_ONE_SERVER = "A layer lives on one Redis, so there is nothing to choose from: do without this."
_CODEC = (
    "The layer encodes messages itself, with more than their content: use its send() and "
    "receive(), and a codec of your own for what you keep elsewhere."
)
_ENCRYPTION = "Encryption is the layer's own: give symmetric_encryption_keys in its CONFIG."
_SCRIPTS = "The layer's Lua scripts are other ones: use its public methods."
_STATISTICS = "Use global_statistics() and channel_statistics() of the layer, which count all."
_TWISTED = "The layer waits in Redis itself: use `await layer.areceive(channels)`."
_MEMORY = (
    "The layer in memory keeps its messages otherwise: get_next_message() of a test, receive(), "
    "channel_statistics() and group_channels() show what is in it."
)
_NAMES = "Use valid_channel_name() and valid_group_name() of the layer."
_CAPACITY = "Give channel_capacity in CONFIG; get_capacity() says what holds for a channel."
_OPTIONS = "This is an option of CONFIG, and no attribute of the layer: read it from the settings."

# Names that nothing else is likely to have.
_OWN_NAMES = {
    **dict.fromkeys(("_group_key", "_receive_list_names"), _KEYS),
    **dict.fromkeys(
        ("_connection_list", "_generate_connections", "_master_connections", "_master_for"),
        _CONNECTIONS,
    ),
    **dict.fromkeys(
        (
            "_receive_index_generator",
            "_send_index_generator",
            "consistent_hash",
            "random_index",
            "ring_size",
        ),
        _ONE_SERVER,
    ),
    **dict.fromkeys(("_setup_encryption", "make_fernet"), _ENCRYPTION),
    **dict.fromkeys(
        (
            "_register_scripts",
            "chansend",
            "delprefix",
            "incrstatcounters",
            "lpopmany",
            "lua_chansend",
            "lua_delprefix",
            "lua_incrstatcounters",
            "lua_lpopmany",
        ),
        _SCRIPTS,
    ),
    **dict.fromkeys(
        ("_count_channel_stats", "_count_global_stats", "_incr_statistics_counter"), _STATISTICS
    ),
    "receive_twisted": _TWISTED,
    "_remove_from_groups": _MEMORY,
    "match_type_and_length": _NAMES,
    "compile_capacities": _CAPACITY,
}
# Names that much else has: of an expression that is a layer, and in a class of layers.
_OF_LAYERS = {
    "connection": _CONNECTIONS,
    "deserialize": _CODEC,
    "serialize": _CODEC,
    "crypter": _ENCRYPTION,
    "_sentinel": _CONNECTIONS,
    "local_layer": _ONE_SERVER,
    **dict.fromkeys(("blpop_timeout", "hosts", "prefix", "services", "stats_prefix"), _OPTIONS),
    **dict.fromkeys(("_channels", "_clean_expired", "_groups", "thread_lock"), _MEMORY),
}
_OF_MANAGERS: dict[str, str] = dict.fromkeys(
    ("_make_backend", "backends"),
    "Use channel_layers.set(alias, layer), and channel_layers[alias].",
)
_LAYER = re.compile(
    r"(?:\A|[._])(?:channel_?)?layers?(?:\[[^\]]*\])?\Z|get_channel_layer\(.*\)\Z", re.IGNORECASE
)
_LAYER_CLASS = re.compile(r"(?:\A|\.)\w*ChannelLayer\Z")


def notes(project: Project) -> Iterator[Note]:
    for module in project.modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute):
                sentence = _OWN_NAMES.get(node.attr, "")
                value = ast.unparse(node.value)
                if not sentence and _LAYER.search(value):
                    sentence = _OF_LAYERS.get(node.attr, "")
                if not sentence and value.rpartition(".")[2] == "channel_layers":
                    sentence = _OF_MANAGERS.get(node.attr, "")
                if sentence:
                    yield _note(module, node, node.attr, sentence)
    for one in project.definitions():
        if isinstance(one.node, ast.ClassDef) and any(map(_LAYER_CLASS.search, project.bases(one))):
            yield from _of_class(one.node, one.module)


def _of_class(layer: ast.ClassDef, module: Module) -> Iterator[Note]:
    """A class of the project that is made of an old layer: what it overrides and uses."""
    for node in ast.walk(layer):
        if isinstance(node, ast.FunctionDef):
            name = node.name
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "super()"):
            name = node.attr
        else:
            continue
        sentence = {**_OWN_NAMES, **_OF_LAYERS}.get(name)
        if sentence:
            yield _note(module, node, name, sentence)


def _note(module: Module, node: ast.stmt | ast.expr, name: str, sentence: str) -> Note:
    return Note(module.path, node.lineno, f"{name} is gone from the channel layers. {sentence}")
