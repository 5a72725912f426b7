"""Requirements in each kind of file that has some: found, read, and on which line."""

import textwrap

import pytest
from packaging.requirements import Requirement

from djchan.upgrade.requirements import parsed, required


def found(path: str, text: str) -> list[tuple[int, str]]:
    return [(line, str(one)) for line, one in required(path, textwrap.dedent(text))]


@pytest.mark.parametrize(
    ("line", "name", "extras"),
    [
        ("channels", "channels", set()),
        ("channels >= 1.0, < 2", "channels", set()),
        ("asgi_redis[cryptography]~=1.4", "asgi_redis", {"cryptography"}),
        ("asgiref (==1.1.2)", "asgiref", set()),
        ("channels @ https://x.invalid/channels-1.1.8.tar.gz", "channels", set()),
        ("git+https://github.com/django/channels.git@1.1.8#egg=channels", "channels", set()),
        ("git+https://github.com/django/channels.git@1.1.8", "channels", set()),
        ("-e git+ssh://git@example.com/fork.git#egg=asgi_redis[x]", "asgi_redis", {"x"}),
        ("--editable=git+https://x.invalid/y#subdirectory=z&egg=daphne", "daphne", set()),
        ("https://github.com/django/daphne/archive/1.4.2.tar.gz", "daphne", set()),
        ("https://x.invalid/files/asgiref-1.1.2-py2.py3-none-any.whl", "asgiref", set()),
        ("Django==1.8beta-dev+x_y", "Django", set()),
        ("channels==1.1.8 --hash=sha256:abc", "channels", set()),
    ],
)
def test_one_requirement(line: str, name: str, extras: set[str]):
    requirement = parsed(line)

    assert requirement is not None
    assert (requirement.name, requirement.extras) == (name, extras)


@pytest.mark.parametrize("line", ["", "-r base.txt", "--index-url https://x", "-e .", "./here"])
def test_none(line: str):
    assert parsed(line) is None


FILES = {
    "requirements.txt": (
        """
        # channels==1.0
        channels==1.1.8  # via x
        asgi_redis==1.4.3 \\
            --hash=sha256:abc
        daphne~=1.4
        """,
        [(3, "channels==1.1.8"), (4, "asgi_redis==1.4.3"), (6, "daphne~=1.4")],
    ),
    "requirements/prod.txt": ("channels<2", [(1, "channels<2")]),
    "constraints.txt": ("channels<2", [(1, "channels<2")]),
    "dev-requirements.txt.j2": ("channels<2", [(1, "channels<2")]),
    "setup.py": (
        """
        from setuptools import setup
        REQUIREMENTS = "asgiref==1.1.2"
        setup(
            name="channels_shop",
            keywords=["channels"],
            python_requires=">=3.5",
            install_requires=[
                "channels>=1.1",
            ] + ["daphne"],
            extras_require={"channels": ["asgi_redis"]},
            tests_require='''
                redis==2.10
            ''',
        )
        """,
        [
            (3, "asgiref==1.1.2"),
            (9, "channels>=1.1"),
            (10, "daphne"),
            (11, "asgi_redis"),
            (13, "redis==2.10"),
        ],
    ),
    "Pipfile": (
        """
        [[source]]
        name = "pypi"
        [packages]
        channels = "==1.1.8"
        "asgi_redis" = {version = "*", extras = ["cryptography"]}
        daphne = {git = "https://x.invalid/daphne.git", ref = "1.4"}
        redis = "*"
        [dev-packages]
        Django = "<2"
        [requires]
        python_version = "3.6"
        """,
        [
            (5, "channels==1.1.8"),
            (6, "asgi_redis[cryptography]"),
            (7, "daphne@ https://x.invalid/daphne.git"),
            (8, "redis"),
            (10, "Django<2"),
        ],
    ),
    "pyproject.toml": (
        """
        [project]
        name = "channels"
        dependencies = [
            "channels>=1.1",  # sockets
            'asgi_redis[cryptography]; python_version > "3"',
        ]
        keywords = ["channels"]
        [project.optional-dependencies]
        delay = ["daphne"]
        [tool.poetry.dependencies]
        django = "^1.11"
        asgiref = "~1.1"
        redis = "2.10"
        twisted = "^0.3"
        [tool.poetry.group.dev.dependencies]
        autobahn = ">=17,<18"
        [tool.poetry.dependencies.channels]
        version = "~1.1"
        optional = true
        [tool.flit.metadata]
        requires = ["daphne<2"]
        [tool.other]
        channels = "1"
        """,
        [
            (5, "channels>=1.1"),
            (6, 'asgi_redis[cryptography]; python_version > "3"'),
            (10, "daphne"),
            (12, "django<2,>=1.11"),
            (13, "asgiref<1.2,>=1.1"),
            (14, "redis==2.10"),
            (15, "twisted<0.4,>=0.3"),
            (17, "autobahn<18,>=17"),
            (19, "channels<1.2,>=1.1"),
            (22, "daphne<2"),
        ],
    ),
    "setup.cfg": (
        """
        [metadata]
        name = channels
        [options]
        python_requires = >=3.5
        install_requires =
            channels>=1.1
            # daphne
        [options.extras_require]
        redis = asgi_redis
        """,
        [(7, "channels>=1.1"), (10, "asgi_redis")],
    ),
    "tox.ini": (
        """
        [testenv]
        deps =
            django111: Django>=1.11,<2.0
            channels
            -rrequirements.txt
        commands = daphne
        """,
        [(4, "Django<2.0,>=1.11"), (5, "channels")],
    ),
    "environment.yml": (
        """
        channels:
          - defaults
        dependencies:
          - django=1.11
          - pip:
            - channels==1.1.8
        """,
        [(3, "defaults"), (5, "django==1.11.*"), (7, "channels==1.1.8")],
    ),
    "Dockerfile": (
        """
        FROM python:3.6
        RUN pip install -U "channels>=1.1,<2" daphne -r /requirements.txt && rm -r channels
        RUN pip3 install \\
            asgi_redis \\
            redis==2.10.6
        ENV channels=1
        CMD ["pip", "install", "asgiref"]
        """,
        [
            (3, "channels<2,>=1.1"),
            (3, "daphne"),
            (5, "asgi_redis"),
            (6, "redis==2.10.6"),
            (8, "asgiref"),
        ],
    ),
    ".travis.yml": (
        """
        env:
          - DJANGO="Django>=1.11,<2.0"
        install:
          - pip install $DJANGO channels
          - pip install .
        """,
        [(3, "Django<2.0,>=1.11"), (5, "channels")],
    ),
}


@pytest.mark.parametrize("path", FILES)
def test_in_each_kind_of_file(path: str):
    text, expected = FILES[path]

    assert found(path, text) == [(line, str(Requirement(said))) for line, said in expected]
