"""``python -m djchan.upgrade PATH``: the command.

All files are read and worked out before the first one is written. Exit codes: 0 done, or
nothing to do; 1 something would change (``--check``); 2 it could not be done, and the sentence
says why.
"""

import argparse
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from djchan.asgi import InvalidChannelLayerError, backend_path
from djchan.upgrade import (
    bindings,
    configuration,
    consumers,
    facts,
    modules,
    old_layers,
    report,
    templates,
)
from djchan.upgrade.files import Kind, files
from djchan.upgrade.generated import is_generated
from djchan.upgrade.source import Note, Text, Unreadable, plain_text, python_text
from djchan.upgrade.survey import Survey, own_roots, survey

if TYPE_CHECKING:
    from djchan.upgrade import lines, pins, python

try:
    from djchan.upgrade import lines, pins, python
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("libcst", "packaging"):
        raise
    HAS_EXTRA = False
else:
    HAS_EXTRA = True

NO_EXTRA = (
    "python -m djchan.upgrade needs LibCST, which reads Python to the letter, and packaging, "
    "which reads requirements. Install them with:\n\n"
    '    pip install "djchan[upgrade]"\n'
)
_UNWRITTEN = (
    "{error}. {count} of {all} files were rewritten before that; run the command again when this "
    "one can be written."
)
_UNREAD = "{error}. Nothing was changed; run the command again when this file can be read."
_PIPE_CLOSED = 141  # As a shell reports a program that SIGPIPE ended.
_SHOWN = 3  # Signs of a later Channels, and files, that a sentence names.


class File(NamedTuple):
    """A file of the project as it was read; ``problem``: why it could not be."""

    path: Path
    kind: Kind
    before: Text
    problem: Unreadable | None = None


class Result(NamedTuple):
    """What is to be in it, and what a person must decide there."""

    file: File
    after: Text
    notes: Sequence[Note] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Lines of the project may have letters that the terminal lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, "| head" or a pager, has seen enough. What was to be written is written;
        # what Python still has for the terminal goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    root: Path = options.path
    if not HAS_EXTRA:
        return _refuse(NO_EXTRA)
    if not root.exists():
        return _refuse(f"There is no {root}.")
    here = root if root.is_dir() else root.parent
    try:
        found = [_read(path, kind) for path, kind in files(root)]
    except OSError as error:
        return _refuse(_UNREAD.format(error=error))
    found = [file for file in found if not _is_generated(file, here)]
    if not found:
        return _refuse(f"{root} has no files that a Django project is made of.")
    own = own_roots(file.path for file in found if file.kind is Kind.PYTHON)
    surveyed = _survey(file for file in found if not _is_below(own, file))
    if surveyed.is_later:
        return _refuse(_is_later(surveyed, here))
    results = [_result(file, here, own) for file in found]
    changed = [result for result in results if result.after != result.file.before]
    if not options.check:
        for count, result in enumerate(changed):
            try:
                result.file.path.write_bytes(result.after.encoded())
            except OSError as error:
                return _refuse(_UNWRITTEN.format(error=error, count=count, all=len(changed)))
    for result in changed:
        name = _shown(result.file.path, here)
        _print(report.changes(name, result.file.before.text, result.after.text))
    print(report.summary(len(changed), check=options.check))
    if changed or surveyed.of_1x or own:
        _print(report.decisions(_decisions(results, here, own, check=options.check)))
    return 1 if options.check and changed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m djchan.upgrade",
        description="Rewrites a project or a reusable app of Channels 1.x for djchan, in place, "
        "and prints what a person must decide. Nothing of it is imported or run.",
    )
    parser.add_argument(
        "path",
        type=Path,
        help="The top of its repository, where requirements, settings, deployment files and tests "
        "are found below; or one file.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="Writes nothing; exit code 1 if something would change.",
    )
    return parser


# --------------------------------------------------------------------------- reading


def _read(path: Path, kind: Kind) -> File:
    raw = path.read_bytes()
    if kind is Kind.PYTHON:
        try:
            return File(path, kind, python_text(raw))
        except Unreadable as error:
            return File(path, kind, plain_text(raw), error)
    return File(path, kind, plain_text(raw))


def _is_generated(file: File, here: Path) -> bool:
    return is_generated(PurePosixPath(_shown(file.path, here)), file.kind, file.before.text)


def _survey(found: Iterable[File]) -> Survey:
    return survey(
        {
            file.path: (file.before.text, modules.parsed(file.before.text))
            for file in found
            if file.kind is Kind.PYTHON and python.may_concern(file.before.text)
        }
    )


# ------------------------------------------------------------------------- rewriting


def _result(file: File, here: Path, own: frozenset[Path]) -> Result:
    if file.kind is Kind.TEMPLATE:
        return Result(file, templates.rewritten(file.before))
    if file.kind is not Kind.PYTHON or not python.may_concern(file.before.text):
        return Result(file, file.before)
    name = _shown(file.path, here)
    if _is_below(own, file):
        return Result(file, file.before)
    try:
        if file.problem is not None:
            raise file.problem
        after, notes = python.rewritten(file.before, name, _backend)
        if after != file.before:
            # The lines of notes are those of the file as it is now.
            _, notes = python.rewritten(after, name, _backend)
    except Unreadable as error:
        sentence = f"This file {error.reason}; it was left as it is."
        return Result(file, file.before, [Note(name, error.line, sentence)])
    return Result(file, after, notes)


def _is_below(own: frozenset[Path], file: File) -> bool:
    """Whether ``channels`` is a package of the project's own for this file."""
    return any(root in file.path.parents for root in own)


def _backend(dotted: str) -> str:
    try:
        return backend_path("default", dotted)
    except InvalidChannelLayerError as error:
        raise python.NoBackend(error.hint) from error


# --------------------------------------------------------------------------- advice


def _decisions(
    results: Sequence[Result], here: Path, own: frozenset[Path], *, check: bool
) -> Iterator[Note]:
    """What concerns the files as they are now: rewritten, or with ``check`` as they were."""
    read = []
    needs = pins.needed()
    for result in results:
        yield from result.notes
        if _is_below(own, result.file):
            continue
        text = (result.file.before if check else result.after).text
        name = _shown(result.file.path, here)
        yield from lines.notes(name, result.file.kind, text, needs)
        tree = modules.parsed(text) if result.file.kind is Kind.PYTHON else None
        if tree is not None:
            read.append(modules.Module(name, text, tree))
    project = modules.Project(read)
    for advice in (bindings, configuration, consumers, old_layers):
        yield from advice.notes(project)
    yield from facts.notes(read)
    for root in sorted(own):
        yield Note(
            _shown(root / "channels", here),
            1,
            "This is a package of your own: the imports of `channels` beside it were left as they "
            "are.",
        )


def _is_later(surveyed: Survey, here: Path) -> str:
    signs = "\n".join(
        f"    {_shown(sign.path, here)}:{sign.line}: {sign.dotted}"
        for sign in surveyed.later[:_SHOWN]
    )
    return (
        "This project uses Channels 2 or later, which goes on working beside djchan: nothing was "
        f"changed.\n\n{signs}"
    )


# -------------------------------------------------------------------------- printing


def _shown(path: Path, here: Path) -> str:
    return path.relative_to(here).as_posix()


def _print(printed: Iterable[str]) -> None:
    for line in printed:
        print(line)


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
