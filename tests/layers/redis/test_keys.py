"""No two things share a key: layers, kinds of keys, channels, groups, processes.

First by how keys are made, then by what a real Redis holds when the names are chosen to
look like each other.
"""

import re
import secrets
from collections.abc import Iterator
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from djchan import names
from djchan.exceptions import InvalidChannelLayer, InvalidChannelName, InvalidGroupName
from djchan.layers.operations import (
    Flush,
    GroupAdd,
    GroupAddChannel,
    GroupDiscardChannel,
    Length,
    Members,
    Push,
    Register,
    Send,
)
from djchan.layers.redis import commands
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.links import RedisLink
from tests.support.servers import Server

FOLDER = files("djchan.layers.redis")
SOURCES = {
    path.name: path.read_text()
    for folder in (FOLDER, FOLDER / "scripts")
    for path in folder.iterdir()
    if path.name.endswith((".lua", ".py"))
}
# In Lua: base .. 'q:' .. channel, or base .. 'n'; in Python: f"{base}n", f"{base}q:{channel}".
LUA = re.compile(r"""base \.\. (['"])([^'"]*)\1( \.\.)?""")
PYTHON = re.compile(r"""f"\{base\}([^{"]*)(\{)?""")

KINDS: dict[str, bool] = {}  # Kind -> whether a name follows it.
for text in SOURCES.values():
    for _, kind, more in LUA.findall(text):
        KINDS[kind] = bool(more)
    for kind, more in PYTHON.findall(text):
        KINDS[kind] = bool(more)

prefixes = st.text(
    st.characters(exclude_characters="{}", exclude_categories=["Cs"]), min_size=1, max_size=12
)
letters = st.sampled_from("abz019-_.")
plain = st.text(letters, min_size=1, max_size=20)
# What looks like a key, or like the end of one.
lookalikes = st.sampled_from([kind.strip(":") for kind in KINDS] + ["1", "q.a", "a", "A", "i", "c"])
name = plain | lookalikes
channels = (
    name | st.builds("{}?{}".format, name, name) | st.builds("{}!{}".format, name, name)
).filter(lambda text: len(text) <= names.MAX_LENGTH)
groups = name


def test_the_sources_show_their_keys() -> None:
    assert {"q:", "n", "g:", "in:", "bell:"} <= KINDS.keys()


def test_a_kind_that_a_name_follows_ends_with_a_colon_and_no_other_has_one() -> None:
    assert {kind for kind, named in KINDS.items() if named != kind.endswith(":")} == set()
    assert all(":" not in kind.removesuffix(":") for kind in KINDS)


@given(channels)
def test_no_name_of_a_channel_has_what_ends_a_kind(channel: str) -> None:
    assert names.check_channel(channel) == channel
    assert not set(":{}\0") & set(channel)


@given(groups)
def test_no_name_of_a_group_has_what_ends_a_kind(group: str) -> None:
    assert names.check_group(group) == group
    assert not set(":{}!?\0") & set(group)


@given(plain, st.sampled_from(":{}\0 \n*é/"), plain)
def test_names_with_such_a_character_are_refused(head: str, odd: str, tail: str) -> None:
    with pytest.raises(InvalidChannelName):
        names.check_channel(head + odd + tail)
    with pytest.raises(InvalidGroupName):
        names.check_group(head + odd + tail)


def test_ids_that_this_library_makes_have_none_either() -> None:
    for made in (names.new_process_id(), names.new_local_part(2**64)):
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", made)


def key(prefix: str, kind: str, its_name: str) -> str:
    return commands.base_of(prefix) + kind + (its_name if KINDS[kind] else "")


parts = st.tuples(prefixes, st.sampled_from(sorted(KINDS)), channels)


@given(parts, parts)
@example(("a", "q:", "b"), ("a}1:q", "q:", "b")).xfail(raises=AssertionError, reason="refused")
def test_a_key_says_whose_it_is(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert not {"{", "}"} & set(one[0] + other[0])

    def whose(prefix: str, kind: str, its_name: str) -> tuple[str, str, str]:
        return prefix, kind, its_name if KINDS[kind] else ""

    assert (key(*one) == key(*other)) == (whose(*one) == whose(*other))
    # Nor is one layer's base the beginning of another's key: Flush goes by it.
    assert key(*one).startswith(commands.base_of(other[0])) == (one[0] == other[0])


@pytest.mark.parametrize("prefix", ["", "{", "}", "a}1:q:x", "{a", b"a", None])
def test_a_prefix_that_could_leave_its_hash_tag_is_refused(prefix: object) -> None:
    with pytest.raises(InvalidChannelLayer, match="prefix"):
        RedisEngine(["redis://127.0.0.1:1/0"], prefix=prefix)  # type: ignore[arg-type]


# ----------------------------------------------------------------- in a real Redis


@pytest.fixture
def links(redis_server: Server) -> Iterator[list[RedisLink]]:
    """A link per prefix: alike, or with characters that mean something to Redis's patterns."""
    odd = ["a", "a1", "a:", "a1:q:", "1", "*", "?", "[a]", "\\", "a b", "ä", "a\n", "'"]
    ours = f"keys-{secrets.token_hex(6)}"
    links = [
        RedisEngine([redis_server.url], prefix=f"{ours}-{prefix}").link("keys") for prefix in odd
    ]
    yield links
    for link in links:
        link.perform(Flush())
        link.close()


def test_layers_whose_prefixes_are_alike_share_nothing(links: list[RedisLink]) -> None:
    for number, link in enumerate(links, 1):
        for _ in range(number):
            link.perform(Send("", 0, (Push("a", b"x"),)))
        link.perform(Send("", 0, (GroupAddChannel("g", f"c{number}"),)))

    def held() -> list[tuple[int, tuple[str, ...]]]:
        return [(link.perform(Length("a"))[0], link.perform(Members("g"))[0][1]) for link in links]

    expected = [(number, (f"c{number}",)) for number in range(1, len(links) + 1)]
    assert held() == expected
    for index, link in enumerate(links):
        link.perform(Flush())
        expected[index] = (0, ())
        assert held() == expected


# Each example begins with a flush: what others left is gone.
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    # Process-local channels share the queue of their prefix.
    st.lists(channels.map(names.non_local), min_size=2, max_size=6, unique=True),
    st.lists(groups, min_size=2, max_size=6, unique=True),
)
@example(["n", "q", "a", "a.a", "idle"], ["n", "q", "a", "g", "due"])
@example(["a", "a?a", "a!", "a.a!"], ["i", "c", "ia", "ca"])
def test_channels_and_groups_with_names_alike_share_nothing(
    links: list[RedisLink], some: list[str], others: list[str]
) -> None:
    link = links[0]
    link.perform(Flush())
    # A process and a channel of each group have the very name of a channel and of a group.
    for process in others:
        link.perform(Register(process, "interface", b"info"))
    for number, channel in enumerate(some, 1):
        link.perform(*(Send("", 0, (Push(channel, b"x"),)) for _ in range(number)))
    for group in others:
        link.perform(Send("", 0, (GroupAdd(group, group, b"entry"), GroupAddChannel(group, group))))

    assert link.perform(*(Length(channel) for channel in some)) == [*range(1, len(some) + 1)]
    strangers = ["nobody", *(group for group in others if group not in some)]
    assert link.perform(*(Length(channel) for channel in strangers)) == [0] * len(strangers)
    assert link.perform(*(Members(group) for group in others)) == [
        ((group,), (group,)) for group in others
    ]
    # Taking one away takes nothing of the others.
    link.perform(Send("", 0, (GroupDiscardChannel(others[0], others[0]),)))
    assert link.perform(*(Members(group) for group in others[1:])) == [
        ((group,), (group,)) for group in others[1:]
    ]
