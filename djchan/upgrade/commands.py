"""Find Daphne's and the worker's old options in commands, however a file spells a command.

A command may go on over several lines: behind a backslash, in a list of YAML or JSON, in a
folded block, in indented lines of an INI file. What only Daphne 1 had is told wherever it
stands; an option that other programs have, too, only within a command of ours.
"""

import re
from collections.abc import Iterator, Sequence

_ANYWHERE = (
    (
        r"--ws-protocol",
        "Daphne 4 has no --ws-protocol: list the subprotocols in CHANNELS_WS_PROTOCOLS.",
    ),
    (r"--force-sync", "Daphne 4 has no --force-sync: leave it out."),
)
_HTTP_TIMEOUT = (
    "Give http_timeout in INTERFACE this value, too: by default a request ends after 120 s."
)
_CONNECT_TIMEOUT = "Give connect_timeout in INTERFACE this value, too: by default it is 4 s."
_THREADS = "--threads are threads of one worker now; a SIGTERM waits for what runs in all of them."
_DELAY = (
    "No rundelay is needed: every worker serves asgi.delay. It still sends the rows that are in "
    "the database."
)
_OPTIONS = {
    "daphne": (
        (r"-t\d*|--http-timeout", _HTTP_TIMEOUT),
        (r"--websocket_connect_timeout", _CONNECT_TIMEOUT),
    ),
    "runworker": ((r"--threads", _THREADS),),
    "rundelay": ((r"rundelay", _DELAY),),
}
# A word of a command: not the name of a service ("daphne:"), a unit or a file.
_PROGRAM = re.compile(r"(?<![\w.:-])(daphne|runworker|rundelay)(?![\w.:=-]|/|\s*[\]:]\s*$)")
_SEPARATOR = re.compile(r"&&|\|\||[;|]|(?<=\s)&(?=\s|$)")
_ITEM = re.compile(r"(\s*)-\s+")
_OPTION_LINE = re.compile(r"""\s*(?:-\s+)?["']?-{1,2}[A-Za-z]""")
_ARGUMENTS = re.compile(r"""\s*(?:args|arguments|command|options)\s*:\s*(?:$|[>|]|["'\[\s]*-)""")
_FOLDED = re.compile(r".*:\s*(?:>[+-]?)\s*\Z")


def options(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The numbers of lines with an option that has to change, each with its sentence.

    ``lines``: of one file, comments blanked.
    """
    for number, line in enumerate(lines, 1):
        for option, sentence in _ANYWHERE:
            if _has(line, option):
                yield number, sentence
        for found in _PROGRAM.finditer(line):
            parts = _command(lines, number - 1, found.start())
            for option, sentence in _OPTIONS[found[1]]:
                yield from ((at, sentence) for at, part in parts if _has(part, option))


def _has(part: str, option: str) -> bool:
    return bool(re.search(rf"(?<![\w-])(?:{option})(?![\w-])", part))


def _command(lines: Sequence[str], index: int, start: int) -> list[tuple[int, str]]:
    """The lines of one command, from its program on, up to what separates it from the next."""
    begun = lines[index]
    parts = []
    part = begun[start:]
    folded = _is_in_folded_block(lines, index)
    depth = _opened(begun[:start])
    while True:
        before, *rest = _SEPARATOR.split(part, maxsplit=1)
        parts.append((index + 1, before))
        depth += _opened(before)
        index += 1
        if rest or index >= len(lines):
            return parts
        last, part = lines[index - 1], lines[index]
        if not (
            last.rstrip().endswith(("\\", ","))
            or (depth > 0 and part.strip())
            or _goes_on(begun, part, folded=folded)
        ):
            return parts


def _goes_on(begun: str, line: str, *, folded: bool) -> bool:
    """Whether a line belongs to a command that began with another, by its indentation."""
    if not line.strip():
        return False
    indent, first = _indent(line), _indent(begun)
    if indent > first:
        return True
    if indent < first:
        return False
    if folded or _ARGUMENTS.match(line):
        return True
    item = _ITEM.match(begun)
    if item and _ITEM.match(line):
        # A list of words ("- daphne"), not one of commands.
        return " " not in begun[item.end() :].strip()
    return bool(_OPTION_LINE.match(line)) and not _ITEM.match(line)


def _is_in_folded_block(lines: Sequence[str], index: int) -> bool:
    """Whether a line is part of a ``key: >`` of YAML, whose lines are one."""
    indent = _indent(lines[index])
    for line in reversed(lines[:index]):
        if line.strip() and _indent(line) < indent:
            return bool(_FOLDED.match(line))
    return False


def _opened(part: str) -> int:
    return sum(part.count(one) for one in "[(") - sum(part.count(one) for one in "])")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
