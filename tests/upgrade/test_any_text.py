"""Whatever a file holds, the advice on it is notes on lines that it has, and no error."""

import ast
from pathlib import Path, PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from djchan.upgrade import bindings, configuration, consumers, facts, old_layers
from djchan.upgrade.files import kind_of
from djchan.upgrade.generated import is_generated
from djchan.upgrade.lines import notes
from djchan.upgrade.modules import Module, Project
from djchan.upgrade.pins import needed
from djchan.upgrade.templates import with_static

NEEDS = needed()
PATHS = [
    ".travis.yml",
    "Dockerfile",
    "Pipfile",
    "daphne.service.j2",
    "docker-compose.yml",
    "environment.yml",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "setup.cfg",
    "setup.py",
    "templates/base.html",
    "tox.ini",
    "static/app.js",
]
PARTS = [
    *("channels", "asgi_redis", "daphne", "Django", "runworker", "python", "redis", "twisted"),
    *(
        "==1.1.8",
        ">=1,<2",
        "===x",
        "~=",
        "^1.1",
        "~1",
        "==1.*",
        "@",
        "#egg=",
        "[tls]",
        "; python_version",
    ),
    *(
        "git+https://x.invalid/y",
        "--ws-protocol",
        "-t",
        "--threads",
        "--hash=",
        "-e ",
        "pip install ",
    ),
    *(
        "=",
        ":",
        "-",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        '"',
        "'",
        ",",
        "\\",
        "#",
        "|",
        ">",
        "<",
        "%",
        "&&",
    ),
    *(
        "[tool.poetry.dependencies]",
        "install_requires",
        "deps =",
        "{% load staticfiles",
        "version = ",
    ),
    *(" ", "  ", "\n", "\n  ", "\n- ", "\r\n", "\t", "é", "\x0c", "\u2028", "1", "3.6"),
]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PATHS), st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_files_that_are_not_python(path: str, text: str):
    kind = kind_of(Path(path))
    assert kind is not None

    found = list(notes(path, kind, text, NEEDS))

    is_generated(PurePosixPath(path), kind, text)
    with_static(text)
    assert all(1 <= note.line <= len(text.splitlines()) for note in found)


STATEMENTS = [
    "from channels import *",
    "from . import *",
    "from .a import A as B",
    "from a import B as A",
    "import a.b as A",
    "A = B",
    "B = A",
    "A = channel_session(A)",
    "class A(B): pass",
    "class B(A, WebsocketConsumer):\n    def connect(self): self.connect()",
    "class C(A):\n    model = M\n    consumers = {'a': A, **B}",
    "def A(message): return B(*message, **message)",
    "routes = [route('websocket.connect', A), route_class(B(A)), A.as_route()]",
    "routes = {**B, 'websocket.connect': A}",
    "CHANNEL_LAYERS = {'a': CHANNEL_LAYERS}",
    "CHANNEL_LAYERS['a']['CONFIG'] = dict(CHANNEL_LAYERS, **CHANNEL_LAYERS)",
    "CHANNEL_LAYERS: dict",
    "CHANNEL_LAYERS[0][x] = {**CHANNEL_LAYERS}",
    "INSTALLED_APPS = INSTALLED_APPS + B",
    "INSTALLED_APPS += A",
    "DATABASES = {'default': DATABASES, **DATABASES}",
    "DATABASES['a'] = A",
    "ALLOWED_HOSTS = ALLOWED_HOSTS",
    "settings.configure(**CHANNEL_LAYERS, DATABASES=DATABASES)",
    "X, (Y, *Z) = 1, (2, 3)",
    "get_channel_layer().connection(0)",
    "if x:\n    from b import *\nelse:\n    A = 1",
]
MODULES = st.lists(st.sampled_from(STATEMENTS), max_size=8).map("\n".join)


@settings(deadline=None, max_examples=300)
@given(
    st.fixed_dictionaries(dict.fromkeys(("a.py", "b/__init__.py", "b/a.py", "tests/a.py"), MODULES))
)
def test_python_files_that_refer_to_one_another(files: dict[str, str]):
    project = Project([Module(path, text, ast.parse(text)) for path, text in files.items()])

    found = [
        note
        for advice in (bindings, configuration, consumers, old_layers)
        for note in advice.notes(project)
    ]
    found += facts.notes(project.modules)

    for note in found:
        assert 1 <= note.line <= len(files[note.path].splitlines())
