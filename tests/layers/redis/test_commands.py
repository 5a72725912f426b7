"""Operations to commands, replies to answers; and the scripts between them."""

import hashlib
import itertools
import re
from importlib.resources import files
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.layers import operations as ops
from djchan.layers.redis import commands, replies
from djchan.layers.redis.scripts import NAMES, PARTS, SCRIPTS, SHA

BASE = "{p}1:"
FREE = commands.NO_LIMIT
ADDRESS = ops.Address("PROC", "c1", 4)

EFFECTS: list[tuple[ops.Effect, list[Any]]] = [
    (ops.Grant("P", "c1", 500), ["w", "P", "c1", 500, ""]),
    (ops.Push("a", b"pay", 10, 2), ["p", "a", b"pay", 10, "00002000k0000000000000a\0\0"]),
    (
        ops.Push("a", b"pay", 10, expires=1700000000000, keep=False),
        ["p", "a", b"pay", 10, "00001000d1700000000000a\0\0"],
    ),
    (
        ops.Push("a", b"pay", 10, source="5eed"),
        ["p", "a", b"pay", "10 0 0 f", "00001000k0000000000000a\x015eed\0\0"],
    ),
    (
        ops.Push("a", b"pay", 10, max_bytes=5000, total=90000),
        ["p", "a", b"pay", "10 5000 90000", "00001000k0000000000000a\0\0"],
    ),
    (ops.Push("a", b"pay", if_served=True), ["s", "a", b"pay", 0, "00001000k0000000000000a\0\0"]),
    (
        ops.Push("a", b"pay", owner=("P", "c1"), last=True),
        ["l", "a", b"pay", 0, "00001000k0000000000000a\0P!c1\0"],
    ),
    (
        ops.Push("a", b"pay", if_served=True, owner=("P", "c1"), last=True),
        ["S", "a", b"pay", 0, "00001000k0000000000000a\0P!c1\0"],
    ),
    (
        ops.Push("a", b"pay", owner=("P", "c1"), seq=7),
        ["p", "a", b"pay", 0, "00001000k0000000000000a\0P!c1\x017\0"],
    ),
    (
        ops.Record("P", "c1", "a", b"\0pay"),
        ["r", "P", "c1", b"00001000k0000000000000a\0P!c1\0\0pay", ""],
    ),
    (ops.EndBody("a?b"), ["e", "a?b", "", "", ""]),
    (ops.Delay("a", b"pay", 1500), ["d", "a", b"pay", 1500, "00001000k0000000000000a\0\0"]),
    (
        ops.Delay("a", b"pay", 1500, max_bytes=5000, total=90000),
        ["d", "a", b"pay", "1500 5000 90000", "00001000k0000000000000a\0\0"],
    ),
    (ops.Body("a?b", b"pay", 4, 60000), ["b", "a?b", b"pay", 4, 60000]),
    (ops.Tell("PROC", b"entry"), ["t", "PROC", b"entry", "", ""]),
    (ops.GroupAdd("g", "PROC", b"entry"), ["a", "g", "PROC", b"entry", ""]),
    (ops.GroupDiscard("g", "PROC", b"entry"), ["x", "g", "PROC", b"entry", ""]),
    (ops.GroupAddChannel("g", "a"), ["A", "g", "a", 0, ""]),
    (ops.GroupAddChannel("g", "a", 7), ["A", "g", "a", 7, ""]),
    (ops.GroupAddChannel("g", "a", 7, 2000), ["A", "g", "a", 7, 2000]),
    (ops.GroupAddChannel("g", "a", 7, 0, 50, 90), ["A", "g", "a", "7 50 90", ""]),
    (ops.GroupDiscardChannel("g", "a"), ["X", "g", "a", "", ""]),
    (ops.GroupSend("g", b"entry", b"pay"), ["g", "g", b"entry", b"pay", ""]),
    (ops.Keep("k", b"v", 5000, "exist"), ["keep", "k", b"v", 5000, "exist"]),
    (ops.Drop("k"), ["drop", "k", "", "", ""]),
]

# Operation, the script's name ("" for a plain command), what follows the base (or all of it).
KEPT = ops.REMEMBERED

RENDERED: list[tuple[ops.Operation, str, list[Any]]] = [
    (
        ops.Register("W", "worker", b"i", ("a", "b")),
        "register",
        ["W", "w", b"i", 0, FREE, 0, "a", "b"],
    ),
    (ops.Register("P", "interface", b"i"), "register", ["P", "i", b"i", 0, FREE, 0]),
    (ops.Register("P", "interface", b"i", inbox=9), "register", ["P", "i", b"i", 9, 9, 0]),
    (ops.History("run"), "history", ["run"]),
    (
        ops.Resume("P", b"i", (("c1", 3, 0), ("c2", 9, 12)), ("g",), "5-1"),
        "resume",
        ["P", b"i", "5-1", "", 0, 0, 0, FREE, ops.COPIES, 2, "c1", "3", "c2", "9.012", 1, "g", 0],
    ),
    (
        ops.Resume("P", b"i", (), (), "5-1", (ops.Record("P", "c1", "a", b"pay"),), "out", 6, 7, 8),
        "resume",
        [
            *["P", b"i", "5-1", "out", 6, 7, 8, 8, ops.COPIES, 0, 0],
            *[1, "c1", b"00001000k0000000000000a\0P!c1\0pay"],
        ],
    ),
    (ops.Beat("P", "7,9"), "beat", ["P", "7,9", 0, "", 0, 0]),
    (ops.Beat("P", "7,9", 3, "out", 6, 7), "beat", ["P", "7,9", 3, "out", 6, 7]),
    (
        ops.Send("P", 6, (ops.Push("a", b"x"),), ("c1",), link="out"),
        "send",
        [
            *["P", "out", 6, "", 0, KEPT, 1, "c1", 0, 0],
            *[1, "p", "a", b"x", 0, "00001000k0000000000000a\0\0"],
        ],
    ),
    (ops.Send("", 0, (), fence=("W", 12)), "send", ["", "", 0, "W", 12, KEPT, 0, 0, 0, 0]),
    (ops.Send("P", 7, (), cut=("c2",)), "send", ["P", "", 7, "", 0, KEPT, 0, 1, "c2", 0, 0]),
    (
        ops.Send("P", 8, (), ("c1",), ("c2",), begin=("c3", "c4")),
        "send",
        ["P", "", 8, "", 0, KEPT, 1, "c1", 1, "c2", 2, "c3", "c4", 0],
    ),
    (ops.Ring(("b1", "b2")), "ring", ["b1", "b2"]),
    (
        ops.Claim("W", "W.1", ("a", "b"), 64),
        "claim",
        ["W", "W.1", 64, "", 0, 0, 0, "a", "b"],
    ),
    (
        ops.Claim("W", "W.1", ("a",), 64, "1", 5, True, 77),
        "claim",
        ["W", "W.1", 64, "1", 5, 1, 77, "a"],
    ),
    (
        ops.Held("W", (3, 4), (("1", 5), ("2", 0))),
        "held",
        ["W", 2, 3, 4, "1", 5, "2", 0],
    ),
    (
        ops.Commit(
            "W",
            "1",
            3,
            (
                ops.Outcome(11, (ops.Tell("Q", b"t"),), ADDRESS, b"ans"),
                ops.Outcome(12, later=ops.Later(500, 2, b"again", "c"), since=1),
                ops.Outcome(13, (ops.Push("a", b"pay", 10, limit=100),), progress=4),
            ),
        ),
        "commit",
        [
            *["W", "1", 3, 3],
            *[11, "PROC", "c1", 4, b"ans", 0, "", "", "", 1, "t", "Q", b"t", "", ""],
            *[12, "", "", 0, b"", 1, 500, "002", b"again", 0],
            # A commit meets the limit, not the capacity.
            *[13, "", "", 0, b"", 0, "", "004", ""],
            *[1, "p", "a", b"pay", 100, "00001000k0000000000000a\0\0"],
        ],
    ),
    (
        ops.GiveUp("W", 11, "poison", True, ADDRESS, b"ans", 3),
        "giveup",
        ["W", 11, "poison", 1, "PROC", "c1", 4, b"ans", 3],
    ),
    (
        ops.GiveUp("W", 11, "expired", False),
        "giveup",
        ["W", 11, "expired", 0, "", "", 0, b"", 0],
    ),
    (ops.Release("W", (3, 4)), "release", ["W", 3, 4]),
    (
        ops.Part("W", 3, "P", "c", b"entry", "caller", 5),
        "part",
        ["W", 3, "P", "c", b"entry", "caller", 5, KEPT],
    ),
    (ops.Room("b", (("P", "c"), ("P", "d"))), "room", ["b", "P", "c", "P", "d"]),
    (ops.Leave("P", ("g1", "g2"), "7-0"), "leave", ["P", "7-0", "g1", "g2"]),
    (ops.Closing("W", ("W.1",)), "closing", ["W", "W.1"]),
    (ops.Reap("W", 8), "reap", ["W", 8, commands.TOMBSTONES]),
    (ops.Reap("W", None), "reap", ["W", "", commands.TOMBSTONES]),
    (ops.Wait("W.1", 2.5), "", ["BLPOP", "{p}1:bell:W.1", "2.500"]),
    (ops.Connected("P", "7,9"), "", ["CLIENT", "LIST", "ID", "7", "9"]),
    (ops.Connected("P", ""), "", ["CLIENT", "LIST", "ID", "none"]),
    (ops.Length("a"), "", ["HGET", "{p}1:n", "a"]),
    (ops.Waiting(), "", ["HGETALL", "{p}1:n"]),
    (ops.Oldest("a"), "oldest", ["a"]),
    (ops.DeadChannels(), "deadchannels", []),
    (ops.DeadLetters("a", 5), "", ["XREVRANGE", "{p}1:dead:a", "+", "-", "COUNT", 5]),
    (
        ops.DeadLetters("a", 5, "17-3"),
        "",
        ["XREVRANGE", "{p}1:dead:a", "(17-3", "-", "COUNT", 5],
    ),
    (ops.Redrive("a", "17-3", b"pay"), "redrive", ["a", "17-3", b"pay"]),
    (ops.Discard("a", "17-3"), "discard", ["a", "17-3"]),
    (ops.IsLeased("w", 7), "", ["HEXISTS", "{p}1:l:w", 7]),
    (ops.Keep("k", b"v", 5000), "keep", ["k", b"v", 5000, ""]),
    (ops.Keep("k", b"v", 5, "create"), "keep", ["k", b"v", 5, "create"]),
    (ops.Keep("k", b"v", 5, "exist", 7), "keep", ["k", b"v", 5, "0000000000000007"]),
    (ops.Recall("k"), "", ["GETEX", "{p}1:kept:k"]),
    (ops.Recall("k", 5000), "", ["GETEX", "{p}1:kept:k", "PX", 5000]),
    (ops.Drop("k"), "", ["DEL", "{p}1:kept:k"]),
    (ops.Members("g"), "", ["HKEYS", "{p}1:g:g"]),
    (ops.Counters(), "", ["HGETALL", "{p}1:stats"]),
    (ops.Usage(), "usage", []),
]

PARSED: list[tuple[ops.Operation, Any, Any]] = [
    (ops.Register("W", "worker", b""), 1700, 1700),
    (ops.Resume("P", b"", (), (), "0-0"), None, None),
    (ops.Beat("P"), None, None),
    (
        ops.Beat("P"),
        [1700, b"P", 3, b"i", b"7,9", b"W", 8, b"w", b"", b"V", 9, b"c", b"2"],
        ops.Beats(
            1700,
            {"P": (3, "interface", "7,9"), "W": (8, "worker", ""), "V": (9, "worker", "2")},
        ),
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
            b"00002000k0000000000000a\0\0one",
            b"02001999k0000000000000http.request\0P!c\0\0t\0wo",
            b"00001000k0000000000000a\x015eed\0P!c\0three",
        ],
        ops.Claimed(
            1700,
            1800,
            True,
            (
                ops.Leased(41, 1, 0, "a", b"one"),
                ops.Leased(42, 3, ops.STARTED, "http.request", b"\x00t\x00wo"),
                ops.Leased(43, 1, 0, "a", b"three", "5eed"),
            ),
        ),
    ),
    (
        ops.Claim("W", "b", (), 2, "1", 5, True),
        [1700, 0, 1, 41, b"", b"00001000k0000000000000a\0P!c\0two", b""],
        ops.Claimed(1700, 0, True, (ops.Leased(42, 1, 0, "a", b"two"),)),
    ),
    (ops.Held("W", (), ()), None, None),
    (ops.Held("W", (), ()), 3, 3),
    (ops.History("run"), 1, True),
    (ops.History("run"), 0, False),
    (ops.Commit("W", "1", 1, ()), [b"done", b"fenced"], ("done", "fenced")),
    (ops.GiveUp("W", 1, "lost", False), b"done", "done"),
    (ops.Release("W", (1,)), 1, 1),
    (ops.Part("W", 1, "P", "c", b""), b"gone", "gone"),
    (ops.Part("W", 1, "P", "c", b""), None, None),
    (ops.Room("b", (("P", "c"),) * 3), [0, -1, 7], (0, None, 7)),
    (ops.Leave("P", ("g",), "0-0"), 1, None),
    (ops.Closing("W", ()), None, None),
    (ops.Reap("W", 3), 1, True),
    (ops.Reap("W", 3), 0, False),
    (ops.Connected("P", "7"), b"id=7 addr=127.0.0.1:1\n", True),
    (ops.Connected("P", "7"), "id=7 addr=127.0.0.1:1\n", True),
    (ops.Connected("P", "7"), b"", False),
    (ops.Connected("P", "7"), None, None),
    (ops.Length("a"), None, 0),
    (ops.Length("a"), b"%d" % (12 * 2**36 + 3456), 12),
    (
        ops.Waiting(),
        [b"a", b"%d" % (2 * 2**36 + 99), b"b!", b"%d" % (2**36 + 1)],
        {"a": 2, "b!": 1},
    ),
    (
        ops.Usage(),
        [
            [b"a", b"%d" % (2 * 2**36 + 99)],
            [b"all", b"999", b"p:a", b"1", b"d:b!", b"2", b"x:c", b"3", b"dead", b"3"],
        ],
        ops.Used({"a": 99}, {"a": 1}, {"b!": 2}, {"c": 3}),
    ),
    (ops.Oldest("a"), None, None),
    (ops.Oldest("a"), b"00001000k0000000000000a!b\0\0pay", b"pay"),
    (ops.DeadChannels(), [b"a", 3, b"b", 1], {"a": 3, "b": 1}),
    (ops.DeadLetters("a"), [], []),
    (
        ops.DeadLetters("a"),
        [
            [b"1700-2", [b"r", b"poison", b"e", b"03002001k0000000000000a\0P!c\0pay\0load"]],
            [b"1700-0", [b"r", b"expired", b"e", b"00001000k1700000000000a\0\0"]],
        ],
        [
            ops.DeadLetter("1700-2", "poison", 1700, 4, 1, b"pay\0load"),
            ops.DeadLetter("1700-0", "expired", 1700, 1, 0, b""),
        ],
    ),
    (ops.Redrive("a", "1700-0", b""), 1, True),
    (ops.Redrive("a", "1700-0", b""), 0, False),
    (ops.Discard("a", "1700-0"), 1, True),
    (ops.IsLeased("w", 7), 1, True),
    (ops.Keep("k", b"", 1), 1234567890123456, 1234567890123456),
    (ops.Keep("k", b"", 1, "create"), 0, 0),
    (ops.Recall("k"), None, None),
    (ops.Recall("k"), b"1234567890123456", ops.Kept(b"", 1234567890123456)),
    (ops.Recall("k"), b"0000000000000007\0v", ops.Kept(b"\0v", 7)),
    (ops.Drop("k"), 1, True),
    (ops.Drop("k"), 0, False),
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

    def test_a_pop_looks_waits_for_what_is_due_and_looks_again(self):
        clock = itertools.count()
        steps = commands.pop(BASE, ops.Pop(("a", "b"), 5, "caller", 7), lambda: next(clock))

        def look(wakeup: str) -> tuple[Any, ...]:
            return SHA["pop"], 1, BASE, wakeup, "caller", 7, KEPT, KEPT + 5_000, "a", "b"

        def wait(seconds: str) -> list[Any]:
            return [
                ("BLPOP", "{p}1:bell:pop-caller", seconds),
                ("SREM", "{p}1:idle:a", "pop-caller"),
                ("SREM", "{p}1:idle:b", "pop-caller"),
            ]

        (first,) = next(steps)
        assert first[1:] == look("pop-caller")
        *waiting, last = steps.send(250)  # Something is due in 250 ms.
        assert (waiting, last[1:]) == (wait("0.250"), look(""))
        assert steps.send(9000) == [first]  # It was for somebody else.
        *waiting, _ = steps.send(9000)
        assert waiting == wait("2.000")
        with pytest.raises(StopIteration) as end:
            steps.send(b"entry")
        assert end.value.value == b"entry"

    @pytest.mark.parametrize(("timeout", "replies"), [(0, [250]), (5, [None, None]), (1, [9, 9])])
    def test_a_pop_ends_without_an_entry_at_its_time_or_when_it_was_woken_up_in_vain(
        self, timeout: float, replies: list[int | None]
    ):
        steps = commands.pop(BASE, ops.Pop(("a",), timeout), itertools.count().__next__)
        next(steps)
        *others, last = replies
        for reply in others:
            steps.send(reply)
        with pytest.raises(StopIteration) as end:
            steps.send(last)
        assert end.value.value is None

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
        head = b"%02d001%03dk0000000000000websocket.receive" % (crashes, done)

        for source in ("", "5eed"):
            name = b"\1" + source.encode() if source else b""
            assert replies.parse_entry(head + name + b"\0P!c\0" + payload) == (
                *(crashes, done, source, "websocket.receive", payload),
            )


class TestParse:
    def test_every_operation_is_parsed_here(self):
        assert {type(op) for op, _, _ in PARSED} == set(get_args(ops.Operation)) - STEPS

    @pytest.mark.parametrize(("operation", "raw", "answer"), PARSED, ids=numbered(PARSED))
    def test_answers(self, operation: ops.Operation, raw: Any, answer: Any):
        assert replies.parse(operation, raw) == answer


FOLDER = files("djchan.layers.redis") / "scripts"


class TestScripts:
    def test_every_file_is_loaded(self):
        found = {path.name.removesuffix(".lua") for path in FOLDER.iterdir()}

        parts = {part for shared in PARTS.values() for part in shared}
        assert found == {*NAMES, *parts, "_prelude"}

    @pytest.mark.parametrize("script", NAMES)
    def test_the_header_names_keys_arguments_and_answer(self, script: str):
        first, *lines = (FOLDER / f"{script}.lua").read_text().splitlines()
        header = []
        for line in lines:
            if not line.startswith("--"):
                break
            header.append(line)
        text = "\n".join(header)

        assert re.fullmatch(r"#!lua( flags=(allow-oom|no-writes))?", first)
        assert re.match(r"-- [A-Z]", header[0])
        for word in (r"-- KEYS\[1\]  base", r"-- ARGV     \S", r"-- Answer   \S"):
            assert re.search(word, text), f"{script}.lua does not say {word}"

    @pytest.mark.parametrize("path", sorted(FOLDER.iterdir(), key=str), ids=lambda path: path.name)
    def test_lines_are_short_and_files_small(self, path: Any):
        lines = path.read_text().splitlines()

        assert len(lines) < 160
        assert max(map(len, lines)) <= 100

    @pytest.mark.parametrize("script", NAMES)
    def test_a_script_is_made_of_what_it_uses(self, script: str):
        """What it does not use is made anew at each run for nothing; what it needs is there."""
        body = (FOLDER / f"{script}.lua").read_text()
        texts = {part: (FOLDER / f"{part}.lua").read_text() for part in PARTS[script]}
        for part, text in texts.items():
            names = re.findall(r"^local (?:function )?(\w+)", text, re.M)
            others = body + "".join(texts[each] for each in texts if each != part)
            assert any(re.search(rf"\b{name}\b", others) for name in names), part
        defined = set(re.findall(r"^local function (\w+)", SCRIPTS[script].decode(), re.M))
        everything = {
            name
            for path in FOLDER.iterdir()
            for name in re.findall(r"^local function (\w+)", path.read_text(), re.M)
        }
        called = set(re.findall(r"(?<![.:'\w])(\w+)\(", re.sub(r"--.*", "", body)))
        assert called & everything <= defined

    def test_only_what_comes_from_outside_is_refused_when_memory_is_short(self):
        refused = [name for name in NAMES if "allow-oom" not in SCRIPTS[name].decode()[:40]]

        assert set(refused) - {"rights"} == {"send", "keep"}

    @pytest.mark.parametrize("script", NAMES)
    def test_the_sha_is_of_what_is_loaded(self, script: str):
        assert SHA[script] == hashlib.sha1(SCRIPTS[script]).hexdigest().encode()
        assert SCRIPTS[script].startswith(b"#!lua")

    @pytest.mark.parametrize("script", NAMES)
    def test_no_key_is_made_but_from_the_base(self, script: str):
        """A key that does not begin with the base would lie in another slot of a Cluster."""
        text = SCRIPTS[script].decode()
        keys = {"key"}  # Names that stand for a key, each made from the base in one line.
        for names, values in re.findall(r"local ([\w, ]+) = (base \.\. .*)", text):
            pairs = zip(names.split(", "), values.split(", "), strict=True)
            keys |= {name for name, value in pairs if value.startswith("base .. ")}
        calls = re.findall(r"redis\.call\((?:'(\w+)'|side)(?:, ('STREAM', )?([^,)]+))?", text)
        assert calls or script == "ring"
        for command, _, key in calls:
            assert command == "TIME" or key.startswith("base .. ") or key in keys, (command, key)
