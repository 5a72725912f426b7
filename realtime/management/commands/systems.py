"""``manage.py systems``: the table of docs/systems.md, from the systems' own entries."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from realtime.systems import ROOT, System, in_order

PAGE = ROOT / "docs" / "systems.md"
HEAD = ("system", "what it shows", "files", "test", "page")


class Command(BaseCommand):
    help = "Prints the table of the systems that docs/systems.md has."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="Puts it there instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["write"]:
            PAGE.write_text(with_table(PAGE.read_text()))
        else:
            self.stdout.write(table())


def table() -> str:
    """The systems in Markdown, a row for each; links as from a page in docs/."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, in_order())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def with_table(page: str) -> str:
    """The text of the page, with the present table in the place of its own."""
    lines = page.splitlines(keepends=True)
    rows = [number for number, line in enumerate(lines) if line.startswith("|")]
    return "".join((*lines[: rows[0]], table(), *lines[rows[-1] + 1 :]))


def _row(system: System) -> tuple[str, ...]:
    files = ", ".join(map(_link, system.files))
    return system.title, system.sentence, files, _link(system.test_file), f"`{system.address}`"


def _link(file: str) -> str:
    return f"[`{file}`](../{file})"
