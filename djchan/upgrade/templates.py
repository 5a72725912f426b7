"""What to rewrite in a template: the path of the bridge, and a tag library that is gone."""

import re

from djchan.upgrade.source import Text

# Behind a quote, a variable or a folder "static": not what another folder happens to hold.
_BRIDGE = re.compile(r"""(?:(?<=["'}])|(?<=/static/))channels/js/websocketbridge""")
# A tag ends with its line. {%load x%}, {% load  x %}, tabs: blanks are where one likes.
_LOAD = re.compile(r"(\{%[ \t]*load[ \t])([^\r\n]*?)(%\})")
_GONE = ("staticfiles", "admin_static")


def rewritten(text: Text) -> Text:
    """The template as it should be."""
    changed = _BRIDGE.sub("djchan/js/websocketbridge", text.text)
    return Text(with_static(changed), text.encoding)


def with_static(source: str) -> str:
    """The source of a template with ``static`` in place of tag libraries that are gone."""
    return _LOAD.sub(_loading_static, source)


def _loading_static(tag: re.Match[str]) -> str:
    """``{% load staticfiles %}`` ended with Django 3.0; ``static`` has the same tags."""
    # Names and the blanks between them, each kept as it is.
    parts = re.split(r"([ \t]+)", tag[2])
    names = parts[::2]
    if not set(names) & set(_GONE):
        return tag[0]
    if "from" in names:
        # {% load static from staticfiles %}: only the library behind "from" is one.
        at = 2 * names.index("from")
        parts[at:] = ["static" if part in _GONE else part for part in parts[at:]]
        return tag[1] + "".join(parts) + tag[3]
    loaded = "static" in names
    kept: list[str] = []
    for name, blank in zip(names, [*parts[1::2], ""], strict=True):
        if name in _GONE and loaded:
            # Its blank goes along; that at the end of the tag stays.
            continue
        kept += ["static" if name in _GONE else name, blank]
        loaded = loaded or name in _GONE
    return tag[1] + "".join(kept) + tag[3]
