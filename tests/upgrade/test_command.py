"""``python -m djchan.upgrade`` on projects written to the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from djchan.upgrade import __main__ as command

SETTINGS = """\
INSTALLED_APPS = [
    'django.contrib.staticfiles',
    'channels',
    'channels.delay',
]
CHANNEL_LAYERS = {
    'default': {'BACKEND': 'asgi_redis.RedisChannelLayer', 'ROUTING': 'site.routing.routes'},
}
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
"""
ROUTING = """\
from channels import route
from .consumers import connect
routes = [route('websocket.connect', connect)]
"""
CONSUMERS = """\
from channels.sessions import channel_session

@channel_session
def connect(message):
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "site/settings.py": SETTINGS,
        "site/routing.py": ROUTING,
        "site/consumers.py": CONSUMERS,
        "site/models.py": "import os\r\nx = 'not ours'\r\n",
        "templates/base.html": "{% load staticfiles %}\n",
        "requirements.txt": "channels==1.1.8\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_rewrites_and_says_so(project: Path, capsys: pytest.CaptureFixture[str]):
    untouched = (project / "site/models.py").stat().st_mtime_ns

    assert command.main([str(project)]) == 0

    assert (project / "site/settings.py").read_text() == (
        SETTINGS.replace("    'channels',\n", "")
        .replace("[\n", "[\n    'djchan',\n", 1)
        .replace("channels.delay", "djchan.delay")
        .replace("asgi_redis", "djchan.layers.redis")
    )
    assert (project / "site/routing.py").read_text() == ROUTING.replace(
        "from channels", "from djchan"
    )
    assert (project / "templates/base.html").read_text() == "{% load static %}\n"
    assert (project / "requirements.txt").read_text() == "channels==1.1.8\n"
    assert (project / "site/models.py").stat().st_mtime_ns == untouched
    printed = capsys.readouterr().out
    assert "      1 - from channels import route\n      1 + from djchan import route\n" in printed
    assert "4 files rewritten." in printed
    assert "site/consumers.py:4: connect seems never to accept" in printed
    assert "site/settings.py:4: To keep the rows of the delay server" in printed
    assert "requirements.txt:1: Write djchan" in printed


def test_twice_is_once(project: Path, capsys: pytest.CaptureFixture[str]):
    command.main([str(project)])
    once = contents(project)
    decisions = capsys.readouterr().out.split("What a person must decide")[1]

    assert command.main([str(project)]) == 0

    assert contents(project) == once
    printed = capsys.readouterr().out
    assert printed.startswith("Nothing to rewrite.")
    assert printed.split("What a person must decide")[1] == decisions


def test_check_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]):
    before = contents(project)

    assert command.main(["--check", str(project)]) == 1

    assert contents(project) == before
    assert "4 files would be rewritten." in capsys.readouterr().out
    command.main([str(project)])
    assert command.main(["--check", str(project)]) == 0


def test_a_later_channels_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = "from channels.generic.websocket import WebsocketConsumer\n"
    (tmp_path / "consumers.py").write_text(source)
    (tmp_path / "settings.py").write_text("INSTALLED_APPS = ['channels']\n")

    assert command.main([str(tmp_path)]) == 2

    assert (tmp_path / "settings.py").read_text() == "INSTALLED_APPS = ['channels']\n"
    assert "consumers.py:1: channels.generic.websocket" in capsys.readouterr().err


def test_a_package_of_its_own_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/__init__.py").write_text("class Group: pass\n")
    (tmp_path / "views.py").write_text("from channels import Group\n")

    assert command.main([str(tmp_path)]) == 0

    assert (tmp_path / "views.py").read_text() == "from channels import Group\n"
    assert "channels:1: This is a package of your own" in capsys.readouterr().out


def test_a_project_without_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "urls.py").write_text("from django.conf.urls import url\n")

    assert command.main(["--check", str(tmp_path)]) == 0

    assert capsys.readouterr().out == "Nothing to rewrite.\n"


def test_python_2_is_told_and_left(project: Path, capsys: pytest.CaptureFixture[str]):
    source = "from channels import Group\nprint 'x'\n"
    (project / "old.py").write_text(source)

    assert command.main([str(project)]) == 0

    assert (project / "old.py").read_text() == source
    assert "old.py:2: This file is not Python 3" in capsys.readouterr().out


def test_a_file_that_cannot_be_written(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.name == "routing.py":
            raise PermissionError(13, "Permission denied", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)

    assert command.main([str(project)]) == 2

    assert "routing.py" in capsys.readouterr().err
    monkeypatch.undo()
    assert command.main([str(project)]) == 0
    assert "from djchan" in (project / "site/routing.py").read_text()


def test_one_file(project: Path):
    assert command.main([str(project / "site/routing.py")]) == 0

    assert "from djchan" in (project / "site/routing.py").read_text()
    assert "from channels" in (project / "site/consumers.py").read_text()


def test_permissions_stay(project: Path):
    path = project / "site/routing.py"
    path.chmod(0o750)

    command.main([str(project)])

    assert path.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_nothing_there(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "empty").mkdir()

    assert command.main([str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err


def test_without_its_extra(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(command, "HAS_EXTRA", False)
    before = contents(project)

    assert command.main([str(project)]) == 2

    assert contents(project) == before
    assert 'pip install "djchan[upgrade]"' in capsys.readouterr().err


def test_it_needs_no_settings_and_imports_nothing_of_the_project(project: Path):
    (project / "site/bomb.py").write_text("import channels\nraise SystemExit('imported')\n")
    environment = {
        name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
    }

    done = subprocess.run(
        [sys.executable, "-m", "djchan.upgrade", "--check", str(project)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert "5 files would be rewritten." in done.stdout


def test_files_that_a_tool_has_written_are_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    docs = '<meta name="generator" content="pdoc 0.3">{% load staticfiles %}?session_key='
    (project / "docs.html").write_text(docs)
    (project / "app.min.js").write_text("bridge.socket.close()")

    assert command.main([str(project)]) == 0

    assert (project / "docs.html").read_text() == docs
    printed = capsys.readouterr().out
    assert "docs.html" not in printed
    assert "app.min.js" not in printed


def test_a_list_that_powershell_wrote(project: Path, capsys: pytest.CaptureFixture[str]):
    raw = "channels==1.1.8\r\nasgi_redis==1.4.3\r\n".encode("utf-16")
    (project / "requirements.txt").write_bytes(raw)

    command.main([str(project)])

    assert (project / "requirements.txt").read_bytes() == raw
    assert "requirements.txt:2: Take this out" in capsys.readouterr().out


def test_a_file_that_cannot_be_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    before = contents(project)
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "routing.py":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)

    assert command.main([str(project)]) == 2

    assert "routing.py" in capsys.readouterr().err
    monkeypatch.undo()
    assert contents(project) == before


def test_a_terminal_that_lacks_letters(project: Path):
    (project / "site/models.py").write_text("from channels import Group  # Räume\n")

    done = subprocess.run(
        [sys.executable, "-m", "djchan.upgrade", str(project)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "R\\xe4ume" in done.stdout


def test_the_help_is_right_for_a_reusable_app(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        command.main(["--help"])

    printed = capsys.readouterr().out
    assert "reusable app" in printed
    assert "manage.py" not in printed


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_output_into_a_pipe_that_nobody_reads_ends_quietly(project: Path, arguments: list[str]):
    # Enough for any pipe's buffer.
    lines = [f"mock.patch('channels.worker.Worker.x{number:050}')\n" for number in range(1000)]
    (project / "many.py").write_text("".join(lines))
    with subprocess.Popen(
        [sys.executable, "-m", "djchan.upgrade", *arguments, str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "many.py\n"
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait() == 141
    assert ("from djchan" in (project / "site/routing.py").read_text()) is not bool(arguments)
