"""``manage.py deadletters``: look at what was not to be run, send it again, delete it.

From the command line; on to ``djchan.letters``, and to text by ``djchan.legible``. To list
and to show change nothing. To retry and to drop take one letter by its id, or those that
filters select, or ``--all``; more than one after a question, or with ``--yes``.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from djchan import DEFAULT_CHANNEL_LAYER, legible
from djchan.arguments import positive_int
from djchan.asgi import ChannelLayerWrapper, configured_layer
from djchan.checks import broker_problem, sentence
from djchan.exceptions import BrokerError, InvalidChannelLayer, UndecodableEnvelope
from djchan.hidden import hidden_keys
from djchan.layers.operations import STARTED
from djchan.letters import WHY, Letter, Letters, Selection, by_channel, read, reasons, seconds

LISTED = 100  # Letters that list prints without --limit.

Act = Callable[[Iterable[Letter]], Iterator[tuple[Letter, bool]]]


class Command(BaseCommand):
    help = "Lists, shows, retries or drops dead letters: messages that were not to be run."

    letters: Letters
    now: int
    hidden: re.Pattern[str] | None

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser("list", help="Prints them, newest first.")
        listing.add_argument("--limit", type=positive_int, default=LISTED, help="Lines at most.")
        listing.add_argument("--summary", action="store_true", help="A line for each channel.")
        showing = actions.add_parser("show", help="Prints what is in them.")
        retrying = actions.add_parser("retry", help="Sends them again, and takes them off.")
        dropping = actions.add_parser("drop", help="Deletes them.")
        for one in (listing, showing):
            one.add_argument("--json", action="store_true", help="A line of JSON for each.")
            one.add_argument(
                "--unmasked",
                action="store_true",
                help="Shows what looks secret, too (CHANNEL_HIDDEN_KEYS).",
            )
        for one in (retrying, dropping):
            one.add_argument("--all", action="store_true", help="All that there are.")
            one.add_argument("--yes", action="store_true", help="Does not ask.")
        for one in (listing, showing, retrying, dropping):
            _add_selection(one, with_names=one is not listing)

    def handle(self, *args: Any, **options: Any) -> None:
        wrapper = self._layer(options["layer"])
        self.letters = Letters(wrapper.channel_layer)
        self.now = wrapper.channel_layer.now()
        self.hidden = None if options.get("unmasked") else hidden_keys()
        selection = Selection(
            channels=options["channel"] or (),
            reasons=options["reason"] or (),
            names=options.get("names") or (),
            older_than=options["older_than"],
            newer_than=options["newer_than"],
        )
        actions = {"list": self._list, "show": self._show, "retry": self._retry, "drop": self._drop}
        try:
            actions[options["action"]](selection, options)
        except BrokerError as error:
            raise CommandError(str(error)) from error
        finally:
            self.letters.close()

    def _layer(self, alias: str) -> ChannelLayerWrapper:
        """Raises CommandError when its letters cannot be seen from here."""
        try:
            wrapper = configured_layer(alias)
        except InvalidChannelLayer as error:
            raise CommandError(str(error)) from error
        if wrapper.local_only():
            raise CommandError(
                f"The channel layer {alias!r} is in memory: its dead letters are seen only inside "
                "the process that has it (runserver), and end with it. With the BACKEND "
                '"djchan.layers.redis.RedisChannelLayer" they are kept, and seen from here.'
            )
        problem = broker_problem(wrapper)
        if problem is not None:
            raise CommandError(sentence(problem))
        return wrapper

    # -------------------------------------------------------------------- looking

    def _list(self, selection: Selection, options: dict[str, Any]) -> None:
        if options["summary"]:
            self._summarize(selection, options)
            return
        rows: list[tuple[str, ...]] = []
        more = False
        for count, letter in enumerate(self.letters.select(selection)):
            more = count == options["limit"]
            if more:
                break
            if options["json"]:
                self._print_json(self._facts(letter))
            else:
                rows.append(self._row(letter))
        if rows:
            head = ("CHANNEL", "ID", "REASON", "AGE", "ATTEMPT", "FRAMES", "MESSAGE")
            self._print(legible.table(head, rows))
        elif not options["json"]:
            self.stdout.write("No dead letters.")
        if more:
            self.stderr.write(f"There are more than these {options['limit']} (--limit).")

    def _summarize(self, selection: Selection, options: dict[str, Any]) -> None:
        rows = []
        for channel in self.letters.channels():
            if not selection.has_channel(channel):
                continue
            # What is in them is not kept: a channel may have a thousand large ones.
            found = [
                letter._replace(payload=b"")
                for letter in self.letters.of(channel)
                if selection.has(letter, self.now)
            ]
            if not found:
                continue
            if options["json"]:
                counts = {"channel": channel, "letters": len(found)}
                span = {"newest": _time(found[0].at), "oldest": _time(found[-1].at)}
                self._print_json({**counts, **span, "reasons": reasons(found)})
                continue
            ages = (self._age(found[0]), self._age(found[-1]))
            rows.append((channel, str(len(found)), *ages, reasons(found)))
        if rows:
            self._print(legible.table(("CHANNEL", "LETTERS", "NEWEST", "OLDEST", "REASONS"), rows))
        elif not options["json"]:
            self.stdout.write("No dead letters.")

    def _show(self, selection: Selection, options: dict[str, Any]) -> None:
        if selection.is_everything:
            raise CommandError("Which? Name an ID, or give --channel, --reason, --newer-than …")
        found = []
        for letter in self.letters.select(selection):
            found.append((letter.channel, letter.id))
            if options["json"]:
                self._print_json({**self._facts(letter), **self._messages(letter)})
            else:
                self._print([*self._told(letter), ""])
        _mind_unknown(selection, found)
        if not found:
            raise CommandError("There is no such dead letter.")

    def _told(self, letter: Letter) -> list[str]:
        why = WHY.get(letter.reason)
        facts = [
            ("reason", f"{letter.reason}: {why}" if why else letter.reason),
            ("when", f"{_time(letter.at)} ({self._age(letter)} ago)"),
            ("attempt", str(letter.attempt)),
        ]
        try:
            contents = read(letter)
        except UndecodableEnvelope as error:
            size = f"{len(letter.payload):,} bytes"
            return [letter.name, *_indented([*facts, ("message", f"{size}. {error}")])]
        done = f", {contents.done} of them done" if contents.done else ""
        begun = "; its response had begun" if letter.done == STARTED else ""
        facts.append(("frames", f"{contents.frames}{done}{begun}"))
        lines = [letter.name, *_indented(facts)]
        for name, message in zip(contents.ids, contents.messages, strict=True):
            lines += [
                f"  message {name}",
                *_indented(legible.content(message, self.hidden), "    "),
            ]
        return lines

    def _row(self, letter: Letter) -> tuple[str, ...]:
        known = (letter.channel, letter.id, letter.reason, self._age(letter), str(letter.attempt))
        try:
            contents = read(letter)
        except UndecodableEnvelope:
            return (*known, "?", "(cannot be read)")
        frames = f"{contents.done}/{contents.frames}" if contents.done else str(contents.frames)
        return (
            *known,
            frames,
            legible.glance(contents.messages[0], hidden=self.hidden) if contents.messages else "",
        )

    def _facts(self, letter: Letter) -> dict[str, Any]:
        return {
            "channel": letter.channel,
            "id": letter.id,
            "reason": letter.reason,
            "at": _time(letter.at),
            "attempt": letter.attempt,
            "bytes": len(letter.payload),
        }

    def _messages(self, letter: Letter) -> dict[str, Any]:
        try:
            contents = read(letter)
        except UndecodableEnvelope as error:
            return {"error": str(error), "payload": legible.plain(letter.payload)}
        pairs = zip(contents.ids, contents.messages, strict=True)
        messages = [
            {"id": name, "content": legible.plain(legible.masked(message, self.hidden))}
            for name, message in pairs
        ]
        return {"frames": contents.frames, "done": contents.done, "messages": messages}

    # --------------------------------------------------------------------- acting

    def _retry(self, selection: Selection, options: dict[str, Any]) -> None:
        self._act(
            "Sent again", "Send again", self._readable(self.letters.send_again), selection, options
        )

    def _drop(self, selection: Selection, options: dict[str, Any]) -> None:
        self._act("Deleted", "Delete", self.letters.delete, selection, options)

    def _readable(self, act: Act) -> Act:
        """The same for those that can be read; the others are told, and stay."""

        def acting(letters: Iterable[Letter]) -> Iterator[tuple[Letter, bool]]:
            return act(letter for letter in letters if self._can_read(letter))

        return acting

    def _can_read(self, letter: Letter) -> bool:
        try:
            read(letter)
        except UndecodableEnvelope as error:
            self.stderr.write(legible.escaped(f"{letter.name} stays where it is: {error}"))
            return False
        return True

    def _act(
        self, did: str, do: str, act: Act, selection: Selection, options: dict[str, Any]
    ) -> None:
        if options["all"] != selection.is_everything:
            raise CommandError(
                "Which? Name an ID, or give --channel, --reason, --older-than …; or --all."
                if selection.is_everything
                else "--all is for all there are: leave it out, or leave out what selects some."
            )
        found = [letter._replace(payload=b"") for letter in self.letters.select(selection)]
        named = [(letter.channel, letter.id) for letter in found]
        _mind_unknown(selection, named)
        _mind_doubtful(selection, named)
        if not found:
            self.stdout.write("No dead letters: nothing was done.")
            return
        if len(found) > 1 and not options["yes"]:
            self._ask(do, found)
        for channel, letters in by_channel(found).items():
            self._act_on(did, act, channel, {letter.id for letter in letters})

    def _act_on(self, did: str, act: Act, channel: str, ids: set[str]) -> None:
        """Those that were there when we asked, oldest first, as they once came."""
        # All of a channel in memory, as they are in the layer's: at most a thousand.
        letters = [letter for letter in self.letters.of(channel) if letter.id in ids]
        done = gone = 0
        try:
            for _, was_there in act(reversed(letters)):
                done += was_there
                gone += not was_there
        except BrokerError as error:
            name = legible.escaped(channel)
            raise CommandError(
                f"{error} {did} before that: {done} of {name}. Say it again: what was done is "
                "no dead letter any more, and is not done twice."
            ) from error
        gone += len(ids) - len(letters)
        rest = f"; {gone} had gone meanwhile" if gone else ""
        self._print([f"{did}: {done} of {channel}{rest}."])

    def _ask(self, do: str, found: list[Letter]) -> None:
        for channel, letters in by_channel(found).items():
            self._print([f"{len(letters)} of {channel} ({reasons(letters)})"])
        try:
            answer = input(f"{do} these {len(found)}? [y/N] ")
        except EOFError as error:
            raise CommandError("Nothing was done: nobody is there to ask. Give --yes.") from error
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.")

    # --------------------------------------------------------------------- output

    def _age(self, letter: Letter) -> str:
        return legible.ago((self.now - letter.at) / 1000)

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            # Names and reasons are from Redis, where others may have written them.
            self.stdout.write(legible.escaped(line))

    def _print_json(self, value: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(value))


def _mind_unknown(selection: Selection, found: Sequence[tuple[str, str]]) -> None:
    for name in selection.names:
        if not _named(name, found):
            raise CommandError(f"There is no dead letter {name}.")


def _mind_doubtful(selection: Selection, found: Sequence[tuple[str, str]]) -> None:
    for name in selection.names:
        named = _named(name, found)
        if len(named) > 1:
            several = legible.escaped(", ".join(named))
            raise CommandError(f"{name} is more than one: {several}. Name it so.")


def _named(name: str, found: Sequence[tuple[str, str]]) -> list[str]:
    """Those that an ID of the command line names; an ID is of its channel."""
    return [f"{channel}/{id}" for channel, id in found if name in (id, f"{channel}/{id}")]


def _add_selection(parser: argparse.ArgumentParser, *, with_names: bool) -> None:
    if with_names:
        parser.add_argument("names", nargs="*", metavar="ID", help="As list prints it.")
    parser.add_argument(
        "--layer",
        default=DEFAULT_CHANNEL_LAYER,
        help="Alias of the channel layer (default: %(default)s).",
    )
    many: dict[str, Any] = {"action": "append", "metavar": "GLOB"}
    parser.add_argument("--channel", help="Of channels that match.", **many)
    parser.add_argument("--reason", help="With a reason that matches: poison, expired …", **many)
    span: dict[str, Any] = {"type": _span, "metavar": "SPAN"}
    parser.add_argument("--older-than", help="Dead for longer: 90s, 10m, 2h, 3d, 1w.", **span)
    parser.add_argument("--newer-than", help="Dead for less.", **span)


def _span(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _indented(pairs: Iterable[tuple[str, str]], margin: str = "  ") -> list[str]:
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{margin}{name.ljust(width)}  {text}" for name, text in pairs]
