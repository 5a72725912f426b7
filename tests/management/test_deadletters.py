"""``manage.py deadletters``: what it prints, what it asks, what it does."""

import json
import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from djchan.asgi import channel_layers
from djchan.exceptions import BrokerUnavailable
from djchan.layers import codec
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.layers.operations import (
    Claim,
    DeadLetters,
    Discard,
    GiveUp,
    Length,
    Push,
    Redrive,
    Register,
    Send,
)
from djchan.layers.redis import RedisChannelLayer
from djchan.letters import WHY
from djchan.management.commands import deadletters as command
from tests.support.servers import Server
from tests.support.waiting import free_port

PAGE = (Path(__file__).resolve().parents[2] / "docs/howto/dead-letters.md").read_text()


class FarLayer(InMemoryChannelLayer):
    """A layer in memory that claims to reach other processes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.engine.local_only = False  # type: ignore[misc]


class Site:
    def __init__(self) -> None:
        self.layer: Any = channel_layers["default"]
        self.link = self.layer.engine.link("test")
        self.worker = "W" * 22
        self.link.perform(Register(self.worker, "worker", b"", ()))

    def bury(self, channel: str, *messages: dict[str, Any], reason: str = "poison") -> None:
        for message in messages:
            self.layer.send(channel, message)
            self.bury_next(channel, reason)

    def bury_bytes(self, channel: str, payload: bytes) -> None:
        self.link.perform(Send("", 0, (Push(channel, payload),)))
        self.bury_next(channel, "error")

    def bury_next(self, channel: str, reason: str) -> None:
        (claimed,) = self.link.perform(Claim(self.worker, "bell", (channel,), 1))
        (leased,) = claimed.deliveries
        self.link.perform(GiveUp(self.worker, leased.token, reason, True))

    def letters(self, channel: str) -> list[Any]:
        (letters,) = self.link.perform(DeadLetters(channel, 1000))
        return list(letters)

    def ids(self, channel: str) -> list[str]:
        return [letter.id for letter in self.letters(channel)]

    def waiting(self, channel: str) -> int:
        (length,) = self.link.perform(Length(channel))
        assert isinstance(length, int)
        return length


@pytest.fixture
def site(settings):
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": f"{__name__}.FarLayer", "ROUTING": [], "CONFIG": {"capacity": 5000}}
    }
    return Site()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("deadletters", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def rows(*arguments: str) -> list[list[str]]:
    return [line.split() for line in run(*arguments).splitlines()]


def objects(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*arguments).splitlines()]


@pytest.fixture
def asked(monkeypatch):
    """What was asked; the answer is no, unless a test sets another."""

    class Asked(list[str]):
        answer = "n"

        def __call__(self, prompt: str) -> str:
            self.append(prompt)
            return self.answer

    asked = Asked()
    monkeypatch.setattr("builtins.input", asked)
    return asked


# --------------------------------------------------------------------- refused


def test_a_layer_in_memory_is_refused_with_the_reason():
    with pytest.raises(CommandError, match=r"only inside the process that has it \(runserver\)"):
        run("list")


def test_an_unknown_layer_is_refused_with_its_name():
    with pytest.raises(CommandError, match="nowhere"):
        run("list", "--layer=nowhere")


def test_a_redis_that_is_not_there_is_one_sentence(settings):
    port = free_port()
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.redis.RedisChannelLayer",
            "ROUTING": [],
            "CONFIG": {"hosts": [("127.0.0.1", port)]},
        }
    }
    with pytest.raises(CommandError, match=str(port)) as raised:
        run("list")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments", [["list", "--older-than=10"], ["list", "--limit=0"], ["list", "an-id"], []]
)
def test_wrong_arguments_are_refused(site, arguments):
    with pytest.raises(CommandError):
        run(*arguments)


# ------------------------------------------------------------------------ list


def test_nothing_to_list(site):
    assert run("list") == run("list", "--summary") == "No dead letters.\n"
    assert run("list", "--json") == run("list", "--summary", "--json") == ""


def test_a_line_for_each_newest_first(site):
    site.bury("thumbnails", {"job": 1}, {"job": 2})
    site.bury("mail", {"to": "a\x1b@b"}, reason="expired")
    printed = run("list")
    assert "\x1b" not in printed

    head, *lines = [line.split() for line in printed.splitlines()]
    assert head == ["CHANNEL", "ID", "REASON", "AGE", "ATTEMPT", "FRAMES", "MESSAGE"]
    assert [(line[0], line[2], line[-1]) for line in lines] == [
        ("mail", "expired", "to='a\\x1b@b'"),
        ("thumbnails", "poison", "job=2"),
        ("thumbnails", "poison", "job=1"),
    ]
    assert [line[1] for line in lines[1:]] == site.ids("thumbnails")
    starts = {line.index("poison") for line in printed.splitlines() if "poison" in line}
    assert len(starts) == 1


def test_filters(site):
    site.bury("a.x", {"n": 1})
    site.bury("a.y", {"n": 2}, reason="expired")
    site.bury("b", {"n": 3})

    def found(*arguments: str) -> list[str]:
        return [line["channel"] for line in objects("list", "--json", *arguments)]

    assert found() == ["a.x", "a.y", "b"]
    assert found("--channel=a.*") == ["a.x", "a.y"]
    assert found("--channel=a.x", "--channel=b") == ["a.x", "b"]
    assert found("--reason=exp*") == ["a.y"]
    assert found("--newer-than=1h") == ["a.x", "a.y", "b"]
    assert found("--older-than=1h") == []


def test_more_than_it_lists_is_told(site):
    site.bury("x", *({"n": n} for n in range(250)))
    printed = run("list").splitlines()
    assert len(printed) == 1 + 100 + 1
    assert printed[-1] == "There are more than these 100 (--limit)."
    assert len(run("list", "--limit=250").splitlines()) == 251
    assert len(objects("list", "--limit=1000", "--json")) == 250


def test_a_summary(site):
    site.bury("x", *({"n": n} for n in range(120)))
    site.bury("x", {"n": 1}, reason="expired")
    site.bury("y", {"n": 1})
    head, first, second = rows("list", "--summary")
    assert head == ["CHANNEL", "LETTERS", "NEWEST", "OLDEST", "REASONS"]
    assert (first[:2], first[-4:]) == (["x", "121"], ["expired", "1,", "poison", "120"])
    assert second[:2] == ["y", "1"]
    assert [line[0] for line in rows("list", "--summary", "--reason=expired")[1:]] == ["x"]
    told = objects("list", "--summary", "--json")
    assert [(line["channel"], line["letters"]) for line in told] == [("x", 121), ("y", 1)]


def test_one_that_cannot_be_read_is_listed(site):
    site.bury_bytes("x", b"\xc1")
    assert rows("list")[1][-3:] == ["(cannot", "be", "read)"]


# ------------------------------------------------------------------------ show


def test_what_is_in_it_and_why_it_is_here(site):
    message = {"job": 17, "note": b"\x00\x1b", "headers": [["cookie", "secret"], ["host", "h"]]}
    site.bury("x", message)
    (letter,) = site.letters("x")
    printed = run("show", letter.id)
    assert printed == run("show", f"x/{letter.id}") == run("show", "--channel=x")
    lines = [" ".join(line.split()) for line in printed.splitlines()]

    assert lines[0] == f"x/{letter.id}"
    assert lines[1].startswith("reason poison: each of its runs ended with the death")
    assert "frames 1" in lines
    assert "job 17" in lines
    assert r"note b'\x00\x1b'" in lines
    assert "host 'h'" in lines
    assert "secret" not in printed and "\x1b" not in printed
    assert len(site.letters("x")) == 1


def test_json_has_all_of_it(site):
    site.bury("x", {"n": 1, "data": b"\xff", "headers": [["cookie", "all of it"]]})
    for option, cookie in ((), "(not shown)"), (("--unmasked",), "all of it"):
        (told,) = objects("show", "--json", "--channel=x", *option)
        (message,) = told["messages"]
        assert message["content"] == {
            "n": 1,
            "data": {"base64": "/w=="},
            "headers": [["cookie", cookie]],
        }
    assert (told["reason"], told["frames"], told["done"]) == ("poison", 1, 0)


def test_one_that_cannot_be_read_is_shown_by_its_size(site):
    site.bury_bytes("x", b"\xc1" * 1234)
    assert "1,234 bytes" in run("show", "--channel=x")
    (told,) = objects("show", "--channel=x", "--json")
    assert "cannot be read" in told["error"]


@pytest.mark.parametrize("arguments", [["show"], ["show", "1-0"], ["show", "--channel=nothing"]])
def test_nothing_to_show(site, arguments):
    site.bury("x", {"n": 1})
    with pytest.raises(CommandError):
        run(*arguments)


# ------------------------------------------------------------- retry and drop


@pytest.mark.parametrize(
    ("action", "said", "left"), [("retry", "Sent again", 1), ("drop", "Deleted", 0)]
)
class TestActing:
    def test_one_by_its_id_without_a_question(self, site, asked, action, said, left):
        site.bury("x", {"n": 1}, {"n": 2})
        newest, oldest = site.ids("x")
        assert run(action, oldest) == f"{said}: 1 of x.\n"
        assert site.ids("x") == [newest]
        assert site.waiting("x") == left
        assert asked == []

    def test_more_than_one_after_a_question(self, site, asked, action, said, left):
        site.bury("x", {"n": 1}, {"n": 2})
        site.bury("y", {"n": 3}, reason="expired")
        with pytest.raises(CommandError, match="Nothing was done"):
            run(action, "--all")
        assert len(asked) == 1 and "3" in asked[0]
        assert (len(site.ids("x")), len(site.ids("y"))) == (2, 1)

        asked.answer = "y"
        printed = run(action, "--all")
        assert "2 of x (poison 2)\n1 of y (expired 1)\n" in printed
        assert printed.endswith(f"{said}: 2 of x.\n{said}: 1 of y.\n")
        assert (site.ids("x"), site.ids("y")) == ([], [])
        assert site.waiting("x") == 2 * left

    def test_yes_asks_nothing(self, site, asked, action, said, left):
        site.bury("x", *({"n": n} for n in range(130)))
        assert run(action, "--all", "--yes") == f"{said}: 130 of x.\n"
        assert asked == []
        assert site.waiting("x") == 130 * left

    def test_filters_select(self, site, action, said, left):
        site.bury("x", {"n": 1})
        site.bury("y", {"n": 2}, {"n": 3}, reason="expired")
        assert run(action, "--channel=x*", "--newer-than=1h") == f"{said}: 1 of x.\n"
        assert run(action, "--older-than=1h") == "No dead letters: nothing was done.\n"
        assert run(action, "--reason=expired", "--yes") == f"{said}: 2 of y.\n"

    def test_nobody_to_ask(self, site, monkeypatch, action, said, left):
        def nobody(prompt: str) -> str:
            raise EOFError

        monkeypatch.setattr("builtins.input", nobody)
        site.bury("x", {"n": 1}, {"n": 2})
        with pytest.raises(CommandError, match="--yes"):
            run(action, "--all")
        assert len(site.ids("x")) == 2

    @pytest.mark.parametrize(
        "arguments", [[], ["--yes"], ["--all", "--channel=x"], ["--all", "1-0"]]
    )
    def test_it_is_to_be_said_which(self, site, action, said, left, arguments):
        site.bury("x", {"n": 1})
        with pytest.raises(CommandError, match="--all"):
            run(action, *arguments)
        assert len(site.ids("x")) == 1

    def test_one_unknown_id_and_nothing_is_done(self, site, action, said, left):
        site.bury("x", {"n": 1})
        with pytest.raises(CommandError, match="7-7"):
            run(action, site.ids("x")[0], "7-7", "--yes")
        assert len(site.ids("x")) == 1

    def test_a_broker_that_goes_says_what_was_done(self, site, monkeypatch, action, said, left):
        site.bury("x", *({"n": n} for n in range(50)))
        link = type(site.link)
        perform, calls = link.perform, []

        def failing(self: Any, *operations: Any) -> Any:
            if isinstance(operations[0], Redrive | Discard):
                calls.append(operations)
                if len(calls) == 2:
                    raise BrokerUnavailable("It is gone.")
            return perform(self, *operations)

        monkeypatch.setattr(link, "perform", failing)
        with pytest.raises(CommandError, match=f"{said} before that: 20 of x"):
            run(action, "--all", "--yes")
        assert len(site.ids("x")) == 30


def test_retried_in_the_order_in_which_they_came(site):
    site.bury("x", *({"n": n} for n in range(130)))
    run("retry", "--channel=x", "--yes")
    assert [site.layer.receive(["x"])[1]["n"] for _ in range(130)] == list(range(130))


def test_one_that_cannot_be_read_is_not_sent_again(site):
    site.bury_bytes("x", codec.encode("not an envelope"))
    site.bury("x", {"n": 1})
    printed = run("retry", "--all", "--yes")
    assert "stays where it is" in printed
    assert "Sent again: 1 of x" in printed
    assert (len(site.ids("x")), site.waiting("x")) == (1, 1)
    assert run("drop", "--all") == "Deleted: 1 of x.\n"


def test_one_that_went_meanwhile_is_told(site, asked, monkeypatch):
    site.bury("x", {"n": 1}, {"n": 2})

    def answer(prompt: str) -> str:
        site.link.perform(Redrive("x", site.ids("x")[0], b""))
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    assert "Deleted: 1 of x; 1 had gone meanwhile.\n" in run("drop", "--all")


def test_what_dies_again_meanwhile_is_left_alone(site, asked, monkeypatch):
    site.bury("x", {"n": 1}, {"n": 2})

    def answer(prompt: str) -> str:
        site.bury("x", {"n": 3})
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    assert run("retry", "--all").endswith("Sent again: 2 of x.\n")
    assert len(site.ids("x")) == 1


def test_an_id_of_two_channels_is_to_be_named_whole(site, monkeypatch):
    site.bury("x", {"n": 1})
    site.bury("y", {"n": 2})
    same = site.ids("x")[0]
    of = command.Letters.of
    monkeypatch.setattr(
        command.Letters,
        "of",
        lambda self, channel: (letter._replace(id=same) for letter in of(self, channel)),
    )
    with pytest.raises(CommandError, match=f"x/{same}, y/{same}"):
        run("drop", same)
    assert (len(site.ids("x")), len(site.ids("y"))) == (1, 1)
    assert "y/" not in run("show", f"x/{same}")
    assert f"y/{same}" in run("show", same)


def test_on_a_redis(settings, broker: Server):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": f"{RedisChannelLayer.__module__}.{RedisChannelLayer.__qualname__}",
            "ROUTING": [],
            "CONFIG": {"hosts": [broker.url], "prefix": "letters"},
        }
    }
    site = Site()
    site.bury("x", *({"n": n} for n in range(3)))
    newest, _, oldest = site.ids("x")
    assert [line["id"] for line in objects("list", "--json")] == site.ids("x")
    assert "n  2" in run("show", newest)
    assert run("retry", oldest) == "Sent again: 1 of x.\n"
    assert run("drop", "--all", "--yes") == "Deleted: 2 of x.\n"
    assert run("list") == "No dead letters.\n"
    assert site.layer.receive(["x"]) == ("x", {"n": 0})
    site.link.close()
    site.layer.close()


# ---------------------------------------------------------------- the page


def test_every_command_of_the_page_is_one(site, asked):
    commands = re.findall(r"^\$ python manage.py deadletters (.*)$", PAGE, re.M)
    assert len(commands) > 8
    for line in commands:
        parser = command.Command().create_parser("manage.py", "deadletters")
        parser.parse_args(shlex.split(line))


def test_the_page_prints_what_the_command_prints(site):
    site.bury("x", {"n": 1})
    for action in (["list"], ["list", "--summary"]):
        head = run(*action).splitlines()[0].split()
        assert re.search(rf"^{' +'.join(head)}$", PAGE, re.M)
    names = [line.split()[0] for line in run("show", "--channel=x").splitlines()[1:6]]
    assert [f"  {name}" in PAGE for name in names] == [True] * 5


def test_every_reason_is_told():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) == set(WHY)


def test_the_code_of_the_page_runs(site, capsys):
    site.bury("mail", {"n": 1})
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(code.replace("3600", "0"), {})
    assert capsys.readouterr().out.startswith("mail/")


@pytest.mark.parametrize("arguments", [("list",), ("show", "--channel=x"), ("list", "--json")])
def test_what_looks_secret_is_not_shown(site, settings, arguments):
    site.bury("x", {"token": "s3cret", "text": '{"password": "s3cret", "n": 5}'})
    assert "s3cret" not in run(*arguments)
    settings.CHANNEL_HIDDEN_KEYS = "^n$"
    if arguments[0] == "show":
        shown = run(*arguments)
        assert "s3cret" in shown and ": 5" not in shown


def test_names_and_reasons_from_redis_steer_no_terminal(site):
    site.bury("x", {"n": 1}, reason="\x1b[2Jpoison\nforged\u202e")
    for arguments in (
        ("list",),
        ("list", "--summary"),
        ("show", "--channel=x"),
        ("drop", "--all", "--yes"),
    ):
        assert all(line.isprintable() for line in run(*arguments).split("\n"))
