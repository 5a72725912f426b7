"""What is to be decided in settings, in whichever way they are given."""

import ast
import re
from collections.abc import Container, Iterator

from djchan.upgrade.facts import ANOTHER_APP, is_another_app
from djchan.upgrade.modules import Definition, Module, Project
from djchan.upgrade.settings import Setting, settings
from djchan.upgrade.source import Note

_TEMPLATES = "Django reads TEMPLATES only: move this there."
_SETTINGS = {
    "CHANNELS_WS_PROTOCOLS": (
        "This holds for every server now, not for runserver alone; Daphne 4 has no --ws-protocol."
    ),
    "MIDDLEWARE_CLASSES": (
        "Django reads MIDDLEWARE only; middleware of your own takes get_response "
        "(django.utils.deprecation.MiddlewareMixin)."
    ),
    "TEMPLATE_CONTEXT_PROCESSORS": _TEMPLATES,
    "TEMPLATE_DIRS": _TEMPLATES,
    "TEMPLATE_LOADERS": _TEMPLATES,
}
_STRINGS = {
    "django.contrib.auth.middleware.SessionAuthenticationMiddleware": (
        "Take this out: Django has no such middleware, and does without it."
    ),
    "django.contrib.sessions.serializers.PickleSerializer": (
        "Django has no PickleSerializer any more: take this out, and sessions are JSON."
    ),
    "django.core.context_processors": "Write django.template.context_processors.",
    "django.contrib.staticfiles.templatetags.staticfiles": "Write django.templatetags.static.",
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
_AUTO_FIELD_OF_APP = (
    'Set default_auto_field = "django.db.models.AutoField" in the AppConfig: without it the '
    "primary key's type is that of the project that has the app."
)
_RANDOM_KEY = (
    "Channel sessions are signed with this: all processes need the same key, and this makes one "
    "for each."
)
_RANDOM = re.compile(
    r"\b(?:random|secrets)\.\w+\("
    r"|\b(?:choice|choices|get_random_\w+|sample|token_\w+|urandom|uuid[14]|SystemRandom)\("
)
_SECRET_KEY = "Set SECRET_KEY, too: channel sessions are signed with it, as Django's own are."
_KNOWN_LAYERS = ("asgi_ipc.", "asgi_rabbitmq.", "asgi_redis.", "asgiref.", "djchan.")
_NO_LAYER = "{name} is no layer of djchan: use djchan.layers.redis.RedisChannelLayer."
_HOSTS = (
    "A layer lives on one Redis now, which carries more than several did: leave one host, or "
    "configure a layer for each."
)
_MODELS = ("AbstractBaseUser", "AbstractUser", "MPTTModel", "Model")
_TEST_CASES = (
    "APITestCase",
    "APITransactionTestCase",
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "LiveServerTestCase",
    "StaticLiveServerTestCase",
    "TransactionChannelTestCase",
    "TransactionTestCase",
)
_DATABASES = (
    "{which} may query the database `default` alone: give the class databases = "
    '{{"default", …}} if it uses another, too.'
)


def notes(project: Project) -> Iterator[Note]:
    own = {part for module in project.modules for part in (*module.package, module.dotted)}
    found = [(module, one) for module in project.modules for one in settings(module)]
    listed = {module: set(_lists_of_apps(module)) for module in project.modules}
    for module, one in found:
        if one.name in _SETTINGS:
            yield _note(module, one.node, _SETTINGS[one.name])
        is_list = one.name.endswith("APPS") or one.name in listed[module]
        if is_list and one.value is not None:
            yield from _of_apps(one.value, module, own)
        if one.name == "CHANNEL_LAYERS":
            yield from _Layers(project).notes(one, module)
    for module in project.modules:
        yield from _of_strings(module)
    yield from _of_primary_keys(found, project)
    yield from _of_secret_key(found, project)
    yield from _of_databases(found, project)


def _of_strings(module: Module) -> Iterator[Note]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for name, sentence in _STRINGS.items():
                if node.value == name or node.value.startswith(f"{name}."):
                    yield _note(module, node, sentence)


def _lists_of_apps(module: Module) -> Iterator[str]:
    """The names of lists that INSTALLED_APPS is put together from in a module."""
    for one in settings(module):
        if one.name == "INSTALLED_APPS" and one.value is not None:
            yield from (node.id for node in ast.walk(one.value) if isinstance(node, ast.Name))


def _of_apps(value: ast.expr, module: Module, own: Container[str]) -> Iterator[Note]:
    for one in ast.walk(value):
        app = one.value if isinstance(one, ast.Constant) else None
        if not isinstance(app, str) or not isinstance(one, ast.expr):
            continue
        root = app.partition(".")[0]
        if app in ("channels.delay", "djchan.delay"):
            yield _note(module, one, _TABLE)
        elif is_another_app(root, own):
            yield _note(module, one, ANOTHER_APP.format(name=root))


class _Layers:
    """The entries of CHANNEL_LAYERS, followed through names, ``dict(…)`` and ``**``."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._items = project.items
        self._value = project.value

    def notes(self, one: Setting, module: Module) -> Iterator[Note]:
        if not one.path:
            for _, entry, where in self._items(one.value, module):
                yield from self._of_entry(entry, where)
        elif len(one.path) == 1:
            yield from self._of_entry(one.value, module)
        elif one.value is not None:
            yield from self._of_item(one.path[-1], one.value, module)

    def _of_entry(self, entry: ast.expr | None, module: Module) -> Iterator[Note]:
        found = list(self._items(entry, module))
        backends = [self._value(value, where)[0] for key, value, where in found if key == "BACKEND"]
        has_sentinels = any(
            isinstance(one, ast.Constant) and "Sentinel" in str(one.value) for one in backends
        )
        for key, value, where in found:
            if not (has_sentinels and key.endswith("CONFIG")):
                yield from self._of_item(key, value, where)

    def _of_item(self, key: str, value: ast.expr, module: Module) -> Iterator[Note]:
        if key in ("CONFIG", "TEST_CONFIG"):
            for inner, hosts, where in self._items(value, module):
                if inner == "hosts":
                    yield from self._of_item(inner, hosts, where)
            return
        found, where = self._value(value, module)
        if key == "BACKEND" and isinstance(found, ast.Constant):
            if not self._is_layer(str(found.value), where):
                yield _note(where, found, _NO_LAYER.format(name=found.value))
        elif key == "hosts" and isinstance(found, ast.List | ast.Tuple) and len(found.elts) > 1:
            yield _note(where, found, _HOSTS)

    def _is_layer(self, dotted: str, module: Module) -> bool:
        """Whether a BACKEND is one that djchan has, or a class of the project made of one."""
        own = self._project.find(dotted, module)
        names = [dotted] if own is None else self._project.bases(own)
        return any(name.startswith(_KNOWN_LAYERS) for name in names)


def _of_primary_keys(found: list[tuple[Module, Setting]], project: Project) -> Iterator[Note]:
    """DEFAULT_AUTO_FIELD, said once, and where there are models."""
    models = sorted(_models(project), key=lambda one: (one.module.path, one.node.lineno))
    if not models or any("auto_field" in module.text.lower() for module in project.modules):
        return
    lists = [
        (module, one.node, "django.contrib" in ast.unparse(one.value))
        for module, one in found
        if one.name == "INSTALLED_APPS" and not module.is_test and one.value is not None
    ]
    # Where most of it stands: others add to that.
    for module, node, _ in sorted(lists, key=lambda one: not one[2])[:1]:
        yield _note(module, node, _AUTO_FIELD)
    if not lists:
        yield _note(models[0].module, models[0].node, _AUTO_FIELD_OF_APP)


def _of_secret_key(found: list[tuple[Module, Setting]], project: Project) -> Iterator[Note]:
    """Settings without SECRET_KEY, as a reusable app's tests have them; and a key by chance."""
    for module, one in found:
        is_key = one.name == "SECRET_KEY" and not module.is_test
        if is_key and one.value is not None and _is_made_anew(one.value):
            yield _note(module, one.node, _RANDOM_KEY)
    if any("SECRET_KEY" in module.text for module in project.modules):
        return
    for module, one in found:
        if one.name == "CHANNEL_LAYERS" and not one.path:
            yield _note(module, one.node, _SECRET_KEY)
            return


def _is_made_anew(key: ast.expr) -> bool:
    return not isinstance(key, ast.Constant) and bool(_RANDOM.search(ast.unparse(key)))


def _models(project: Project) -> Iterator[Definition]:
    for one in project.definitions():
        if not one.module.is_test and isinstance(one.node, ast.ClassDef):
            ends = {name.rpartition(".")[2] for name in project.bases(one)}
            if ends & set(_MODELS):
                yield one


def _of_databases(found: list[tuple[Module, Setting]], project: Project) -> Iterator[Note]:
    """Tests of a project with several databases that do not name theirs; said once."""
    several = any(
        len(list(project.items(one.value, module))) > 1
        for module, one in found
        if one.name == "DATABASES" and not one.path
    ) or any(one.name == "DATABASES" and one.path[:1] > ("default",) for _, one in found)
    if not several:
        return
    silent = []
    for one in project.definitions():
        names = set(project.bases(one))
        if one.module.is_test and any(_queries(name) for name in names):
            lineage = project.lineage(one)
            if not any(each.attribute(what) for each in lineage for what in _NAMED):
                silent.append(Note(one.module.path, one.node.lineno, ""))
    if silent:
        others = len(silent) - 1
        which = f"This class, and {others} more of tests," if others else "This class"
        yield min(silent)._replace(sentence=_DATABASES.format(which=which))


_NAMED = ("databases", "multi_db")


def _queries(base: str) -> bool:
    package, _, name = base.rpartition(".")
    return name in _TEST_CASES or (name == "TestCase" and package.startswith("django"))


def _note(module: Module, node: ast.AST, sentence: str) -> Note:
    return Note(module.path, getattr(node, "lineno", 1), sentence)
