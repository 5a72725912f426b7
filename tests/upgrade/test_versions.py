"""Versions of Python and Redis that are too old, wherever they are named."""

import pytest

from djchan.upgrade.versions import old_versions


def lines(text: str, name: str = ".travis.yml") -> list[int]:
    return sorted(number for number, _ in old_versions(name, text.splitlines()))


@pytest.mark.parametrize(
    "line",
    [
        "FROM python:3.6",
        "FROM python:2",
        "FROM python:3.6.4-alpine",
        "image: circleci/python:3.10-node",
        "python-3.6.4",
        "python: 3.6",
        'python_version = "3.6"',
        'python = "^3.6"',
        "  - python=3.6",
        "python-version: [3.5, 3.6]",
        "        python-version: '3.9'",
        "image: redis:3.2-alpine",
        "  - redis:5",
    ],
)
def test_too_old(line: str):
    assert lines(line) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "FROM python:3",
        "FROM python:3.11",
        "FROM python:3.11.2-slim",
        "python: 3.13",
        'python_version = "3.12"',
        "python_requires = >=3.5",
        "python-dateutil==2.6.1",
        "language: python",
        "redis:7-alpine",
        "redis:6379",
        "host: redis:16379",
    ],
)
def test_new_enough_or_something_else(line: str):
    assert lines(line) == []


def test_a_list():
    assert lines('python:\n  - "2.7"\n  - "3.6"\n  - "3.12"\nversions:\n  - "3.6"\n') == [2, 3]


@pytest.mark.parametrize("line", ["envlist = py27,py36", "envlist = py{35,36}-django111"])
def test_environments_of_tox(line: str):
    assert lines(line, "tox.ini") == [1]
    assert lines("envlist = py311, py{312,313}", "tox.ini") == []
