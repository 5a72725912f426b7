"""Which files are the project's."""

from pathlib import Path

import pytest

from djchan.upgrade.files import Kind, files, kind_of


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path, _ in files(root)]


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_what_is_walked(tmp_path: Path):
    write(
        tmp_path,
        "manage.py",
        "a/migrations/0001_initial.py",
        "a/templates/x.html",
        "Procfile",
        "x.png",
    )

    assert names(tmp_path) == [
        "Procfile",
        "manage.py",
        "a/migrations/0001_initial.py",
        "a/templates/x.html",
    ]


@pytest.mark.parametrize(
    ("folder", "sign"),
    [
        (".git", "x"),
        ("node_modules", "x"),
        ("ve", "pyvenv.cfg"),
        ("env", "bin/activate_this.py"),
        ("lib/python3.6/site-packages", "x"),
        ("__pycache__", "x"),
    ],
)
def test_what_is_not(tmp_path: Path, folder: str, sign: str):
    write(tmp_path, f"{folder}/a.py", f"{folder}/{sign}", "b.py")

    assert names(tmp_path) == ["b.py"]


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("#!/bin/sh", Kind.DEPLOYMENT),
        ("#!/usr/bin/env python3", Kind.PYTHON),
        ("Readme", None),
    ],
)
def test_files_without_a_suffix_by_their_first_line(tmp_path: Path, first: str, kind: Kind | None):
    (tmp_path / "run").write_text(f"{first}\n")

    assert kind_of(tmp_path / "run") is kind


def test_hidden_folders_of_ci_are_walked(tmp_path: Path):
    write(tmp_path, ".circleci/config.yml", ".github/workflows/a.yml", ".git/config.yml", ".b.yml")

    assert names(tmp_path) == [".b.yml", ".circleci/config.yml", ".github/workflows/a.yml"]


@pytest.mark.parametrize(
    "name", ["a.html", "mail.html.j2", "chat/templates/mail.txt", "templates/feed.xml", "a.jinja2"]
)
def test_templates(name: str):
    assert kind_of(Path(name)) is Kind.TEMPLATE


def test_links_are_not_followed(tmp_path: Path):
    write(tmp_path, "other/a.py", "project/b.py")
    (tmp_path / "project/link").symlink_to(tmp_path / "other")
    (tmp_path / "project/c.py").symlink_to(tmp_path / "other/a.py")

    assert names(tmp_path / "project") == ["b.py"]


def test_one_file(tmp_path: Path):
    write(tmp_path, "a.py", "b.py")

    assert list(files(tmp_path / "a.py")) == [(tmp_path / "a.py", Kind.PYTHON)]


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "dev_requirements.txt",
        "requirements/base.txt",
        "setup.cfg",
        "pyproject.toml",
        "Pipfile",
        "tox.ini",
        "Procfile",
        "Procfile.dev",
        "Dockerfile",
        "Dockerfile.redis",
        "docker-compose.yml",
        "docker-compose.prod.yml",
        "supervisord.conf",
        "web.service",
        "entrypoint.sh",
        "package.json",
        ".travis.yml",
        ".gitlab-ci.yml",
        ".github/workflows/tests.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        "Makefile",
        "k8s/deployment.yaml",
        "roles/web/tasks/main.yml",
        "roles/web/templates/daphne.service.j2",
        "templates/requirements.txt.j2",
        "daphne.socket",
        ".ebextensions/channels.config",
        "conf/daphne.run",
        "supervisord.conf.example",
        "systemd/daphne.service.in",
        "crontab",
        "start.ps1",
        "requirements.in",
        "requirements.txt.dist",
    ],
)
def test_deployment(name: str):
    assert kind_of(Path(name)) is Kind.DEPLOYMENT


@pytest.mark.parametrize("name", ["README.md", "logo.svg", "poetry.lock", "notes.txt", "LICENSE"])
def test_no_concern(name: str):
    assert kind_of(Path(name)) is None
