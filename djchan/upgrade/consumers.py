"""What is to be decided in consumers, views and bindings: where djchan does other than 1.x.

From ``djchan.upgrade.__main__`` with the whole project; on to the report. It is the contract
of migrating.md, where a reader can see that it concerns a line of theirs.
"""

import ast
from collections.abc import Iterator

from djchan.upgrade.modules import Definition, Function, Module, Project
from djchan.upgrade.source import Note

_SOCKET_CLASSES = frozenset(
    f"djchan.generic.websockets.{name}"
    for name in ("WebsocketConsumer", "JsonWebsocketConsumer", "WebsocketDemultiplexer")
)
_BINDINGS = frozenset(
    {
        "djchan.binding.Binding",
        "djchan.binding.base.Binding",
        "djchan.binding.websockets.WebsocketBinding",
        "djchan.binding.websockets.WebsocketBindingWithMembers",
    }
)
_ORIGIN = frozenset(
    {
        "djchan.security.websockets.allowed_hosts_only",
        "djchan.security.websockets.AllowedHostsOnlyOriginValidator",
        "djchan.security.websockets.any_origin",
    }
)

NEVER_ACCEPTS = (
    "{name} seems never to accept the socket, which then is refused after 4 s: send "
    '{{"accept": True}} or a first frame to message.reply_channel.'
)
FOREIGN = (
    "Pages of hosts that are not in ALLOWED_HOSTS cannot connect any more; if they shall, {remedy}."
)
_DECORATE = "decorate {name} with djchan.security.websockets.any_origin"
_SAY_SO = "give {name} the attribute any_origin = True"
ORDERED = (
    "Every socket's messages run in order now: {what} is a check that costs nothing, and may go."
)
LATER = "What a consumer sent before it raises ConsumeLater is not sent now; in 1.x it was."
VIEW = (
    "Under a worker this is sent together with the response, under any other server at once; "
    "with on_commit=True it waits for the transaction."
)
FIELDLESS = (
    "The binding {name} has neither fields nor exclude, and raises at import: name its fields, "
    "which now hold for what clients create as well."
)
BOUND = (
    "The binding {name} now sends when the transaction commits, asks group_names of the stored row "
    "too, and holds what clients create to its fields; after_commit, reads_stored_row and "
    "create_fields bring back the ways of 1.x."
)


def notes(project: Project) -> Iterator[Note]:
    streams = set(_streams(project))
    seen: set[tuple[str, int]] = set()
    for module in project.modules:
        if module.is_test:
            continue
        for consumer in _connecting(module, project):
            key = (consumer.module.path, consumer.node.lineno)
            if key not in seen:
                seen.add(key)
                yield from _of_connect(consumer, project)
        yield from _of_module(module)
    for one in project.definitions():
        if one.module.is_test:
            continue
        bases = set(project.bases(one))
        name = one.node.name
        if bases & _SOCKET_CLASSES and name not in streams:
            method = one.method("connect")
            if method is not None and not _answers(method):
                yield _note(one.module, method, NEVER_ACCEPTS, name=f"{name}.connect")
        if bases & _BINDINGS:
            yield from _of_binding(one, project)


# ------------------------------------------------------------------------- sockets


def _connecting(module: Module, project: Project) -> Iterator[Definition]:
    """Consumers that a routing of this module gives to websocket.connect."""
    for node in ast.walk(module.tree):
        named: list[ast.expr] = []
        if isinstance(node, ast.Call):
            kind = module.named(node.func).rpartition(".")[2]
            if kind in ("route", "Route") and len(node.args) > 1:
                named = node.args[1:2] if "websocket.connect" in _strings(node.args[0]) else []
            elif kind in ("route_class", "RouteClass"):
                named = node.args[:1]
            elif kind == "as_route" and isinstance(node.func, ast.Attribute):
                named = [node.func.value]
        elif isinstance(node, ast.Dict):
            named = [
                value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "websocket.connect"
            ]
        for each in named:
            found = project.find(module.named(each), module)
            if found is not None:
                yield found


def _of_connect(consumer: Definition, project: Project) -> Iterator[Note]:
    node, module = consumer.node, consumer.module
    if isinstance(node, ast.ClassDef):
        if not set(project.bases(consumer)) & _SOCKET_CLASSES:
            return
        opened = consumer.attribute("any_origin") is not None
        connect = consumer.method("connect")
        decorators = consumer.decorators
        if connect is not None:
            decorators = [*decorators, *Definition(module, connect).decorators]
    else:
        opened = False
        decorators = consumer.decorators
        if not _answers(node):
            yield _note(module, node, NEVER_ACCEPTS, name=node.name)
    if not opened and not set(decorators) & _ORIGIN:
        remedy = _SAY_SO if isinstance(node, ast.ClassDef) else _DECORATE
        yield _note(module, node, FOREIGN, remedy=remedy.format(name=node.name))


def _answers(function: Function) -> bool:
    """Whether a consumer of websocket.connect may accept: it answers, or calls who could."""
    parameters = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
    message = parameters[0] if parameters else "message"
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and node.value == "accept":
            return True
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("send", "asend"):
                whom = ast.unparse(node.func.value)
                if whom == "self" or "reply_channel" in whom or "multiplexer" in whom:
                    return True
            given = [*node.args, *(one.value for one in node.keywords)]
            if any(isinstance(one, ast.Name) and one.id == message for one in given):
                return True
    return False


def _streams(project: Project) -> Iterator[str]:
    """Classes that a demultiplexer calls: it accepts for them."""
    for one in project.definitions():
        consumers = one.attribute("consumers")
        if isinstance(consumers, ast.Dict):
            for value in consumers.values:
                yield one.module.named(value).rpartition(".")[2]


def _strings(node: ast.expr) -> list[str]:
    return [
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


# ------------------------------------------------------------------- one module alone


def _of_module(module: Module) -> Iterator[Note]:
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if module.named(called) == "djchan.sessions.enforce_ordering":
                    yield _note(module, decorator, ORDERED, what="enforce_ordering")
            yield from _of_view(node, module)
        elif isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line) == "strict_ordering = True":
                    yield _note(module, line, ORDERED, what="strict_ordering")
        elif isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if module.named(raised) == "djchan.exceptions.ConsumeLater":
                yield _note(module, node, LATER)


def _of_view(function: Function, module: Module) -> Iterator[Note]:
    """Sends of a function that takes a request."""
    parameters = [one.arg for one in function.args.args[:2]]
    if "request" not in parameters:
        return
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "send"
            and isinstance(node.func.value, ast.Call)
            and module.named(node.func.value.func)
            in ("djchan.Channel", "djchan.Group", "djchan.channel.Channel", "djchan.channel.Group")
        ):
            yield _note(module, node, VIEW)


def _of_binding(one: Definition, project: Project) -> Iterator[Note]:
    model = one.attribute("model")
    if model is None or (isinstance(model, ast.Constant) and model.value is None):
        return
    classes = [one]
    for base in project.bases(one):
        found = project.find(base, one.module)
        classes += [found] if found is not None else []
    listed = any(each.attribute(what) for each in classes for what in ("fields", "exclude"))
    yield _note(one.module, one.node, BOUND if listed else FIELDLESS, name=one.node.name)


def _note(module: Module, node: ast.stmt | ast.expr, sentence: str, **names: str) -> Note:
    return Note(module.path, node.lineno, sentence.format(**names) if names else sentence)
