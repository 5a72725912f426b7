"""What the documentation names is there, and what is there is named."""

import importlib
import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest

import djchan
from djchan.interface.options import InterfaceOptions
from djchan.lanes.options import WorkerOptions
from djchan.layers.base import BaseChannelLayer
from djchan.layers.operations import Operation
from djchan.layers.policy import Policy
from djchan.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from djchan.layers.redis.commands import RIGHTS
from djchan.layers.redis.scripts import NAMES, SCRIPTS
from djchan.sockets.limits import SocketLimits

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = Path(djchan.__file__).parent
PAGES = sorted(DOCS.rglob("*.md"))


def text(name: str) -> str:
    return (DOCS / name).read_text()


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=relative)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_is_in_the_index():
    linked = {
        (DOCS / target).resolve() for target in re.findall(r"\]\(([^)]+)\)", text("index.md"))
    }

    assert {page.resolve() for page in PAGES} - linked == {(DOCS / "index.md").resolve()}


WALKS = ("explanation/path.md", "explanation/interface.md", "explanation/worker.md")


class TestWalks:
    """The pages that follow a message name files and functions: all of them exist."""

    @pytest.mark.parametrize("page", WALKS)
    def test_files(self, page: str):
        for name in re.findall(r"`([a-z0-9_/]+\.(?:py|lua))`", text(page)):
            assert (PACKAGE / name).is_file(), name

    def test_functions_of_the_nine_stations_lie_where_the_table_says(self):
        stations = []
        for line in text("explanation/path.md").splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            file = re.search(r"`([a-z0-9_/]+\.py)`", cells[3]) if len(cells) == 6 else None
            if file is None:
                continue
            module = importlib.import_module("djchan." + file[1][:-3].replace("/", "."))
            for name in re.findall(r"`([A-Za-z_.]+)`", cells[4]):
                stations.append(name)
                found: Any = module
                for part in name.split("."):
                    found = getattr(found, part)
                assert inspect.getsourcefile(inspect.unwrap(found)) == str(PACKAGE / file[1]), name
        assert len(stations) > 20

    @pytest.mark.parametrize("page", WALKS)
    def test_methods(self, page: str):
        """Each ``Class.method`` that is named is a method of such a class."""
        code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
        for kind, method in re.findall(r"`([A-Z][A-Za-z]+)\.([a-z_]+)`", text(page)):
            assert re.search(rf"^class {kind}\b", code, re.M), kind
            assert re.search(rf"^    (async )?def {method}\(", code, re.M), f"{kind}.{method}"


def table(page: str, heading: str) -> dict[str, str]:
    """First cell -> second cell of the table under a heading."""
    part = text(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|") for line in part.splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`"): row[2].strip() for row in rows}


class TestSettings:
    page = "reference/settings.md"

    @pytest.mark.parametrize(
        ("heading", "options"), [("INTERFACE", InterfaceOptions), ("WORKER", WorkerOptions)]
    )
    def test_every_limit_with_its_default(self, heading: str, options: type):
        told = table(self.page, heading)

        assert told == {field.name: str(field.default) for field in fields(options)}

    def test_every_option_of_every_layer(self):
        told = table(self.page, "CONFIG: every layer")
        parameters = inspect.signature(Policy).parameters
        known = {*parameters, *inspect.signature(BaseChannelLayer).parameters}

        assert set(told) == known - {"engine", "options"}
        for name in ("capacity", "expiry", "group_expiry", "max_message_size"):
            assert told[name] == str(parameters[name].default)

    def test_every_option_of_redis(self):
        told = set(table(self.page, "CONFIG: Redis"))
        known = {
            name
            for layer in (RedisChannelLayer, RedisSentinelChannelLayer)
            for name in inspect.signature(layer).parameters
        }

        assert told == known - {"options"}


def test_every_limit_of_socket_views_with_its_default():
    told = table("howto/socket-views.md", "Limits")

    assert told == {field.name: str(field.default) for field in fields(SocketLimits)}


class TestLimits:
    """An option is on the page of limits, or is listed here as none."""

    page = "reference/limits.md"
    no_limits: ClassVar[dict[str, set[str]]] = {
        "INTERFACE": {"close_on_gap", "http_disconnect", "root_path_header", "websocket_protocols"},
        "WORKER": {
            "beat",
            "commit_delay",
            "park_pause",
            "partial",
            "retry_delay",
            "stale_wait",
        },
        "CONFIG": {"delivery", "engine", "options", "symmetric_encryption_keys"},
        "Socket views": set(),
    }

    @pytest.mark.parametrize(
        ("heading", "options"),
        [
            ("INTERFACE", InterfaceOptions),
            ("WORKER", WorkerOptions),
            ("Socket views", SocketLimits),
        ],
    )
    def test_every_limit_with_its_default(self, heading: str, options: type):
        defaults = {field.name: str(field.default) for field in fields(options)}

        assert table(self.page, heading) == {
            name: default
            for name, default in defaults.items()
            if name not in self.no_limits[heading]
        }

    def test_every_limit_of_a_layer_with_its_default(self):
        parameters = {
            **inspect.signature(Policy).parameters,
            **inspect.signature(BaseChannelLayer).parameters,
        }
        listed = table(self.page, "CONFIG")

        assert set(listed) == set(parameters) - self.no_limits["CONFIG"]
        for name, default in listed.items():
            assert default in ("", str(parameters[name].default)), name

    def test_every_row_says_what_happens(self):
        for heading in self.no_limits:
            part = text(self.page).split(f"\n## {heading}\n")[1].split("\n## ")[0]
            rows = [line.split("|") for line in part.splitlines() if line.startswith("| `")]

            assert {len(row) for row in rows} == {8}, heading
            assert all(row[5].strip() for row in rows), heading


def test_every_check_has_its_line():
    modules = ("checks.py", "deploy_checks.py", "redis_checks.py", "asgi.py")
    code = "\n".join((PACKAGE / name).read_text() for name in modules)
    known = set(re.findall(r'"(djchan\.[EWI]\d+)"', code))

    assert set(re.findall(r"^\| (djchan\.[EWI]\d+)", text("reference/checks.md"), re.M)) == known


def test_every_trap_has_its_test_and_its_checks():
    page = text("howto/troubleshooting.md")
    rows = [line.split(" | ") for line in page.splitlines() if line.endswith(".py` |")]
    checks = text("reference/checks.md")

    assert len(rows) > 10
    for _, where, _, test in rows:
        assert (ROOT / test.strip("`| ")).is_file(), test
        for number in re.findall(r"\b[EWI]\d{3}\b", where):
            assert f"| djchan.{number} |" in checks


class TestRedis:
    page = "explanation/redis.md"

    def test_every_script(self):
        told = set(re.findall(r"`([a-z]+)`", text(self.page).split("\n## Scripts\n")[1]))

        assert set(NAMES) <= told

    def test_every_key_that_the_prelude_lists(self):
        listed = SCRIPTS["send"].decode().split("-- q:CHANNEL")[1].split("-- An entry is")[0]
        kinds = set(re.findall(r"\b([a-z]+):[A-Z]", f"q:CHANNEL{listed}"))
        told = set(re.findall(r"`([a-z]+):[A-Z]", text(self.page)))

        assert kinds == told


def test_the_redis_user_has_the_rights_that_are_needed_and_no_others():
    needed = {name.removesuffix(" streams").lower().replace(" ", "|") for name in RIGHTS}
    rights = set(re.findall(r"(?<=[ \n])\+(\S+)", text("howto/redis-user.md").split("```")[3]))

    assert rights == needed | {
        "client|id", "client|list", "evalsha", "info", "ping", "scan", "script|load", "select",
    }  # fmt: skip


def test_every_operation_says_what_a_lost_answer_does():
    page = (DOCS / "explanation/redis.md").read_text()
    section = page.partition("## When an answer is lost")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {operation.__name__ for operation in get_args(Operation)} <= named
