"""What was private to an old layer is listed with what takes its place."""

import pytest

from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.redis import RedisChannelLayer
from djchan.upgrade import old_layers
from djchan.upgrade.old_layers import notes
from tests.support.upgrading import about, project


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("layer.connection(0).flushdb()", "redis.Redis"),
        ("channel_layers['default'].connection(None)", "redis.Redis"),
        ("get_channel_layer().connection(i)", "redis.Redis"),
        ("self.channel_layer.serialize(message)", "codec"),
        ("message.channel_layer.channel_layer.deserialize(x)", "codec"),
        ("a._receive_list_names(channels)", "channel_statistics"),
        ("x = thing._connection_list[0]", "redis.Redis"),
        ("layer.consistent_hash(name)", "nothing to choose"),
        ("layer.make_fernet(key)", "symmetric_encryption_keys"),
        ("layer.receive_twisted(['a'])", "areceive"),
        ("channel_layer._channels['a']", "get_next_message"),
        ("layer._groups", "get_next_message"),
        ("layer.prefix + 'x'", "CONFIG"),
        ("asgi.channel_layers.backends.pop('default')", "channel_layers.set"),
    ],
)
def test_what_is_used_from_outside(line: str, word: str):
    assert about(word, notes(project({"tests/test_x.py": f"\n{line}\n"}))) == [
        ("tests/test_x.py", 2)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "db.connection(0)",
        "serializer.serialize(x)",
        "self._groups",
        "player.hosts",
        "layer.send('a', {})",
        "layer.group_channels('a')",
        "layer.capacity",
    ],
)
def test_what_is_something_else_or_still_there(line: str):
    assert list(notes(project({"a.py": line}))) == []


def test_a_subclass():
    files = {
        "layers.py": """
            from asgi_redis import RedisChannelLayer
            class Base(RedisChannelLayer):
                def serialize(self, message):
                    return self.crypter.encrypt(super().serialize(message))
        """,
        "more.py": """
            from layers import Base
            class More(Base):
                def _group_key(self, group): pass
                def send(self, channel, message): pass
        """,
    }

    assert about("gone from the channel layers", notes(project(files))) == [
        ("layers.py", 4),
        ("layers.py", 5),
        ("layers.py", 5),
        ("more.py", 4),
    ]


@pytest.mark.parametrize("layer", [RedisChannelLayer, InMemoryChannelLayer])
def test_nothing_is_listed_that_the_layers_have(layer: type):
    listed = {**old_layers._OWN_NAMES, **old_layers._OF_LAYERS}

    assert [name for name in listed if hasattr(layer, name)] == []
