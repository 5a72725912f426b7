"""What is to be decided in consumers and views: where djchan does other than 1.x.

It is the contract of migrating.md, where a reader can see that it concerns a line of theirs.
"""

import ast
from collections.abc import Container, Iterator
from typing import NamedTuple

from djchan.upgrade.modules import Definition, Function, Module, Project
from djchan.upgrade.settings import settings
from djchan.upgrade.source import Note

_SOCKET_CLASSES = frozenset(
    f"djchan.generic.websockets.{name}"
    for name in ("WebsocketConsumer", "JsonWebsocketConsumer", "WebsocketDemultiplexer")
)
_ORIGIN = frozenset(
    {
        "djchan.security.websockets.allowed_hosts_only",
        "djchan.security.websockets.AllowedHostsOnlyOriginValidator",
        "djchan.security.websockets.any_origin",
    }
)

_ALL_HOSTS = frozenset({"['*']", "('*',)", "'*'"})

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
NO_REPLY = (
    "message.reply_channel is never None now; where a message has none, it is false: write "
    "{remedy}."
)
VIEW = (
    "Under a worker this is sent together with the response, under any other server at once; "
    "with on_commit=True it waits for the transaction."
)


def notes(project: Project) -> Iterator[Note]:
    opened = [consumer for module in project.modules for consumer in _connecting(module, project)]
    opened = [one for one in opened if not one.module.is_test]
    streams = set(_streams(project))
    admits_all = _admits_all(project)
    for consumer in opened:
        yield from _of_connect(consumer, project, admits_all=admits_all)
    for one in _socket_classes(project, {consumer.node for consumer in opened}):
        connect = _inherited(one, "connect", project)
        if connect and one.node.name not in streams and not _answers(connect.node, one, project):
            name = f"{connect.owner.node.name}.connect"
            yield _note(connect.owner.module, connect.node, NEVER_ACCEPTS, name=name)
    for module in project.modules:
        if not module.is_test:
            yield from _of_module(module)


# ------------------------------------------------------------------------- sockets


class _Method(NamedTuple):
    owner: Definition
    node: Function


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
            found = project.wrapped(each, module)
            if found is not None:
                yield found


def _socket_classes(project: Project, routed: Container[ast.AST]) -> Iterator[Definition]:
    """Classes that sockets may reach: those that are routed, and those that no other is made of."""
    classes = [
        one
        for one in project.definitions()
        if not one.module.is_test and set(project.bases(one)) & _SOCKET_CLASSES
    ]
    bases = {above.node for one in classes for above in project.lineage(one)[1:]}
    yield from (one for one in classes if one.node in routed or one.node not in bases)


def _inherited(one: Definition, name: str, project: Project) -> _Method | None:
    """The method of a class, or of one that it is made of."""
    for owner in project.lineage(one):
        method = owner.method(name)
        if method is not None:
            return _Method(owner, method)
    return None


def _of_connect(consumer: Definition, project: Project, *, admits_all: bool) -> Iterator[Note]:
    node, module = consumer.node, consumer.module
    if isinstance(node, ast.ClassDef):
        if not set(project.bases(consumer)) & _SOCKET_CLASSES:
            return
        lineage = project.lineage(consumer)
        decorators = [name for one in lineage for name in one.decorators]
        connect = _inherited(consumer, "connect", project)
        if connect is not None:
            decorators += Definition(connect.owner.module, connect.node).decorators
        opened = any(one.attribute("any_origin") is not None for one in lineage)
        remedy = _SAY_SO
    else:
        opened = False
        decorators = consumer.decorators
        remedy = _DECORATE
        if not _answers(node, consumer, project):
            yield _note(module, node, NEVER_ACCEPTS, name=node.name)
    if not (opened or admits_all or _ORIGIN & set(decorators)):
        yield _note(module, node, FOREIGN, remedy=remedy.format(name=node.name))


def _admits_all(project: Project) -> bool:
    """Whether all settings have ``ALLOWED_HOSTS = ["*"]``: then no page is refused."""
    hosts = [
        ast.unparse(one.value)
        for module in project.modules
        if not module.is_test
        for one in settings(module)
        if one.name == "ALLOWED_HOSTS" and one.value is not None
    ]
    # [] is a setting for development, or one that another file replaces.
    hosts = [written for written in hosts if written not in ("[]", "()")]
    return bool(hosts) and set(hosts) <= _ALL_HOSTS


def _answers(
    function: Function, one: Definition, project: Project, *, seen: frozenset[str] = frozenset()
) -> bool:
    """Whether a consumer of websocket.connect may accept: it answers, or calls who could."""
    parameters = [each.arg for each in function.args.args if each.arg not in ("self", "cls")]
    message = parameters[0] if parameters else "message"
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and node.value == "accept":
            return True
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            whom, called = ast.unparse(node.func.value), node.func.attr
            if called in ("send", "asend") and (
                whom == "self" or "reply_channel" in whom or "multiplexer" in whom
            ):
                return True
            helper = _inherited(one, called, project) if whom == "self" else None
            if helper is not None and called not in seen:
                seen |= {called}
                if _answers(helper.node, one, project, seen=seen):
                    return True
        given = [*node.args, *(each.value for each in node.keywords)]
        if any(isinstance(each, ast.Name) and each.id == message for each in given):
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
        elif isinstance(node, ast.Compare) and _compares_reply_channel(node):
            absent = isinstance(node.ops[0], ast.Is | ast.Eq)
            remedy = f"{'not ' if absent else ''}{ast.unparse(node.left)}"
            yield _note(module, node, NO_REPLY, remedy=remedy)
        elif isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if module.named(raised) == "djchan.exceptions.ConsumeLater":
                yield _note(module, node, LATER)


def _compares_reply_channel(node: ast.Compare) -> bool:
    """Whether it is ``….reply_channel is None``, or is not, or with == and !=."""
    other = node.comparators[0]
    return (
        isinstance(node.left, ast.Attribute)
        and node.left.attr == "reply_channel"
        and isinstance(other, ast.Constant)
        and other.value is None
    )


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


def _note(module: Module, node: ast.stmt | ast.expr, sentence: str, **names: str) -> Note:
    return Note(module.path, node.lineno, sentence.format(**names) if names else sentence)
