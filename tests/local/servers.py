"""Real servers for the tests: PostgreSQL, Redis and nginx of Debian, and a webhook receiver. All on loopback."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

_POLICY = Path("/usr/sbin/policy-rc.d")


def install(executables: Sequence[str], packages: Sequence[str]) -> None:
    """Install Debian packages unless their executables are there; none of their services is started."""
    if all(_find(name) for name in executables):
        return
    before = _POLICY.read_bytes() if _POLICY.exists() else None
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(
                command, check=True, capture_output=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
    finally:
        if before is None:
            _POLICY.unlink()
        else:
            _POLICY.write_bytes(before)


def _find(name: str) -> str | None:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found:
        return found
    postgres = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(postgres[-1]) if postgres else None


def executable(name: str) -> str:
    """Path of an executable that `install` brought."""
    found = _find(name)
    assert found is not None, f"{name} is not installed"
    return found


def free_port() -> int:
    """A port that nobody listens on now, below the range that outgoing connections take theirs from."""
    for port in range(28000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + os.getpid() % 500))
            except OSError:
                continue
            return port + os.getpid() % 500
    raise AssertionError("no free port")


# Every port of a stack with every exporter, TCP and UDP alike, and the sample app's.
_STACK = (
    *(3000, 3100, 4317, 4318, 5555, 6831, 6832, 7979, 8000, 8888, 8889, 9090, 9093, 9095, 9099, 9100, 9113, 9115, 9121),
    *(9187, 9411, 13133, 13134, 14250, 14268, 14317, 16685, 16686),
)


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SHARE = 3300
"""Tests that run at the same time look for ports in different places."""


def free_offset() -> int:
    """A port offset at which a whole stack finds its ports free, below the range of outgoing connections."""
    for step in range(200):
        offset = 6000 + _SHARE * (_WORKER % 3) + (os.getpid() * 7 + step * 41) % _SHARE
        with ExitStack() as held:
            try:
                for port in _STACK:
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        probe = held.enter_context(socket.socket(socket.AF_INET, kind))
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return offset
    raise AssertionError("no free offset")


def await_port(port: int, seconds: float = 20) -> None:
    """Until something listens on the port."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.05)


@contextmanager
def _running(
    command: Sequence[str], port: int, cwd: Path, user: str | None = None
) -> "Generator[subprocess.Popen[bytes], None, None]":
    with (cwd / "output.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log, user=user, start_new_session=True)
        try:
            await_port(port)
            yield process
        finally:
            process.send_signal(signal.SIGINT if user else signal.SIGTERM)
            process.wait(timeout=30)


@contextmanager
def postgres(directory: Path, password: str) -> Generator[int, None, None]:
    """A PostgreSQL server with the role `exporter` and statistics of statements; yields its port."""
    install(["initdb", "postgres"], ["postgresql"])
    port = free_port()
    directory.mkdir(parents=True)
    user = "postgres" if os.getuid() == 0 else None
    if user:
        # PostgreSQL refuses to run as root.
        entry = pwd.getpwnam(user)
        os.chown(directory, entry.pw_uid, entry.pw_gid)
        for parent in directory.parents:
            if parent.owner() == "root" and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    data = directory / "data"
    subprocess.run(
        [executable("initdb"), "--pgdata", str(data), "--auth=trust", "--username=postgres"],
        check=True, capture_output=True, user=user, cwd=directory,
    )  # fmt: skip
    (data / "pg_hba.conf").write_text(
        "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    )
    command = [
        executable("postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
        "-c", f"unix_socket_directories={directory}", "-c", "shared_preload_libraries=pg_stat_statements",
    ]  # fmt: skip
    with _running(command, port, directory, user):
        psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c"]
        role = f"CREATE ROLE exporter LOGIN PASSWORD '{password}'; GRANT pg_monitor TO exporter"
        command = [*psql, f"{role}; CREATE EXTENSION pg_stat_statements"]
        deadline = time.monotonic() + 20
        # It listens a moment before it takes commands.
        while subprocess.run(command, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "PostgreSQL takes no commands"
            time.sleep(0.1)
        for table in ("pg_class", "pg_type", "pg_proc"):
            subprocess.run([*psql, f"SELECT count(*) FROM {table}"], check=True, capture_output=True)  # noqa: S608 - ours
        yield port


@contextmanager
def redis(directory: Path, password: str) -> Generator[int, None, None]:
    """A Redis server with a password; yields its port."""
    install(["redis-server"], ["redis-server"])
    port = free_port()
    directory.mkdir(parents=True)
    command = [
        executable("redis-server"),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--requirepass",
        password,
        "--save",
        "",
    ]
    with _running(command, port, directory):
        yield port


@contextmanager
def celery_worker(directory: Path, broker: str) -> Generator[None, None, None]:
    """A Celery worker that sends events, and does one task that works and one that fails."""
    directory.mkdir(parents=True)
    (directory / "chores.py").write_text(
        f"""import celery
app = celery.Celery("chores", broker={broker!r})
@app.task(name="sweep")
def sweep():
    return 1
@app.task(name="spill")
def spill():
    raise ValueError("spilled")
"""
    )
    command = [sys.executable, "-m", "celery", "-A", "chores"]
    with (directory / "output.log").open("wb") as log:
        worker = [*command, "worker", "-E", "--pool=solo", "--loglevel=warning"]
        process = subprocess.Popen(worker, cwd=directory, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def celery_call(directory: Path, task: str) -> None:
    """Send a task to the worker in `directory`."""
    subprocess.run(
        [sys.executable, "-m", "celery", "-A", "chores", "call", task], cwd=directory, check=True, capture_output=True
    )


@contextmanager
def nginx(directory: Path) -> Generator[int, None, None]:
    """An nginx with a status page at /status; yields its port."""
    install(["nginx"], ["nginx-light"])
    port = free_port()
    directory.mkdir(parents=True)
    paths = " ".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"""daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
        {"user root;" if os.getuid() == 0 else ""}
        events {{}}
        http {{ access_log off; {paths}
          server {{ listen 127.0.0.1:{port}; location /status {{ stub_status; }} }} }}"""
    )
    with _running([executable("nginx"), "-c", str(directory / "nginx.conf"), "-p", str(directory)], port, directory):
        yield port


@dataclass
class Webhook:
    """A receiver of Alertmanager's notifications."""

    url: str
    alerts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Each alert of each notification, in order of arrival."""
    beats: list[str] = field(default_factory=list[str])
    """Names of the stacks whose Watchdog's beat arrived, in order of arrival."""

    def await_alert(self, name: str, status: str, seconds: float, **labels: str) -> dict[str, Any]:
        """The first alert with this name, status and labels; waits for it."""
        deadline = time.monotonic() + seconds
        while True:
            for alert in list(self.alerts):
                found = alert["labels"]
                if found["alertname"] == name and alert["status"] == status and labels.items() <= found.items():
                    return alert
            assert time.monotonic() < deadline, f"no {status} {name} {labels} in {[a['labels'] for a in self.alerts]}"
            time.sleep(0.1)


@contextmanager
def webhook() -> Generator[Webhook, None, None]:
    """A webhook receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.startswith("/beat/"):
                made.beats.append(self.path.removeprefix("/beat/"))
            else:
                made.alerts.extend(body["alerts"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Webhook(url=f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
