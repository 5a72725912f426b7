"""What to rewrite in a template: the path of the bridge, and a tag library that is gone.

From ``djchan.upgrade.__main__`` with the text of one file; on to the edited text.
"""

import re

from djchan.upgrade.source import Text

# Behind a quote, a variable or a folder "static": not what another folder happens to hold.
_BRIDGE = re.compile(r"""(?:(?<=["'}])|(?<=/static/))channels/js/websocketbridge""")
_LOAD = re.compile(r"\{%\s*load\s[^%]*\s%\}")
_GONE = re.compile(r"(?<=\s)(?:staticfiles|admin_static)(?=\s)")
_REMOVED = re.compile(r"\s+(?:staticfiles|admin_static)(?=\s)")


def rewritten(text: Text) -> Text:
    """The template as it should be."""
    changed = _BRIDGE.sub("djchan/js/websocketbridge", text.text)
    return Text(_LOAD.sub(_loading_static, changed), text.encoding)


def _loading_static(tag: re.Match[str]) -> str:
    """``{% load staticfiles %}`` ended with Django 3.0; ``static`` has the same tags."""
    if "from" in tag[0].split():
        return _GONE.sub("static", tag[0])
    if re.search(r"\sstatic\s", tag[0]):
        return _REMOVED.sub("", tag[0])
    first = _GONE.search(tag[0])
    if first is None:
        return tag[0]
    return tag[0][: first.start()] + "static" + _REMOVED.sub("", tag[0][first.end() :])
