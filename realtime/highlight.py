"""Source code as HTML, with its words colored by their kind.

For ``realtime.views.source``; the colors of the classes are in ``realtime/code.css``.
"""

from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename

try:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename
except ImportError:
    # The pages do without color where the group "site" is not installed.
    highlight = None


def highlighted(text: str, file: str) -> SafeString:
    """``text`` as HTML; the name of its ``file`` says in which language it is."""
    if highlight is None:
        return format_html("{}", text)
    formatter = HtmlFormatter(nowrap=True)
    # Pygments escapes what it is given; our own files are all that it gets.
    colored: str = highlight(text, get_lexer_for_filename(file), formatter)
    return mark_safe(colored)
