"""The systems' entries, and the page in docs/ that lists them."""

import pytest
from django.core.management import call_command

from realtime import systems
from realtime.management.commands import systems as command

SYSTEMS = list(systems.in_order())


def test_the_page_in_docs_is_what_the_command_writes():
    page = command.PAGE.read_text()
    assert page == command.with_table(page), "python manage.py systems --write"


def test_every_system_has_its_row_there():
    rows = [line for line in command.PAGE.read_text().splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(SYSTEMS) == len(systems.NAMES)
    for row, system in zip(rows, SYSTEMS, strict=True):
        assert row.startswith(f"| {system.title} | {system.sentence} | ")
        assert row.endswith(f"(../{system.test_file}) | `{system.address}` |")
        for file in system.files:
            assert f"(../{file})" in row


def test_the_command_writes_it_and_leaves_the_rest(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "PAGE", tmp_path / "systems.md")
    command.PAGE.write_text("# Before\n\n| old |\n| --- |\n\nAfter\n")
    call_command("systems", write=True)
    call_command("systems")
    assert command.PAGE.read_text() == f"# Before\n\n{capsys.readouterr().out}\nAfter\n"


@pytest.mark.parametrize("system", SYSTEMS, ids=systems.NAMES)
def test_its_files_and_its_test_are_there(system):
    for file in (*system.files, system.test_file):
        assert (systems.ROOT / file).is_file(), file


def test_what_is_none_is_not_found():
    assert systems.find("nothing") is None
