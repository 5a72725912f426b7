"""The files of the browser side: in step with each other and the page, and found by Django."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command

from djchan.message import Message
from djchan.staticfiles import StaticFilesHandler
from tests.static.pages import STATIC

NAMES = (
    "channels/js/websocketbridge.js",
    "djchan/js/websocketbridge.js",
    "djchan/js/websocketbridge.mjs",
    "djchan/js/websocketbridge.d.ts",
    "djchan/js/websocketbridge.d.mts",
)
PAGE = Path(__file__).resolve().parents[2] / "docs/reference/javascript.md"

# What the classic script has around the text of the module.
BEGIN = '(function () {\n"use strict";\n\n'
END = """\
// At once: pages of 1.x use it in the next inline script.
self.channels = self.djchan = { WebSocketBridge, ReconnectingWebSocket };
})();
"""
EXPORT = "export { WebSocketBridge, ReconnectingWebSocket };\n"

CLASSIC, _, MODULE, _, TYPES = ((STATIC / name).read_text() for name in NAMES)


def test_the_classic_script_is_the_module_with_other_ends():
    assert MODULE.endswith(EXPORT)
    assert BEGIN + MODULE.removesuffix(EXPORT) + END == CLASSIC


def test_the_classic_script_is_the_same_at_both_paths():
    assert (STATIC / NAMES[0]).read_bytes() == (STATIC / NAMES[1]).read_bytes()


def members(text: str, kind: str) -> set[str]:
    """Names of what a class has for a page: methods, properties, fields."""
    body = re.search(rf"^(?:export )?class {kind} .*?^}}", text, re.M | re.S)
    assert body is not None
    found = re.findall(r"^  (?:readonly |get |set )?([a-zA-Z]\w*)[(:<?]", body[0], re.M)
    found += re.findall(r"^    this\.([a-zA-Z]\w*) =", body[0], re.M)
    return set(found)


def test_the_types_name_what_the_classes_have():
    constants = {"CONNECTING", "OPEN", "CLOSING", "CLOSED"}
    inherited = {"addEventListener", "removeEventListener"}
    for kind in ("WebSocketBridge", "ReconnectingWebSocket"):
        known = members(MODULE, kind)
        assert len(known) > 5
        assert members(TYPES, kind) - constants - inherited == known, kind


def test_the_types_and_the_page_name_every_option():
    defaults = dict(re.findall(r"^  (\w+): ([\w.]+),", MODULE, re.M))
    typed = re.search(r"interface Options {(.*?)^}", TYPES, re.M | re.S)
    assert typed is not None
    told = dict(re.findall(r"^\| `(\w+)` \| ([\w.]+) \|", PAGE.read_text(), re.M))

    assert len(defaults) == 8
    assert set(re.findall(r"^  (\w+)\?:", typed[1], re.M)) == set(defaults)
    assert told == defaults


def test_nothing_newer_than_es2019_and_nothing_that_a_policy_forbids():
    code = re.sub(r"/\*\*.*?\*/", "", MODULE, flags=re.S)
    code = re.sub(r"// .*", "", code)
    assert re.findall(r"\?\?|\?\.|[|&]{2}=|#\w+\s*[=(]|\bstatic\b|\bglobalThis\b|\d_\d", code) == []
    assert re.findall(r"\beval\b|\bFunction\(|innerHTML|\bimport\b|document\.", code) == []


@pytest.mark.parametrize("name", NAMES)
def test_django_finds_it(name):
    assert finders.find(name) == str(STATIC / name)


@pytest.mark.django_db  # The handler closes stale connections, as Django does.
@pytest.mark.parametrize("name", NAMES[:3])
def test_runserver_serves_it_as_javascript(name, settings):
    settings.STATIC_URL = "/static/"
    message = Message(
        {"reply_channel": "http.response.P!1", "method": "GET", "path": f"/static/{name}"},
        "http.request",
        "a layer",
    )
    [*parts] = StaticFilesHandler()(message)

    assert b"".join(part.get("content", b"") for part in parts) == (STATIC / name).read_bytes()
    assert dict(parts[0]["headers"])[b"Content-Type"].endswith(b"/javascript")


def test_collectstatic_collects_and_hashes_it(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
        },
    }
    call_command("collectstatic", interactive=False, verbosity=0)

    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (STATIC / name).read_bytes()
    for folder in ("channels", "djchan"):
        assert list((tmp_path / folder / "js").glob("websocketbridge.????????????.js"))


def test_the_page_names_every_static_path():
    text = PAGE.read_text()
    for name in NAMES:
        assert f"`{name}`" in text or f"'{name}'" in text
