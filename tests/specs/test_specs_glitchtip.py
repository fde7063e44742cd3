"""GlitchTip as a value, and its scripts and files on real programs."""

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from specs import glitchtip
from specs.stack import Stack
from specs.workload import Outward, Workload
from tests.local.servers import await_port, executable, free_port, install
from tests.specs.support import complaint, stack

CONTAINED: Mapping[str, object] = {
    "environment": "test",
    "alerting": {"default": "team", "receivers": {"team": {"webhook": {"url": "https://team.example.com"}}}},
}
PARTS = (glitchtip.NAME, glitchtip.WORKER, glitchtip.POSTGRES, glitchtip.REDIS)


def on(runtime: str, errors: object = "glitchtip", **more: object) -> Stack:
    """A stack of containers with these errors."""
    return stack(**{**CONTAINED, "runtime": runtime, "errors": errors, **more})


def part(name: str, runtime: str = "docker", **more: object) -> Workload:
    """One of GlitchTip's workloads."""
    return on(runtime, **more).workload(name)


# As a value.


@pytest.mark.parametrize("runtime", ["docker", "kubernetes"])
def test_parts(runtime: str) -> None:
    """Proves that web server, worker, database and queue run where the stack asks for GlitchTip, and nowhere else."""
    asked = on(runtime)

    assert [workload.name for workload in asked.workloads if workload.name.startswith("glitchtip")] == [*PARTS]
    for errors in ("off", {"to": "dsn", "dsn": {"secret": "sentry-dsn"}}):
        assert asked.names - on(runtime, errors).names == {*PARTS}


def test_not_as_processes() -> None:
    """Proves that a process stack refuses it by one line, before anything is made."""
    assert complaint(errors="glitchtip") == (
        "Pulumi.test.yaml: observability:settings.errors: does not run on process (accepted: on docker, kubernetes)"
    )


def test_least_privilege() -> None:
    """Proves that no part is root, and that people reach the pages and nothing else."""
    parts = [part(name) for name in PARTS]

    assert all(workload.program.user > 0 for workload in parts)
    published = [(workload.name, port.number) for workload in parts for port in workload.ports if port.published]
    assert published == [("glitchtip", 8010)]
    assert [workload.name for workload in parts if Outward() in workload.extras] == ["glitchtip"]


def test_secrets_are_files() -> None:
    """Proves that every secret is made up for the stack, is a file, and never a value of the environment."""
    for name in PARTS:
        workload = part(name)
        assert all(ref.generated for ref in workload.secrets.values())
        names = {key for key in workload.environment if "PASSWORD" in key or "SECRET" in key or "URL" in key}
        assert names <= {"POSTGRES_PASSWORD_FILE", "EMAIL_URL"}
        assert workload.environment.get("EMAIL_URL", "consolemail://") == "consolemail://"


def test_nobody_may_register() -> None:
    """Proves that accounts and organisations are made by the operator only, and that links lead to its pages."""
    environment = part(glitchtip.NAME, port_offset=100).environment

    assert (environment["ENABLE_USER_REGISTRATION"], environment["ENABLE_ORGANIZATION_CREATION"]) == ("false", "false")
    assert environment["GLITCHTIP_DOMAIN"] == "http://127.0.0.1:8110"
    assert environment["GRANIAN_PORT"] == "8010"
    assert part(glitchtip.NAME, "kubernetes").environment["GLITCHTIP_DOMAIN"] == (
        "http://glitchtip.observability.svc:8010"
    )


@pytest.mark.parametrize(("kept", "days"), [("30d", "30"), ("36h", "2")])
def test_retention(kept: str, days: str) -> None:
    """Proves that events are kept as long as log lines are, in whole days."""
    environment = part(glitchtip.WORKER, retention={"logs": "1d", "log_archive": kept}).environment

    assert environment["GLITCHTIP_RETENTION_DAYS"] == days


def test_scraped() -> None:
    """Proves that the pages' and the worker's metrics are scraped as the stack's own."""
    jobs = {job.name: job.targets for job in on("docker").jobs if job.name.startswith("glitchtip")}

    assert {name: targets[0].address for name, targets in jobs.items()} == {
        "glitchtip": "glitchtip:8010",
        "glitchtip-worker": "glitchtip-worker:8011",
    }
    assert {target.labels["app"] for targets in jobs.values() for target in targets} == {"observability"}


# On real programs.


def placed(workload: Workload, home: Path, secrets: Mapping[str, str]) -> Path:
    """The files of a workload as a runtime places them; returns its data directory."""
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    texts = {
        **workload.files,
        **{
            path: ref.template.replace("$secret", f'"{secrets[ref.key]}"') or secrets[ref.key]
            for path, ref in workload.secrets.items()
        },
    }
    for path, text in texts.items():
        file = home / "config" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return data


SECRETS = {
    "glitchtip-secret-key": "the key",
    "glitchtip-database-password": "it's secret",
    "glitchtip-redis-password": "que/ue@",
}
STUB = """\
#!/bin/sh
echo "{name} $* role=${{SERVER_ROLE:-}} key=$SECRET_KEY database=$DATABASE_PASSWORD queue=$VALKEY_URL"
"""


@contextmanager
def listening() -> Generator[int]:
    """Something that takes connections; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def started(home: Path, *args: str, **environment: str) -> Generator["subprocess.Popen[str]"]:
    """GlitchTip's script with the image's own ones in the place of the image."""
    workload = part(glitchtip.NAME)
    data = placed(workload, home, SECRETS)
    script = home / "config" / "start.sh"
    script.write_text(script.read_text().replace("/code", str(home / "code")))
    for path in ("manage.py", "bin/start.sh", "bin/run-migrate.sh"):
        stub = home / "code" / path
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(STUB.format(name=stub.name))
        stub.chmod(0o755)
    with subprocess.Popen(
        [*workload.program.entrypoint, "../config/start.sh", *args],
        cwd=data,
        env={**os.environ, **workload.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


TOLD = "key=the key database=it's secret queue=redis://:que%2Fue%40@{redis}/0"


def test_web_migrates_and_starts(tmp_path: Path) -> None:
    """Proves that the web server waits for database and queue, migrates, and then starts with the secrets of the
    files."""
    database = free_port()
    with listening() as redis:
        address = f"127.0.0.1:{redis}"
        told = TOLD.format(redis=address)
        where = {"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": str(database), "REDIS_ADDRESS": address}
        with started(tmp_path, "web", **where) as process:
            assert process.stdout
            assert process.stdout.readline() == f"waiting for 127.0.0.1:{database}\n"
            with socket.create_server(("127.0.0.1", database)):
                rest, _ = process.communicate(timeout=20)
    lines = [line for line in rest.splitlines() if not line.startswith("waiting")]

    assert lines == [f"run-migrate.sh  role= {told}", f"start.sh  role=web {told}"]


def test_worker_waits_for_the_web_server(tmp_path: Path) -> None:
    """Proves that the worker does not touch a database whose migrations are still to come."""
    web = free_port()
    where = {"WEB_ADDRESS": f"127.0.0.1:{web}", "REDIS_ADDRESS": "queue:6379"}
    with started(tmp_path, "worker", **where) as process:
        assert process.stdout
        assert process.stdout.readline() == f"waiting for 127.0.0.1:{web}\n"
        with socket.create_server(("127.0.0.1", web)):
            rest, _ = process.communicate(timeout=20)

    assert rest.splitlines()[-1] == f"start.sh  role=worker {TOLD.format(redis='queue:6379')}"


def test_commands_of_the_operator(tmp_path: Path) -> None:
    """Proves that the script runs any other command of GlitchTip, with all that it needs to reach the database."""
    with started(tmp_path, "createsuperuser", "--email", "me@example.com", REDIS_ADDRESS="queue:6379") as process:
        said, _ = process.communicate(timeout=20)

    assert said == f"manage.py createsuperuser --email me@example.com role= {TOLD.format(redis='queue:6379')}\n"


def test_no_start_without_secrets(tmp_path: Path) -> None:
    """Proves that a secret that is not there ends the start, instead of a default taking its place."""
    with started(tmp_path, "createsuperuser") as process:
        process.communicate(timeout=20)
    (tmp_path / "config" / "secrets" / "key").unlink()
    done = subprocess.run(
        ["sh", "../config/start.sh", "createsuperuser"],
        cwd=tmp_path / "data",
        env={**os.environ, "REDIS_ADDRESS": "queue:6379"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")


@contextmanager
def database(home: Path, password: str) -> Generator[int]:
    """The database's workload on a real PostgreSQL, with a stand-in of the image's own script; yields its port."""
    install(["initdb", "postgres"], ["postgresql"])
    workload = part(glitchtip.POSTGRES)
    data = placed(workload, home, {"glitchtip-database-password": password})
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    image = home / "image"
    image.mkdir(exist_ok=True)
    script = image / "docker-entrypoint.sh"
    # What the image's own does: it makes a database where there is none, and sets its password.
    script.write_text(
        "#!/bin/sh\nset -eu\n"
        '[ -s "$PGDATA/PG_VERSION" ] || {\n'
        '  initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -D "$PGDATA" >/dev/null\n'
        '  echo "host all all all scram-sha-256" >"$PGDATA/pg_hba.conf"\n'
        "}\n"
        'exec "$@"\n'
    )
    script.chmod(0o755)
    if os.getuid() == 0:
        for parent in home.parents:
            if parent.owner() == "root" and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        subprocess.run(["chown", "--recursive", user, str(home)], check=True)
    port = free_port()
    binaries = Path(executable("initdb")).resolve().parent
    with subprocess.Popen(
        [
            *workload.program.entrypoint,
            *workload.args,
            *("-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"),
        ],
        cwd=data,
        env={**workload.environment, "PATH": f"{image}:{binaries}:{os.environ['PATH']}"},
        user=user if os.getuid() == 0 else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            await_port(port, 40)
            yield port
        finally:
            process.terminate()


def lets_in(port: int, password: str) -> bool:
    """Whether the database takes this password."""
    deadline = time.monotonic() + 20
    while True:
        done = subprocess.run(
            ["psql", "--host=127.0.0.1", f"--port={port}", "--username=glitchtip", "--command=SELECT 1", "postgres"],
            env={**os.environ, "PGPASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        if "starting up" not in done.stderr or time.monotonic() > deadline:
            return done.returncode == 0
        time.sleep(0.1)


def test_database_takes_the_stack_s_password(tmp_path: Path) -> None:
    """Proves that data that was kept lets in a stack that came back with another password, and the old one no more."""
    home = tmp_path / "database"
    with database(home, "the first") as port:
        assert lets_in(port, "the first")
    with database(home, r"it's the \new") as port:
        assert lets_in(port, r"it's the \new")
        assert not lets_in(port, "the first")


def test_queue(tmp_path: Path) -> None:
    """Proves on a real server that the queue wants the password, keeps nothing, and throws no task away when it is
    full; and that its probe tells whether it answers."""
    install(["redis-server", "redis-cli"], ["redis-server"])
    workload = part(glitchtip.REDIS)
    data = placed(workload, tmp_path, {"glitchtip-redis-password": "queue"})
    port = free_port()
    image = tmp_path / "image"
    image.mkdir()
    for name in ("server", "cli"):
        more = "" if name == "server" else f" -p {port}"
        (image / f"valkey-{name}").write_text(f'#!/bin/sh\nexec {executable(f"redis-{name}")}{more} "$@"\n')
        (image / f"valkey-{name}").chmod(0o755)
    environment = {**os.environ, "PATH": f"{image}:{os.environ['PATH']}"}

    def asked(*command: str) -> str:
        done = subprocess.run(
            ["valkey-cli", *command], env={**environment, "REDISCLI_AUTH": "queue"}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout.split("\n", 1)[1].strip() if command[0] == "CONFIG" else done.stdout.strip()

    def healthy() -> bool:
        return subprocess.run(workload.probe.command, cwd=data, env=environment, check=False).returncode == 0

    with subprocess.Popen(
        [*workload.args, "--port", str(port), "--bind", "127.0.0.1"],
        cwd=data,
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            await_port(port)
            assert healthy()
            denied = subprocess.run(
                ["valkey-cli", "GET", "x"], env=environment, capture_output=True, text=True, check=False
            )
            assert "NOAUTH" in denied.stdout + denied.stderr
            assert asked("CONFIG", "GET", "save") == ""
            assert asked("CONFIG", "GET", "maxmemory-policy") == "volatile-lru"
            assert asked("CONFIG", "GET", "maxmemory") == str(96 * 2**20)
        finally:
            server.terminate()
    assert not healthy()
