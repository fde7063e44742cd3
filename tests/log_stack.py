"""Loki, the collector and Alertmanager as the stack renders them, on ports of their own, for tests about logs."""

import json
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx

from processes.place import executable
from specs import alertmanager, collector, history, loki
from specs.addresses import Loopback
from specs.model import parse
from specs.monitoring import to_yaml
from specs.part import Context
from specs.settings import KEY, Settings
from specs.workload import Workload
from tests.local.servers import free_offset

ENVIRONMENT = "test"
OK = 200
T = TypeVar("T")


def context(offset: int = 0, **changes: object) -> Context:
    """What the parts of a small process stack are told."""
    value = {"environment": ENVIRONMENT, "cluster": "here", "runtime": "process", **changes}
    settings = parse(Settings, value, file="Pulumi.test.yaml", key=KEY)
    return Context(settings=settings, addresses=Loopback(offset=offset, bind="127.0.0.1"), file="Pulumi.test.yaml")


def eventually(read: Callable[[], T], seconds: float, what: str) -> T:
    """What `read` answers as soon as it is something."""
    deadline = time.monotonic() + seconds
    while True:
        found = read()
        if found:
            return found
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A log line for Loki's push API."""

    text: str
    at: float
    """Seconds since 1970."""
    labels: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LogStack:
    """The running programs."""

    home: Path
    context: Context

    def url(self, name: str, port: int) -> str:
        """Base URL of a workload."""
        return f"http://{self.context.addresses.dial(name, port)}"

    @property
    def loki(self) -> str:
        """Base URL of Loki."""
        return self.url(loki.NAME, loki.PORT)

    def push(self, lines: Iterable[Line]) -> None:
        """Send lines straight to Loki."""
        streams = [
            {"stream": dict(line.labels), "values": [[str(round(line.at * 1e9)), line.text, dict(line.metadata)]]}
            for line in lines
        ]
        answer = httpx.post(f"{self.loki}/loki/api/v1/push", json={"streams": streams}, timeout=30)
        assert answer.status_code == 204, answer.text

    def instant(self, logql: str, at: float) -> list[dict[str, Any]]:
        """Samples of a metric query at a moment."""
        answer = httpx.get(
            f"{self.loki}/loki/api/v1/query", params={"query": logql, "time": str(round(at * 1e9))}, timeout=30
        )
        assert answer.status_code == OK, f"{answer.text}: {logql}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def lines(self, logql: str) -> list[tuple[dict[str, str], str, float]]:
        """Labels with structured metadata, text and time of the lines of the last hours."""
        now = time.time_ns()
        window = {"start": str(now - 6 * 3600 * 10**9), "end": str(now + 60 * 10**9), "limit": "1000"}
        answer = httpx.get(f"{self.loki}/loki/api/v1/query_range", params={"query": logql, **window}, timeout=10)
        assert answer.status_code == OK, f"{answer.text}: {logql}"
        return [
            (stream["stream"], text, int(at) / 1e9)
            for stream in answer.json()["data"]["result"]
            for at, text, *_ in stream["values"]
        ]

    def registered(self, path: str, lines: Sequence[str]) -> None:
        """Append lines to a log file below the registry."""
        file = self.home / "registry" / "logs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)


def _lay_out(workload: Workload, home: Path) -> Path:
    place = home / workload.name
    for name in ("config", "data", "log"):
        (place / name).mkdir(parents=True, exist_ok=True)
    for path, text in workload.files.items():
        file = place / "config" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return place


@contextmanager
def started(workload: Workload, home: Path, context: Context) -> Generator[None]:
    """A workload of a process stack, healthy."""
    place = _lay_out(workload, home)
    argv = [str(executable(workload.program.binary)), *workload.args]
    health = (
        f"http://127.0.0.1:{context.addresses.port(workload.port(workload.probe.port).number)}{workload.probe.path}"
    )
    log = place / "log" / f"{workload.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=place / "data", stdout=output, stderr=subprocess.STDOUT)

    def healthy() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
        try:
            return httpx.get(health, timeout=2).status_code == OK
        except httpx.HTTPError:
            return False

    try:
        eventually(healthy, 60, workload.name)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=15)


@contextmanager
def running(
    home: Path, *names: str, receivers: Mapping[str, Any] | None = None, **changes: object
) -> Generator[LogStack]:
    """Loki, and the others by name. `receivers` stands in Alertmanager's file in the place of people."""
    made = context(free_offset(), **changes)
    workloads = {
        alertmanager.NAME: _alertmanager(made, receivers or {}),
        loki.NAME: loki.workload(
            made, loki.log_groups(), runbooks="http://runbooks.example.com", dashboards="http://grafana.example.com"
        ),
        collector.NAME: collector.workload(made),
    }
    with ExitStack() as stack:
        for name, workload in workloads.items():
            if name == loki.NAME or name in names:
                stack.enter_context(started(workload, home, made))
        yield LogStack(home=home, context=made)


def _alertmanager(context: Context, receivers: Mapping[str, Any]) -> Workload:
    usual = alertmanager.workload(context, None)
    config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}], **receivers}
    config |= history.alertmanager_config(context)
    return Workload(
        name=usual.name,
        program=usual.program,
        ports=usual.ports,
        args=(*(arg for arg in usual.args if arg not in history.ALERTMANAGER_ARGS), *history.ALERTMANAGER_ARGS),
        files={"alertmanager.yml": to_yaml(config)},
        probe=usual.probe,
        resources=usual.resources,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """A webhook that remembers what it was told."""

    port: int
    told: list[dict[str, Any]]


@contextmanager
def hook() -> Generator[Hook]:
    """Answers 200 on /good, 503 on /later, and 400 on anything else."""
    answers = {"/good": 200, "/later": 503}
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/good":
                told.append(json.loads(body))
            self.send_response(answers.get(self.path, 400))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Hook(port=server.server_port, told=told)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
