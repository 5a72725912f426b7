"""Channel and group names: the grammar, and that no two names can be one key."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from djchan import names
from djchan.exceptions import InvalidChannelName, InvalidGroupName
from djchan.layers.redis import commands
from djchan.layers.redis.scripts import SCRIPTS

LETTERS = string.ascii_letters + string.digits + "-_."

plain = st.text(LETTERS, min_size=1, max_size=99)
part = st.text(LETTERS, min_size=1, max_size=49)
channels = st.one_of(
    plain,
    st.builds("{}?{}".format, part, part),
    st.builds("{}!{}".format, part, st.text(LETTERS, max_size=49)),
)
prefixes = st.text(min_size=1, max_size=20).filter(lambda text: not set("{}") & set(text))


class TestChannelNames:
    @given(channels)
    def test_a_name_of_the_grammar_passes(self, name: str):
        assert names.check_channel(name) == name

    @given(st.text(max_size=120))
    @example("a\n")
    @example("é")
    @example("a?é")
    @example("a!é")
    @example("a" * 100)
    def test_nothing_else_passes(self, name: str):
        marks = sum(name.count(mark) for mark in "?!")
        fits = (
            0 < len(name) <= 99
            and set(name) <= set(LETTERS + "?!")
            and marks <= 1
            and name[0] not in "?!"
            and not name.endswith("?")
        )

        if fits:
            assert names.check_channel(name) == name
        else:
            with pytest.raises(InvalidChannelName):
                names.check_channel(name)

    @pytest.mark.parametrize("name", [b"bytes", None, 7, ["list"]])
    def test_text_only(self, name: object):
        with pytest.raises(TypeError, match="not a valid channel name: a name has 1 to 99"):
            names.check_channel(name)

    @given(part, part)
    def test_receive_takes_a_local_name_up_to_its_mark(self, head: str, local: str):
        assert names.check_channel(f"{head}!", receive=True)
        with pytest.raises(InvalidChannelName):
            names.check_channel(f"{head}!{local}", receive=True)


class TestGroupNames:
    @given(plain)
    def test_a_name_of_the_grammar_passes(self, name: str):
        assert names.check_group(name) == name

    @given(st.text(max_size=120))
    @example("room-7\n")
    @example("room?7")
    @example("room!7")
    @example("room 7")
    def test_nothing_else_passes(self, name: str):
        if 0 < len(name) <= 99 and set(name) <= set(LETTERS):
            assert names.check_group(name) == name
        else:
            with pytest.raises(InvalidGroupName, match="is not a valid group name"):
                names.check_group(name)


class TestReplyNames:
    @given(st.sampled_from(["websocket.send", "http.response"]), st.integers(0, 2**48))
    def test_round_trip(self, kind: str, number: int):
        process, local = names.new_process_id(), names.new_local_part(number)

        name = names.reply_channel(kind, process, local)

        assert names.check_channel(name) == name
        assert names.split_local(name) == (process, local)
        assert names.non_local(name) == f"{kind}.{process}!"
        assert names.check_channel(names.non_local(name), receive=True)

    @given(channels.filter(lambda name: "!" not in name))
    def test_other_channels_are_not_local(self, name: str):
        assert names.split_local(name) is None
        assert names.non_local(name) == name

    def test_a_channel_of_a_process_of_the_projects_own_is_none(self):
        for name in ("udp.send!1", "myserver!", "daphne.response.abcdefghij!x"):
            assert names.split_local(name) is None

    def test_channels_4_may_call_theirs_what_they_want(self):
        process = names.new_process_id()
        assert names.split_local(f"specific.{process}!1-a") == (process, "1-a")

    def test_single_reader_channels_share_their_counters(self):
        assert names.counter("full", "a?b") == "full:a?"
        assert names.counter("full", "a") == "full:a"

    def test_ids_do_not_repeat(self):
        assert len({names.new_process_id() for _ in range(500)}) == 500
        assert len({names.new_local_part(1) for _ in range(500)}) == 500

    @given(st.lists(st.integers(0, 2**40), unique=True, min_size=2, max_size=20))
    def test_local_parts_differ_by_their_number_alone(self, numbers: list[int]):
        heads = {names.new_local_part(number).partition("-")[0] for number in numbers}

        assert len(heads) == len(numbers)


def kinds() -> list[str]:
    """What may stand before a name in a key: read from the list in the scripts' prelude."""
    text = SCRIPTS["send"].decode()
    table = text[text.index("q:CHANNEL") : text.index("-- An entry is")]
    return sorted(
        {
            word.partition(":")[0] + ":"
            for word in table.replace(";", " ").split()
            if word.partition(":")[2].isupper()
        }
    )


class TestKeys:
    """A key of Redis is base, kind and name; no two different ones may give one key."""

    bare = (
        *("n", "odd", "due", "token", "serial", "io", "beats", "kinds", "clients", "info"),
        *("hist", "stale", "routed", "idle", "tomb", "deads", "stats"),
    )

    def test_the_kinds_are_read_from_the_prelude(self):
        assert {"q:", "g:", "pg:", "in:", "fl:", "l:", "bell:", "dead:"} <= set(kinds())

    @given(
        st.lists(
            st.tuples(prefixes, st.sampled_from(kinds()), channels | plain),
            min_size=2,
            max_size=8,
            unique=True,
        )
    )
    def test_different_names_never_share_a_key(self, parts: list[tuple[str, str, str]]):
        keys = {commands.base_of(prefix) + kind + name for prefix, kind, name in parts}

        assert len(keys) == len(parts)

    @given(prefixes, prefixes, st.sampled_from(kinds()), channels | plain, st.sampled_from(bare))
    def test_a_name_is_never_a_key_of_the_layer_itself(
        self, one: str, other: str, kind: str, name: str, bare: str
    ):
        assert commands.base_of(one) + kind + name != commands.base_of(other) + bare

    @given(prefixes, channels | plain)
    def test_every_key_of_a_layer_has_its_hash_tag(self, prefix: str, name: str):
        key = commands.base_of(prefix) + "q:" + name

        # Redis hashes what is between the first "{" and the next "}".
        start = key.index("{")
        assert key[start + 1 : key.index("}", start)] == prefix
