"""What is to be decided by name alone: imports and calls that mean something else now.

The first table is of Channels 1.x. The second is of the Django that such projects run on, as far
as django-upgrade leaves it to a person.
"""

import ast
from collections.abc import Container, Iterator, Sequence

from djchan.upgrade.modules import Module
from djchan.upgrade.names import successor
from djchan.upgrade.source import Note

_AUTH_VIEWS = (
    "login",
    "logout",
    "logout_then_login",
    "password_change",
    "password_change_done",
    "password_reset",
    "password_reset_complete",
    "password_reset_confirm",
    "password_reset_done",
)
_MENDED = "is gone from Django: `django-upgrade --target-version 5.2` mends it."
_NO_SIX = "Django has no six any more: write it as Python 3 alone has it."
_CALLED = "{name} is an attribute now: take the () away."

_LATER_NAMES = {
    "djchan.exceptions.ResponseLater": (
        "ResponseLater works again; since Django 1.10 it had been a response with status 500."
    ),
    "djchan.worker.WorkerGroup": (
        "A WorkerGroup is one Worker with threads: it has no workers of its own, and at SIGTERM "
        "finishes what runs in all threads."
    ),
    "djchan.sessions.session_for_reply_channel": (
        "Channel sessions are in the channel layer now; where other code reads them, set "
        "CHANNEL_SESSION_ENGINE to your SESSION_ENGINE."
    ),
    "djchan.sessions.wait_channel_name": "No message waits on such a channel any more.",
    "djchan.sessions.requeue_messages": "No message waits to be requeued any more.",
}
_DJANGO_NAMES = {
    "django.conf.urls.url": _MENDED,
    "django.core.urlresolvers": _MENDED,
    "django.shortcuts.render_to_response": "Use render(request, …): this is gone.",
    "django.test.mock": "Write unittest.mock.",
    "django.utils.encoding.force_text": _MENDED,
    "django.utils.encoding.python_2_unicode_compatible": "Take the decorator and its import out.",
    "django.utils.encoding.smart_text": _MENDED,
    "django.utils.six": _NO_SIX,
    "django.utils.six.python_2_unicode_compatible": "Take the decorator and its import out.",
    "django.utils.translation.ugettext": _MENDED,
    "django.utils.translation.ugettext_lazy": _MENDED,
    **{
        f"django.contrib.auth.views.{name}": "Django has no such view: use the class-based ones "
        "(LoginView.as_view(), LogoutView.as_view()); a logout is a POST now."
        for name in _AUTH_VIEWS
    },
}
_NAMES = {**_LATER_NAMES, **_DJANGO_NAMES}

ANOTHER_APP = (
    "{name} imports Channels itself: look for a release that works with djchan, or do without it."
)
_DAPHNE = "Daphne 4 has other classes: look whether this is needed at all."


def notes(modules: Sequence[Module]) -> Iterator[Note]:
    """What concerns each module; what a tool mends is said once."""
    own = {part for module in modules for part in (*module.package, module.dotted)}
    mended = []
    for module in modules:
        for node, sentence in _found(module, own):
            note = Note(module.path, getattr(node, "lineno", 1), sentence)
            if sentence == _MENDED:
                mended.append(note)
            else:
                yield note
    if mended:
        first = min(mended)
        others = len({note[:2] for note in mended}) - 1
        lines = "1 more line" if others == 1 else f"{others} more lines"
        where = f"This, and {lines}," if others else "This line"
        yield first._replace(sentence=f"{where} {_MENDED}")


def is_another_app(name: str, own: Container[str]) -> bool:
    """Whether a name is that of a distribution that is made for Channels. ``own``: no such."""
    return name.startswith("channels_") and name not in own


def _found(module: Module, own: Container[str]) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for dotted in _imported(node):
                for sentence in _of_import(dotted, own):
                    yield node, sentence
        elif isinstance(node, ast.Attribute):
            yield from ((node, sentence) for sentence in _of_attribute(node, module))
        elif isinstance(node, ast.Assign) and ast.unparse(node) == "multi_db = True":
            yield node, _MENDED
        elif isinstance(node, ast.Call):
            yield from ((node, sentence) for sentence in _of_call(node, module))


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.name
        elif not node.level:
            yield f"{node.module}.{alias.name}"


def _of_import(dotted: str, own: Container[str]) -> Iterator[str]:
    dotted = successor(dotted) or dotted
    root = dotted.partition(".")[0]
    if dotted in _NAMES:
        yield _NAMES[dotted]
    elif dotted.startswith("django.utils.six."):
        yield _NO_SIX
    elif dotted.startswith("django.core.urlresolvers."):
        yield _MENDED
    elif root == "daphne":
        yield _DAPHNE
    elif is_another_app(root, own):
        yield ANOTHER_APP.format(name=root)


def _of_attribute(node: ast.Attribute, module: Module) -> Iterator[str]:
    dotted = module.named(node)
    if dotted in ("djchan.handler.AsgiRequest.ResponseLater", "request.ResponseLater"):
        yield _LATER_NAMES["djchan.exceptions.ResponseLater"]
    elif dotted in _LATER_NAMES:
        yield _LATER_NAMES[dotted]


def _of_call(node: ast.Call, module: Module) -> Iterator[str]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if called in ("is_authenticated", "is_anonymous") and not node.args:
        yield _CALLED.format(name=called)
    if called == "is_ajax" and not node.args:
        yield "Django has no request.is_ajax(): look at a header that your pages send."
    dotted = module.named(node.func)
    if dotted.startswith("django.") and dotted.endswith((".ForeignKey", ".OneToOneField")):
        given = {one.arg for one in node.keywords}
        if "on_delete" not in given and len(node.args) < 2:
            yield _MENDED
