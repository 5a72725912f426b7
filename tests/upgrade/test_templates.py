"""Templates: the path of the bridge, and the tag library that is gone."""

import pytest

from djchan.upgrade.source import Text, plain_text
from djchan.upgrade.templates import rewritten


def rewrite(source: str) -> str:
    return rewritten(Text(source, "utf-8")).text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            """<script src="{% static "channels/js/websocketbridge.js" %}">""",
            """<script src="{% static "djchan/js/websocketbridge.js" %}">""",
        ),
        (
            "{{ STATIC_URL }}channels/js/websocketbridge.js",
            "{{ STATIC_URL }}djchan/js/websocketbridge.js",
        ),
        ("'/static/channels/js/websocketbridge.js'", "'/static/djchan/js/websocketbridge.js'"),
        ("{% load staticfiles %}", "{% load static %}"),
        ("{%load i18n staticfiles admin_static %}", "{%load i18n static %}"),
        ("{% load staticfiles static %}", "{% load static %}"),
        ("{% load static from staticfiles %}", "{% load static from static %}"),
        ("{% load staticfiles%}", "{% load static%}"),
        ("{%load staticfiles%}", "{%load static%}"),
        ("{%load staticfiles  i18n%}", "{%load static  i18n%}"),
        ("{%\tload\tstaticfiles\t%}", "{%\tload\tstatic\t%}"),
        ("{%  load i18n  staticfiles  %}", "{%  load i18n  static  %}"),
        ("{% load admin_static%}", "{% load static%}"),
        ("{% load i18n admin_static staticfiles l10n%}", "{% load i18n static l10n%}"),
        ("{%load static from staticfiles%}", "{%load static from static%}"),
        ("{% load i18n %}{%load staticfiles%}x", "{% load i18n %}{%load static%}x"),
    ],
)
def test_what_is_rewritten(before: str, after: str):
    assert rewrite(before) == after
    assert rewrite(after) == after


@pytest.mark.parametrize(
    "source",
    [
        "",
        "shop/channels/js/websocketbridge.js",
        '"channels/js/other.js"',
        "new channels.WebSocketBridge()",
        "{% load my_staticfiles i18n %}",
        "staticfiles",
        "{% load\nstatic %}\r\n",
        "{% load\nstaticfiles %}",
        "{% loads staticfiles %}",
        "{% load staticfiles.x %}",
    ],
)
def test_what_is_not(source: str):
    assert rewrite(source) == source


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf<p>\r\n",
        b"<p>\xff\xe9</p>",
        "é\n".encode(),
        "é\r\n".encode("utf-16"),
        b"\xff\xfe<",
    ],
)
def test_bytes_stay(raw: bytes):
    assert rewritten(plain_text(raw)).encoded() == raw
