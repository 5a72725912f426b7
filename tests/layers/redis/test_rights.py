"""A Redis user with few rights: the page that lists them is right, and one that lacks is named."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from djchan.exceptions import BrokerUnsupported
from djchan.layers.operations import Connected, Length, Register, Send, Tell
from djchan.layers.redis.engine import RedisEngine
from djchan.layers.redis.scripts import CALLED, SCRIPTS
from tests.layers.redis.test_servers import use_everything
from tests.support.servers import KINDS, Kind, Server

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "redis-user.md"
LINES = [
    " ".join(block.split()).replace("PASSWORD", "secret")
    for block in re.findall(r"```text\n(ACL SETUSER.*?)```", PAGE.read_text(), re.DOTALL)
]


def set_user(server: Server, line: str) -> RedisEngine:
    assert server.command(*line.split()) == b"+OK\r\n"
    return RedisEngine([f"redis://djchan:secret@127.0.0.1:{server.port}/0"])


def test_the_page_has_two_lines():
    assert len(LINES) == 2


@pytest.mark.parametrize("line", LINES, ids=["by category", "the least"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_the_rights_of_the_page_are_enough_for_everything(
    start_server: Callable[..., Server], kind: Kind, line: str
):
    server = start_server(kind)
    engine = set_user(server, line)
    link = engine.link("test")
    use_everything(link)
    link.perform(Register("P", "interface", b""), Send("", 0, (Tell("P", b"hi"),)))
    reader = engine.inbox("P")
    ((cursor, entry),) = await reader.read("0-0", trim=False)
    assert entry == b"hi"
    link.perform(Send("", 0, (Tell("P", b"ho"),)))
    assert [entry for _, entry in await reader.read(cursor, trim=True)] == [b"ho"]
    await reader.aclose()
    link.close()


def test_every_command_of_the_scripts_is_asked_about():
    text = b"\n".join(SCRIPTS.values()).decode()
    assert set(re.findall(r"redis\.call\(['\"]([A-Z]+)", text)) <= {
        name.partition(" ")[0] for name in CALLED
    }
    # What is called by a variable is put()'s side.
    assert set(re.findall(r"redis\.call\(([^'\")]+),", text)) == {"side"}
    assert {"LPUSH", "RPUSH"} <= set(CALLED)


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ("-xadd -hset", r"to run HSET, XADD on the layer's keys\. .*: ~\{djchan\}\* \+hset \+xadd"),
        ("-xread -xinfo|stream", r"XINFO STREAM, XREAD .* \+xinfo\|stream \+xread$"),
        ("-blpop", r"to run BLPOP"),
        ("-info", r"'info' command.*ACL SETUSER"),
        ("-evalsha", r"'evalsha' command.*ACL SETUSER"),
        ("-script|load", r"'script\|load' command.*ACL SETUSER"),
        ("-client|id", r"'client\|id' command.*ACL SETUSER"),
        ("resetkeys ~other*", r"does not allow its user the layer's keys .*: ~\{djchan\}\*"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_right_that_is_missing_is_named(
    request: pytest.FixtureRequest, kind: Kind, taken: str, words: str
):
    server: Server = request.getfixturevalue(f"{kind}_server")
    engine = set_user(server, f"{LINES[1].replace(' on ', ' reset on ', 1)} {taken}")

    with pytest.raises(BrokerUnsupported, match=words) as caught:
        engine.link("test").perform(Length("a"))

    assert "needs Redis" not in str(caught.value) and not caught.value.transient


def test_without_client_list_nobody_can_tell_who_is_connected(redis_server: Server):
    line = LINES[1].replace(" on ", " reset on ", 1)
    link = set_user(redis_server, f"{line} -client|list").link("test")

    assert link.perform(Connected("P", "1")) == [None]
    link.close()


@pytest.mark.parametrize("command", ["EVALSHA", "INFO", "HSET", "XADD"])
def test_a_command_that_was_renamed_is_named(start_server: Callable[..., Server], command: str):
    server = start_server("redis", "--rename-command", command, "")

    with pytest.raises(BrokerUnsupported, match=command):
        RedisEngine([server.url]).link("test").perform(Length("a"))
