"""A machine in a folder: the files of deploy/, run by Debian's nginx and supervisor.

The files are used as they are, but for what is a machine's own: paths, ports, the user. Each
word that is put in another's place has to be there.
"""

import os
import pwd
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.processes import ROOT, Process, Processes
from tests.support.servers import Server
from tests.support.waiting import free_port, listening, missing, wait_for

DEPLOY = ROOT / "deploy"
PROJECT = Path(__file__).parent / "project"
START = 60.0  # Seconds for half a dozen Pythons on a busy machine.

NGINX_CONF = """\
daemon off;
pid {folder}/nginx.pid;
{user}
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/etc/nginx/sites-available/mysite.conf;
    # The ways to split, without TLS; and a proxy that was set up for pages only.
    server {{
        listen 127.0.0.1:{by_path};
        location /static/ {{ alias {folder}/static/; }}
        include {folder}/etc/nginx/mysite/by-path.conf;
    }}
    server {{
        listen 127.0.0.1:{by_upgrade};
        include {folder}/etc/nginx/mysite/by-upgrade.conf;
    }}
    server {{
        listen 127.0.0.1:{daphne_only};
        include {folder}/etc/nginx/mysite/daphne-only.conf;
    }}
    server {{
        listen 127.0.0.1:{without_upgrade};
        location / {{ proxy_pass http://mysite_daphne; }}
        location /half/ {{
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_pass http://mysite_daphne;
        }}
    }}
}}
"""

SUPERVISORD_CONF = """\
[unix_http_server]
file={folder}/supervisor.sock
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/supervisor.sock
[include]
files={folder}/etc/supervisor/conf.d/mysite.conf
"""

PORTS = ("http", "https", "by_path", "by_upgrade", "daphne_only", "without_upgrade")


def find(name: str, package: str) -> str:
    """The path of a program; skips or fails the test when there is none."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    return path or missing(name, f"apt-get install {package}")


def put(text: str, places: dict[str, str]) -> str:
    """``text`` with other words in the place of some, each of which has to be there."""
    for word, instead in places.items():
        assert word in text, word
        text = text.replace(word, instead)
    return text


class Site:
    """The site of ``project/``, set up as docs/howto/deploy.md does it, on ports of its own."""

    def __init__(self, processes: Processes, broker: Server) -> None:
        self.nginx = find("nginx", "nginx")
        self.supervisord = find("supervisord", "supervisor")
        self.supervisorctl = find("supervisorctl", "supervisor")
        self.openssl = find("openssl", "openssl")
        self.processes = processes
        self.broker = broker
        # Not pytest's folder: the path of a unix socket has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="djchan-deploy-"))
        self.proxy: Process | None = None
        self.ports: dict[str, int] = {}
        for name in PORTS:
            self.ports[name] = free_port()
            assert len(set(self.ports.values())) == len(self.ports)

    def start(self) -> None:
        self._write_environment()
        self._make_certificate()
        self._manage("migrate", "--verbosity=0")
        self._manage("collectstatic", "--no-input", "--verbosity=0")
        self._manage("check", "--deploy", "--tag=djchan", "--fail-level=WARNING")
        self._start_supervisor()
        self._start_nginx()

    def stop(self) -> None:
        """End all of it, or what there is of it."""
        if self.proxy is not None:
            self.proxy.stop(timeout=START)
        if (self.folder / "supervisor.sock").exists():
            # Its children are in process groups of their own: it is asked to end them.
            self.ctl("shutdown")
            wait_for(
                lambda: not (self.folder / "supervisord.pid").exists(),
                timeout=START,
                what="supervisord has ended its children and itself",
            )
        for log in sorted(self.folder.glob("*.log")):
            # Shown by pytest only where the test failed.
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        shutil.rmtree(self.folder)

    # ---------------------------------------------------------------------- in use

    def url(self, server: str, path: str, *, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.ports[server]}{path}"

    @property
    def trusting(self) -> ssl.SSLContext:
        """A context that knows this site's certificate."""
        return ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))

    def ctl(self, *words: str) -> str:
        """supervisorctl, as an administrator types it; what it printed."""
        done = subprocess.run(
            [self.supervisorctl, "-c", str(self.folder / "supervisord.conf"), *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    def log(self, program: str) -> str:
        """What a program of supervisor's has printed since its start, restarts included."""
        pattern = f"{program}-stdout*.log"
        return "".join(path.read_text(errors="replace") for path in self.folder.glob(pattern))

    def wait_logged(self, words: str, *programs: str) -> None:
        """Wait until one of ``programs`` has printed ``words``."""
        wait_for(
            lambda: any(words in self.log(program) for program in programs),
            timeout=20,
            what=f"one of {programs} prints {words!r}",
        )

    # ----------------------------------------------------------------------- set up

    def _install(self, name: str, target: str, places: dict[str, str]) -> None:
        """A file of deploy/ to its place below our folder."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(put((DEPLOY / name).read_text(), places))

    def _write_environment(self) -> None:
        (self.folder / "run").mkdir()
        own = f"STATIC_ROOT={self.folder}/static\nDATABASE={self.folder}/db\n"
        self._install("env", "etc/mysite/env", {"redis://127.0.0.1:6379/0": self.broker.url})
        with (self.folder / "etc/mysite/env").open("a") as env:
            env.write(own)

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *(self.openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(self.folder / "privkey.pem")),
                *("-out", str(self.folder / "fullchain.pem")),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _manage(self, *arguments: str) -> None:
        lines = (self.folder / "etc/mysite/env").read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        process = self.processes.manage(*arguments, env=env, cwd=PROJECT)
        assert process.wait_exit(timeout=START) == 0, process.output()

    def _start_supervisor(self) -> None:
        user = pwd.getpwuid(os.getuid()).pw_name
        self._install(
            "supervisor/mysite.conf",
            "etc/supervisor/conf.d/mysite.conf",
            {
                "/etc/mysite/env": f"{self.folder}/etc/mysite/env",
                "/srv/mysite/venv/bin/": f"{Path(sys.executable).parent}/",
                "/srv/mysite/app": str(PROJECT),
                "/run/mysite/": f"{self.folder}/run/",
                "user=mysite": f"user={user}",
            },
        )
        conf = self.folder / "supervisord.conf"
        own = "user=root" if os.geteuid() == 0 else ""
        conf.write_text(SUPERVISORD_CONF.format(folder=self.folder, user=own))
        process = self.processes.start(
            *(self.supervisord, "-c", str(conf)),
            name="supervisord",
            env={"PYTHONUNBUFFERED": ""},  # What it runs has it from /etc/mysite/env.
            cwd=PROJECT,
        )
        process.wait_printed(r"spawned: 'mysite-worker-2'", timeout=START)
        wait_for(self._all_running, timeout=START, what="supervisor says that all are running")
        wait_for(self._all_ready, timeout=START, what="sockets are there, workers are ready")

    def _all_running(self) -> bool:
        states = self.ctl("status").splitlines()
        return len(states) == 6 and all(re.search(r"\sRUNNING\s", line) for line in states)

    def _all_ready(self) -> bool:
        sockets = [self.folder / "run" / name for name in ("daphne-1", "daphne-2", "gunicorn")]
        workers = ("mysite-worker-1", "mysite-worker-2", "mysite-background")
        return all(path.with_suffix(".sock").is_socket() for path in sockets) and all(
            "is ready" in self.log(name) for name in workers
        )

    def _start_nginx(self) -> None:
        here = {"/etc/nginx/mysite/": f"{self.folder}/etc/nginx/mysite/"}
        for name in ("by-path.conf", "by-upgrade.conf", "daphne-only.conf"):
            self._install(f"nginx/mysite/{name}", f"etc/nginx/mysite/{name}", here)
        self._install("nginx/mysite/proxy.conf", "etc/nginx/mysite/proxy.conf", {})
        self._install(
            "nginx/mysite.conf",
            "etc/nginx/sites-available/mysite.conf",
            {
                **here,
                "/run/mysite/": f"{self.folder}/run/",
                "/srv/mysite/static/": f"{self.folder}/static/",
                "/etc/letsencrypt/live/example.com/": f"{self.folder}/",
                "server_name example.com": "server_name 127.0.0.1",
                # Not every machine has IPv6.
                "listen [::]:80;": "",
                "listen [::]:443 ssl http2;": "",
                "listen 80;": f"listen 127.0.0.1:{self.ports['http']};",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.ports['https']} ssl http2;",
            },
        )
        conf = self.folder / "nginx.conf"
        own = "user root;" if os.geteuid() == 0 else ""
        conf.write_text(NGINX_CONF.format(folder=self.folder, user=own, **self.ports))
        process = self.processes.start(
            self.nginx, "-p", str(self.folder), "-e", "stderr", "-c", str(conf), name="nginx"
        )
        self.proxy = process
        process.port = self.ports["https"]
        process.wait_listening(timeout=START)
        assert all(listening(port) for port in self.ports.values())
