"""What systemd, supervisor and compose are told fits djchan's limits, and one another."""

import configparser
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from djchan.interface.options import InterfaceOptions
from djchan.lanes.options import WorkerOptions
from tests.deploy.site import DEPLOY, PROJECT, put
from tests.support.processes import ROOT, Processes
from tests.support.servers import Server
from tests.support.waiting import missing

pytestmark = pytest.mark.timeout(60)

SYSTEMD, SUPERVISOR = DEPLOY / "systemd", DEPLOY / "supervisor" / "mysite.conf"
SERVICES = {
    "mysite-gunicorn.service": "program:mysite-gunicorn",
    "mysite-daphne@.service": "program:mysite-daphne",
    "mysite-worker@.service": "program:mysite-worker",
    "mysite-background.service": "program:mysite-background",
}
LAST_WORDS = 3.0  # Seconds that djchan.interface.daphne gives clients and applications, together.
GRACE = {
    "gunicorn": 30.0,  # Its own --graceful-timeout.
    "daphne": InterfaceOptions().shutdown_grace + LAST_WORDS,
    "worker": WorkerOptions().grace,
    "background": WorkerOptions().grace,
}


def unit(name: str) -> dict[str, str]:
    """The [Service] of a systemd unit."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SYSTEMD / name)
    return dict(parser["Service"])


def program(name: str) -> dict[str, str]:
    """One section of supervisor's file."""
    parser = configparser.RawConfigParser()
    parser.read(SUPERVISOR)
    return dict(parser[name])


def kind(service: str) -> str:
    return re.split(r"[-@.]", service)[1]


def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze") or missing(
        "systemd-analyze", "apt-get install systemd"
    )
    for path in SYSTEMD.iterdir():
        # It wants the programs and the user to be there.
        text = re.sub(r"/srv/mysite/venv/bin/\w+", "/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text.replace("User=mysite", "User=root"))
    for path in sorted(tmp_path.iterdir()):
        done = subprocess.run(
            [analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=50
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), path.name


@pytest.mark.parametrize(("service", "section"), SERVICES.items())
def test_systemd_and_supervisor_run_the_same(service: str, section: str) -> None:
    command = unit(service)["ExecStart"].replace("%i", "%(process_num)d")
    wrapped = re.fullmatch(
        r"/bin/sh -ac '\. /etc/mysite/env; exec (.*)'", program(section)["command"]
    )
    assert wrapped is not None
    assert wrapped[1] == command


@pytest.mark.parametrize(("service", "section"), SERVICES.items())
def test_nobody_is_killed_within_his_grace(service: str, section: str) -> None:
    grace = GRACE[kind(service)]
    for limit, number in (
        (unit(service)["TimeoutStopSec"], unit(service)["KillSignal"]),
        (program(section)["stopwaitsecs"], "SIG" + program(section)["stopsignal"]),
    ):
        assert number == "SIGTERM"
        assert grace + 5 <= float(limit) <= grace + 15


def test_who_dies_is_started_again() -> None:
    for service, section in SERVICES.items():
        assert unit(service)["Restart"] == "always"
        assert program(section)["autorestart"] == "true"
        if kind(service) in ("worker", "background"):
            # However often: systemd's own limit is five times in ten seconds.
            assert "\nStartLimitIntervalSec=0\n" in (SYSTEMD / service).read_text()


def test_the_target_starts_all_of_them() -> None:
    wanted = re.findall(r"(mysite-\S+\.service)", (SYSTEMD / "mysite.target").read_text())
    assert {re.sub(r"@\d", "@", name) for name in wanted} == set(SERVICES)


def test_containers_have_the_same_grace_and_commands() -> None:
    """By its text only: no container engine was at hand, as the files say."""
    compose = (DEPLOY / "container" / "compose.yaml").read_text()
    containerfile = (DEPLOY / "container" / "Containerfile").read_text()
    assert "UNTESTED HERE" in compose
    assert "UNTESTED HERE" in containerfile
    for service in ("daphne", "worker", "background"):
        block = compose.split(f"\n  {service}:\n")[1].split("\n\n")[0]
        (seconds,) = re.findall(r"stop_grace_period: (\d+)s", block)
        assert float(seconds) == float(
            unit(
                f"mysite-{service}@.service"
                if service != "background"
                else "mysite-background.service"
            )["TimeoutStopSec"]
        )
    assert 'CMD ["daphne"' in containerfile, "a list: no shell between the engine and Daphne"


def test_a_worker_tells_systemd_when_it_serves(
    own_broker: Server, processes: Processes, tmp_path: Path
) -> None:
    env = {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "DJANGO_SECRET_KEY": "only-for-tests",
        "REDIS_URL": own_broker.url,
        "STATIC_ROOT": str(tmp_path / "static"),
        "DATABASE": str(tmp_path / "db"),
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(env["NOTIFY_SOCKET"])
        systemd.settimeout(30)
        worker = processes.runworker(env=env, cwd=PROJECT)
        assert systemd.recv(100) == b"READY=1"
        worker.wait_printed("is ready")
        assert worker.stop() == 0
        assert systemd.recv(100) == b"STOPPING=1"


def test_deploy_names_nothing_of_this_machine() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert str(ROOT) not in text
            assert not re.search(r"/(home|root|opt|tmp|work)/", text), path


def test_a_word_that_is_not_there_is_no_word() -> None:
    assert put("listen 80;", {"80": "8000"}) == "listen 8000;"
    with pytest.raises(AssertionError):
        put("listen 80;", {"443": "8443"})
