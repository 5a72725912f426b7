"""What is to be decided by name alone: settings, imports and calls that mean something else now.

From ``djchan.upgrade.__main__`` with one module; on to the report. The first table is of
Channels 1.x. The second is of the Django that such projects run on, as far as django-upgrade
leaves it to a person.
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

_SETTINGS = {
    "CHANNELS_WS_PROTOCOLS": (
        "This holds for every server now, not for runserver alone; Daphne 4 has no --ws-protocol."
    ),
    "MIDDLEWARE_CLASSES": (
        "Django reads MIDDLEWARE only; middleware of your own takes get_response "
        "(django.utils.deprecation.MiddlewareMixin)."
    ),
}
_TABLE = (
    "To keep the rows of the delay server: ALTER TABLE "
    '"channels.delay_delayedmessage" RENAME TO djchan_delay_delayedmessage, then `manage.py '
    "migrate djchan_delay --fake`."
)
_AUTO_FIELD = (
    'Set DEFAULT_AUTO_FIELD = "django.db.models.AutoField": without it Django 6.0 would have '
    "every primary key migrated."
)
_KNOWN_LAYERS = ("asgi_ipc.", "asgi_rabbitmq.", "asgi_redis.", "asgiref.", "djchan.")
_NO_LAYER = "{name} is no layer of djchan: use djchan.layers.redis.RedisChannelLayer."
_HOSTS = (
    "A layer lives on one Redis now, which carries more than several did: leave one host, or "
    "configure a layer for each."
)
_DAPHNE = "Daphne 4 has other classes: look whether this is needed at all."
_ANOTHER_APP = (
    "{name} imports Channels itself: look for a release that works with djchan, or do without it."
)


def notes(modules: Sequence[Module]) -> Iterator[Note]:
    """What concerns each module; what a tool mends is said once."""
    own = {part for module in modules for part in (*module.package, module.dotted)}
    has_auto_field = any("DEFAULT_AUTO_FIELD" in module.text for module in modules)
    mended = []
    for module in modules:
        for node, sentence in _found(module, own, has_auto_field):
            note = Note(module.path, getattr(node, "lineno", 1), sentence)
            if sentence == _MENDED:
                mended.append(note)
            else:
                yield note
    if mended:
        first = min(mended)
        others = len({note[:2] for note in mended}) - 1
        where = f"This, and {others} more lines," if others else "This line"
        yield first._replace(sentence=f"{where} {_MENDED}")


def _found(
    module: Module, own: Container[str], has_auto_field: bool
) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for dotted in _imported(node):
                for sentence in _of_import(dotted, own):
                    yield node, sentence
        elif isinstance(node, ast.Attribute):
            yield from ((node, sentence) for sentence in _of_attribute(node, module))
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from _of_setting(node, own, has_auto_field)
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
    elif _is_another_app(root, own):
        yield _ANOTHER_APP.format(name=root)


def _is_another_app(name: str, own: Container[str]) -> bool:
    return name.startswith("channels_") and name not in own


def _of_attribute(node: ast.Attribute, module: Module) -> Iterator[str]:
    dotted = module.named(node)
    if dotted in ("djchan.handler.AsgiRequest.ResponseLater", "request.ResponseLater"):
        yield _LATER_NAMES["djchan.exceptions.ResponseLater"]
    elif dotted in _LATER_NAMES:
        yield _LATER_NAMES[dotted]


def _of_setting(
    node: ast.Assign | ast.AugAssign | ast.AnnAssign, own: Container[str], has_auto_field: bool
) -> Iterator[tuple[ast.AST, str]]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        name = ast.unparse(target)
        if name in _SETTINGS:
            yield node, _SETTINGS[name]
        if name == "INSTALLED_APPS" and isinstance(node, ast.Assign) and not has_auto_field:
            yield node, _AUTO_FIELD
        if name.endswith("_APPS") and node.value is not None:
            yield from _of_apps(node.value, own)
        if name == "CHANNEL_LAYERS" and node.value is not None:
            yield from _of_layers(node.value)


def _of_apps(value: ast.expr, own: Container[str]) -> Iterator[tuple[ast.AST, str]]:
    for one in ast.walk(value):
        app = one.value if isinstance(one, ast.Constant) else None
        if app in ("channels.delay", "djchan.delay"):
            yield one, _TABLE
        elif isinstance(app, str) and _is_another_app(app.partition(".")[0], own):
            yield one, _ANOTHER_APP.format(name=app.partition(".")[0])


def _of_layers(value: ast.expr) -> Iterator[tuple[ast.AST, str]]:
    """``value``: the expression of CHANNEL_LAYERS."""
    for entry in ast.walk(value):
        if not isinstance(entry, ast.Dict):
            continue
        backend = _item(entry, "BACKEND")
        path = str(backend.value) if isinstance(backend, ast.Constant) else ""
        if backend is not None and path and not path.startswith(_KNOWN_LAYERS):
            yield backend, _NO_LAYER.format(name=path)
        for key in ("CONFIG", "TEST_CONFIG"):
            config = _item(entry, key)
            hosts = _item(config, "hosts") if isinstance(config, ast.Dict) else None
            if isinstance(hosts, ast.List) and len(hosts.elts) > 1 and "Sentinel" not in path:
                yield hosts, _HOSTS


def _item(entry: ast.Dict, wanted: str) -> ast.expr | None:
    for key, value in zip(entry.keys, entry.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == wanted:
            return value
    return None


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
