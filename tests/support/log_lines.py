"""What each process logs under each LOGGING that a project may have: formats, and their readers.

With DEBUG off, Django's console writes nothing, so that only a project without LOGGING looks
different then.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.processes import ROOT, Process

PAGE = (ROOT / "docs/howto/logging.md").read_text()
CONSOLE = {"class": "logging.StreamHandler", "formatter": "own"}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "OWN %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": CONSOLE},
    "root": {"handlers": ["console"], "level": "INFO"},
}


class Case(NamedTuple):
    logging: dict[str, Any]
    line: str  # What each line is, but for those of a traceback.
    debug: bool = True
    silent: tuple[tuple[str, str], ...] = ()


OURS = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (?P<level>[A-Z]+) - \w+ - (?P<message>.*)"
OWN = r"OWN (?P<level>[A-Z]+) [\w.]+: (?P<message>.*)"
JSON = r"(?P<json>\{.*\})"
UNROUTED = ("INFO", r"No route takes <Message \S+ on websocket\.connect> \(path '/nowhere/'\)")
NOT_FOUND = ("WARNING", "Not Found: /nothing/")

CASES = {
    "absent": Case({}, OURS),
    # One is for DEBUG, and Django's console is, which has Django's own lines.
    "absent, DEBUG off": Case({}, OURS, debug=False, silent=(UNROUTED, NOT_FOUND)),
    "plain": Case(LOGGING, OWN),
    # Django's own loggers are the project's to disable.
    "disable": Case({**LOGGING, "disable_existing_loggers": True}, OWN, silent=(NOT_FOUND,)),
    "json": Case({**LOGGING, "formatters": {"own": {"()": "mysite.logs.JsonFormatter"}}}, JSON),
}

# Not of any logger: what runserver prints at first, and Daphne's access log.
PRINTED = re.compile(
    r"Performing system checks|System check identified|WARNINGS:|\?: \(djchan\.W002\)|\tHINT: |"
    r"\w+ \d\d, \d{4} - |Django version |"
    r"Starting Channels development server|Channel layer |Quit the server with|"
    r"127\.0\.0\.1:\d+ - - \[|$"
)
ACCESS = re.compile(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] (HTTP|WebSocket) ")
TRACEBACK = re.compile(r"Traceback |  |[\w.]+(Error|Exception|DisallowedHost)\b|$")
# Django's own lines, by its own LOGGING, with DEBUG on.
DJANGOS = re.compile(r"(Not Found|Forbidden|Bad Request|Method Not Allowed|Invalid HTTP_HOST)\b")


def write_formatter(folder: Path) -> None:
    """Write the JSON formatter of the documentation to ``folder``, as ``mysite.logs``."""
    (folder / "mysite").mkdir()
    (formatter,) = re.findall(r"```python\n(# mysite/logs\.py\n.*?)```", PAGE, re.DOTALL)
    (folder / "mysite/logs.py").write_text(formatter)


def records(process: Process, case: Case) -> list[tuple[str, str]]:
    """(level, message) of each line of its log."""
    found: list[tuple[str, str]] = []
    for line in process.output().splitlines():
        if PRINTED.match(line) or ACCESS.match(line):
            continue
        match = re.fullmatch(case.line, line)
        if match is None:
            if DJANGOS.match(line) and not case.logging and case.debug:
                found.append(("WARNING", line))
                continue
            assert found and TRACEBACK.match(line), f"In no format: {line!r}"
            continue
        if match.groupdict().get("json"):
            told = json.loads(line)
            found.append((told["level"], told["message"]))
        else:
            found.append((match["level"], match["message"]))
    return found
