"""Operations to commands, replies to answers; and the scripts between them."""

import hashlib
import re
from importlib.resources import files
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.layers import operations as ops
from djchan.layers.redis import commands
from djchan.layers.redis.scripts import NAMES, SCRIPTS, SHA

BASE = "{p}1:"
ADDRESS = ops.Address("PROC", "c1", 4)

EFFECTS: list[tuple[ops.Effect, list[Any]]] = [
    (ops.Push("a", b"pay", 10, 2), ["p", "a", b"pay", 10, "00002000k0000000000000"]),
    (
        ops.Push("a", b"pay", 10, expires=1700000000000, keep=False),
        ["p", "a", b"pay", 10, "00001000d1700000000000"],
    ),
    (ops.Push("a", b"pay", if_served=True), ["s", "a", b"pay", 0, "00001000k0000000000000"]),
    (ops.Delay("a", b"pay", 1500), ["d", "a", b"pay", 1500, "00001000k0000000000000"]),
    (ops.Body("a?b", b"pay", 4, 60000), ["b", "a?b", b"pay", 4, 60000]),
    (ops.Tell("PROC", b"entry"), ["t", "PROC", b"entry", "", ""]),
    (ops.GroupAdd("g", "PROC", b"entry"), ["a", "g", "PROC", b"entry", ""]),
    (ops.GroupDiscard("g", "PROC", b"entry"), ["x", "g", "PROC", b"entry", ""]),
    (ops.GroupAddChannel("g", "a"), ["A", "g", "a", "", ""]),
    (ops.GroupDiscardChannel("g", "a"), ["X", "g", "a", "", ""]),
    (ops.GroupSend("g", b"entry", b"pay", 7), ["g", "g", b"entry", b"pay", 7]),
]

# Operation, the script's name ("" for a plain command), what follows the base (or all of it).
RENDERED: list[tuple[ops.Operation, str, list[Any]]] = [
    (ops.Register("W", "worker", b"i", ("a", "b")), "register", ["W", "w", b"i", "a", "b"]),
    (ops.Register("P", "interface", b"i"), "register", ["P", "i", b"i"]),
    (
        ops.Resume("P", b"i", (("c1", 3), ("c2", 9)), ("g",), "5-1"),
        "resume",
        ["P", b"i", "5-1", 2, "c1", 3, "c2", 9, 1, "g"],
    ),
    (ops.Beat("P", "7,9"), "beat", ["P", "7,9"]),
    (
        ops.Send("P", 6, (ops.Push("a", b"x"),), ("c1",), link="out"),
        "send",
        ["P", "out", 6, "", 0, 1, "c1", 0, 1, "p", "a", b"x", 0, "00001000k0000000000000"],
    ),
    (ops.Send("", 0, (), fence=("W", 12)), "send", ["", "", 0, "W", 12, 0, 0, 0]),
    (ops.Send("P", 7, (), cut=("c2",)), "send", ["P", "", 7, "", 0, 0, 1, "c2", 0]),
    (ops.Ring(("b1", "b2")), "ring", ["b1", "b2"]),
    (ops.Claim("W", "W.1", ("a", "b"), 64), "claim", ["W", "W.1", 64, "a", "b"]),
    (
        ops.Commit(
            "W",
            "1",
            3,
            (
                ops.Outcome(11, (ops.Tell("Q", b"t"),), ADDRESS, b"ans"),
                ops.Outcome(12, later=ops.Later(500, 2, b"again")),
            ),
        ),
        "commit",
        [
            *["W", "1", 3, 2],
            *[11, "PROC", "c1", 4, b"ans", "", "", "", 1, "t", "Q", b"t", "", ""],
            *[12, "", "", 0, b"", 500, "002", b"again", 0],
        ],
    ),
    (
        ops.GiveUp("W", 11, "poison", True, ADDRESS, b"ans"),
        "giveup",
        ["W", 11, "poison", 1, "PROC", "c1", 4, b"ans"],
    ),
    (
        ops.GiveUp("W", 11, "expired", False),
        "giveup",
        ["W", 11, "expired", 0, "", "", 0, b""],
    ),
    (ops.Release("W", (3, 4)), "release", ["W", 3, 4]),
    (ops.Part("W", 3, "P", "c", b"entry"), "part", ["W", 3, "P", "c", b"entry"]),
    (ops.Leave("P", ("g1", "g2"), "7-0"), "leave", ["P", "7-0", "g1", "g2"]),
    (ops.Closing("W", ("W.1",)), "closing", ["W", "W.1"]),
    (ops.Reap("W", 8), "reap", ["W", 8, commands.TOMBSTONES]),
    (ops.Reap("W", None), "reap", ["W", "", commands.TOMBSTONES]),
    (ops.Wait("W.1", 2.5), "", ["BLPOP", "{p}1:bell:W.1", "2.500"]),
    (ops.Connected("P", "7,9"), "", ["CLIENT", "LIST", "ID", "7", "9"]),
    (ops.Connected("P", ""), "", ["CLIENT", "LIST", "ID", "none"]),
    (ops.Length("a"), "", ["HGET", "{p}1:n", "a"]),
    (ops.DeadLetters("a", 5), "", ["LRANGE", "{p}1:dead:a", 0, 4]),
    (ops.Members("g"), "", ["HKEYS", "{p}1:g:g"]),
    (ops.Counters(), "", ["HGETALL", "{p}1:stats"]),
]

PARSED: list[tuple[ops.Operation, Any, Any]] = [
    (ops.Register("W", "worker", b""), 1700, 1700),
    (ops.Resume("P", b"", (), (), "0-0"), None, None),
    (ops.Beat("P"), None, None),
    (
        ops.Beat("P"),
        [1700, b"P", 3, b"i", b"7,9", b"W", 8, b"w", b""],
        ops.Beats(1700, {"P": (3, "interface", "7,9"), "W": (8, "worker", "")}),
    ),
    (ops.Send("P", 1, ()), None, None),
    (ops.Send("P", 1, ()), [b"ok", b"full"], ops.Sent(("ok", "full"))),
    (ops.Wait("b", 1), [b"key", b"1"], None),
    (ops.Wait("b", 1), None, None),
    (ops.Ring(("b",)), None, None),
    (ops.Claim("W", "b", (), 1), [1700, 0, 0, 0], ops.Claimed(1700, 0, False, ())),
    (
        ops.Claim("W", "b", (), 2),
        [
            1700,
            1800,
            1,
            41,
            b"00002000k0000000000000a\x00one",
            b"02001999k0000000000000http.request\x00\x00t\x00wo",
        ],
        ops.Claimed(
            1700,
            1800,
            True,
            (
                ops.Leased(41, 1, 0, "a", b"one"),
                ops.Leased(42, 3, ops.STARTED, "http.request", b"\x00t\x00wo"),
            ),
        ),
    ),
    (ops.Commit("W", "1", 1, ()), [b"done", b"fenced"], ("done", "fenced")),
    (ops.GiveUp("W", 1, "lost", False), b"done", "done"),
    (ops.Release("W", (1,)), 1, 1),
    (ops.Part("W", 1, "P", "c", b""), b"gone", "gone"),
    (ops.Leave("P", ("g",), "0-0"), 1, None),
    (ops.Closing("W", ()), None, None),
    (ops.Reap("W", 3), 1, True),
    (ops.Reap("W", 3), 0, False),
    (ops.Connected("P", "7"), b"id=7 addr=127.0.0.1:1\n", True),
    (ops.Connected("P", "7"), "id=7 addr=127.0.0.1:1\n", True),
    (ops.Connected("P", "7"), b"", False),
    (ops.Connected("P", "7"), None, None),
    (ops.Length("a"), None, 0),
    (ops.Length("a"), b"12", 12),
    (
        ops.DeadLetters("a"),
        [b"poison\x001700\x00pay\x00load"],
        [("poison", 1700, b"pay\x00load")],
    ),
    (ops.Members("g"), [b"iQ", b"ca", b"iP"], (("P", "Q"), ("a",))),
    (ops.Counters(), [b"full:a", b"3", b"gone", b"1"], {"full:a": 3, "gone": 1}),
]

# Of several steps: the links take them apart themselves.
STEPS = {ops.Pop, ops.Flush}


def numbered(rows: list[Any]) -> list[str]:
    return [f"{type(row[0]).__name__}-{number}" for number, row in enumerate(rows)]


class TestRender:
    def test_every_operation_is_rendered_here(self):
        assert {type(op) for op, _, _ in RENDERED} == set(get_args(ops.Operation)) - STEPS

    @pytest.mark.parametrize(("operation", "script", "rest"), RENDERED, ids=numbered(RENDERED))
    def test_operations(self, operation: ops.Operation, script: str, rest: list[Any]):
        words = commands.render(BASE, operation)

        expected = ["EVALSHA", SHA[script], 1, BASE, *rest] if script else rest
        assert list(words) == expected

    def test_every_effect_is_rendered_here(self):
        assert {type(effect) for effect, _ in EFFECTS} == set(get_args(ops.Effect))

    @pytest.mark.parametrize(("effect", "flat"), EFFECTS, ids=numbered(EFFECTS))
    def test_effects_are_five_values_each(self, effect: ops.Effect, flat: list[Any]):
        words = list(commands.render(BASE, ops.Send("", 0, (effect, effect))))

        assert words[-11:] == [2, *flat, *flat]

    def test_steps_of_a_pop(self):
        assert commands.pop(BASE, ("a", "b"), "")[1:] == (SHA["pop"], 1, BASE, "", "a", "b")

    def test_reading_an_inbox(self):
        assert commands.read_inbox(BASE, "P", "5-1", 5000, 256) == (
            *("XREAD", "COUNT", 256, "BLOCK", 5000),
            *("STREAMS", "{p}1:in:P", "5-1"),
        )

    def test_trimming_takes_the_entry_at_the_cursor_too(self):
        assert commands.trim_inbox(BASE, "P", "5-1") == ("XTRIM", "{p}1:in:P", "MINID", "5-2")

    @given(st.integers(0, 99), st.integers(0, 999), st.binary())
    def test_an_entry_is_read_whatever_its_payload_holds(
        self, crashes: int, done: int, payload: bytes
    ):
        entry = b"%02d001%03dk0000000000000websocket.receive\x00%s" % (crashes, done, payload)

        assert commands.parse_entry(entry) == (crashes, done, "websocket.receive", payload)


class TestParse:
    def test_every_operation_is_parsed_here(self):
        assert {type(op) for op, _, _ in PARSED} == set(get_args(ops.Operation)) - STEPS

    @pytest.mark.parametrize(("operation", "raw", "answer"), PARSED, ids=numbered(PARSED))
    def test_answers(self, operation: ops.Operation, raw: Any, answer: Any):
        assert commands.parse(operation, raw) == answer


FOLDER = files("djchan.layers.redis") / "scripts"


class TestScripts:
    def test_every_file_is_loaded(self):
        found = {path.name.removesuffix(".lua") for path in FOLDER.iterdir()}

        assert found == {*NAMES, "_prelude"}

    @pytest.mark.parametrize("script", NAMES)
    def test_the_header_names_keys_arguments_and_answer(self, script: str):
        first, *lines = (FOLDER / f"{script}.lua").read_text().splitlines()
        header = []
        for line in lines:
            if not line.startswith("--"):
                break
            header.append(line)
        text = "\n".join(header)

        assert re.fullmatch(r"#!lua( flags=allow-oom)?", first)
        assert re.match(r"-- [A-Z]", header[0])
        for word in (r"-- KEYS\[1\]  base", r"-- ARGV     \S", r"-- Answer   \S"):
            assert re.search(word, text), f"{script}.lua does not say {word}"

    def test_only_a_send_is_refused_when_memory_is_short(self):
        refused = [name for name in NAMES if "allow-oom" not in SCRIPTS[name].decode()[:40]]

        assert refused == ["send"]

    @pytest.mark.parametrize("script", NAMES)
    def test_the_sha_is_of_what_is_loaded(self, script: str):
        assert SHA[script] == hashlib.sha1(SCRIPTS[script]).hexdigest().encode()
        assert SCRIPTS[script].startswith(b"#!lua")

    @pytest.mark.parametrize("script", NAMES)
    def test_no_key_is_made_but_from_the_base(self, script: str):
        """A key that does not begin with the base would lie in another slot of a Cluster."""
        for line in SCRIPTS[script].decode().splitlines():
            for call in re.finditer(r"redis\.call\('(\w+)'(?:, ([^,)]+))?", line):
                command, key = call.groups()
                assert command == "TIME" or re.match(
                    r"base \.\. |key$|side$|inbox$|leases$|letters$|served$", key
                ), line
