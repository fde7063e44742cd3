"""What the sample app's tests share: the real process, and a receiver of its traces."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar, cast

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from prometheus_client.parser import text_string_to_metric_families

EXAMPLE = Path(__file__).parents[3] / "examples" / "sample-app"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

_Found = TypeVar("_Found")


def eventually(look: Callable[[], _Found | None], what: str, seconds: float = 8.0) -> _Found:
    """Return the first truthy thing that ``look`` finds; fail when there is none in time."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which no OTEL_* variable of the developer's shell is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return kept | {"PYTHONPATH": str(EXAMPLE)} | dict(extra or {})


@dataclass
class Service:
    """A running sample app."""

    process: subprocess.Popen[bytes]
    log_file: Path
    stdout: Path
    url: str
    client: httpx.Client

    def logs(self) -> list[dict[str, object]]:
        """Return all complete log lines, decoded."""
        lines = self.log_file.read_text("utf-8").splitlines(keepends=True)
        return [cast(dict[str, object], json.loads(line)) for line in lines if line.endswith("\n")]

    def log_of(self, request_id: str, logger: str = "sample_app.requests") -> dict[str, object]:
        """Return the one line that a logger wrote for a request."""
        lines = eventually(
            lambda: [line for line in self.logs() if (line.get("request_id"), line["logger"]) == (request_id, logger)],
            f"a line of {logger} with request id {request_id}",
        )
        assert len(lines) == 1
        return lines[0]

    def samples(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """Scrape the classic text form: name, then sorted labels, then value."""
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float:
        """Return one sample's value, 0 when it does not exist yet."""
        return self.samples().get(name, {}).get(tuple(sorted(labels.items())), 0.0)

    def terminate(self) -> float:
        """Send SIGTERM; return how long the process took to end."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait(10)
        return time.monotonic() - start


@contextmanager
def running(directory: Path, *options: str, environment: Mapping[str, str] | None = None) -> Generator[Service]:
    """Start ``python -m sample_app`` on a port of the system's choice; end it afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    stdout, stderr, log_file = directory / "stdout", directory / "stderr", directory / "app.log"
    command = [sys.executable, "-m", "sample_app", "--port", "0", "--seed", "7"]
    command += ["--data", str(directory / "data"), "--log", str(log_file), *options]
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            command, cwd=directory, env=clean_environment(environment), stdout=out, stderr=err, stdin=subprocess.DEVNULL
        )
    try:

        def url() -> re.Match[str] | None:
            assert process.poll() is None, stderr.read_text()
            return re.search(r"http://\S+", stdout.read_text())

        base = eventually(url, "the start line").group()
        with httpx.Client(base_url=base, timeout=10, trust_env=False) as client:
            yield Service(process, log_file, stdout, base, client)
    finally:
        process.kill()
        process.wait(5)


@dataclass(frozen=True)
class ReceivedSpan:
    """The parts of an exported span that the tests look at."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    attributes: dict[str, object]
    failed: bool
    exceptions: list[str]
    resource: dict[str, object]


@dataclass
class Receiver:
    """An OTLP/HTTP endpoint that remembers what was sent to it."""

    url: str
    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])
    paths: set[str] = field(default_factory=set[str])

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        """Return the spans of one trace received so far."""
        return [span for span in list(self.spans) if span.trace_id == trace_id]


@contextmanager
def receiving() -> Generator[Receiver]:
    """Run a receiver of OTLP/HTTP protobuf traces."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.paths.add(self.path)
            receiver.spans += _decode(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _decode(body: bytes) -> list[ReceivedSpan]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [
        ReceivedSpan(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            name=span.name,
            kind=int(span.kind),
            attributes=_attributes(span.attributes),
            failed=int(span.status.code) == 2,
            exceptions=[
                str(_attributes(event.attributes)["exception.type"])
                for event in span.events
                if event.name == "exception"
            ],
            resource=_attributes(resource.resource.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {
        pair.key: pair.value.int_value if pair.value.HasField("int_value") else pair.value.string_value
        for pair in pairs
    }
