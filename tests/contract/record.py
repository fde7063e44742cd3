"""Records what the programs of the stack expose, for the lint of queries: run it after a program's version changed.

    python -m tests.contract.record

Every program runs for a minute beside real servers (PostgreSQL, Redis and nginx of Debian, a Celery worker). What it
then exposes stands in metrics/<program>.txt: a metric a line, with the names of its labels. What follows the heading of
such a file is kept: metrics that a program has only after an event, only elsewhere, or only in another version.
"""

import importlib.metadata
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.contract.listed import DIRECTORY, HEADING, JOBS
from tests.contract.parts import Parts, running
from tests.local.servers import celery_call, celery_worker, nginx, postgres, redis
from tools import native

_SECONDS = 60
PARTS = ("prometheus", "alertmanager", "loki", "jaeger", "collector", "inbox")
EXPORTERS = ("node-exporter", "blackbox-exporter", "postgres-exporter", "redis-exporter", "nginx-exporter", "flower")


def _traffic(parts: Parts) -> None:
    """A trace, a log line and a metric, as an application sends them."""
    now = str(time.time_ns())
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "buy",
        "kind": 2,
        "startTimeUnixNano": now,
        "endTimeUnixNano": now,
    }
    point = {"timeUnixNano": now, "asDouble": 1}
    sent: Mapping[str, object] = {
        "traces": {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]},
        "logs": {
            "resourceLogs": [
                {
                    "resource": resource,
                    "scopeLogs": [{"logRecords": [{"timeUnixNano": now, "body": {"stringValue": "bought"}}]}],
                }
            ]
        },
        "metrics": {
            "resourceMetrics": [
                {
                    "resource": resource,
                    "scopeMetrics": [{"metrics": [{"name": "bought", "gauge": {"dataPoints": [point]}}]}],
                }
            ]
        },
    }
    for signal, body in sent.items():
        httpx.post(f"{parts.url(4318)}/v1/{signal}", json=body, timeout=10).raise_for_status()


def _version(program: str, parts: Parts) -> str:
    if program == "flower":
        return importlib.metadata.version("flower")
    if program == "inbox":
        return "1"
    known = parts.api("query", query=f'{{__name__=~".*build_info", job=~"{"|".join(JOBS[program])}"}}')["result"]
    versions = [each["metric"]["version"] for each in known if each["metric"].get("version")]
    return str(versions[0]).removeprefix("v") if versions else native.version_pin(program)


def _write(program: str, parts: Parts) -> None:
    file = DIRECTORY / f"{program}.txt"
    kept = file.read_text(encoding="utf-8").partition(HEADING)[2] if file.exists() else "\n"
    lines = [f"# {program} {_version(program, parts)}"]
    lines += [" ".join((name, *sorted(labels))) for name, labels in sorted(parts.series(*JOBS[program]).items())]
    file.write_text("\n".join([*lines, "", HEADING]) + kept, encoding="utf-8")
    sys.stdout.write(f"{lines[0]}: {len(lines) - 1} metrics\n")


def main() -> None:
    """Run everything once, and write every list."""
    with tempfile.TemporaryDirectory(prefix="record-") as directory, ExitStack() as stack:
        base = Path(directory)
        base.chmod(0o755)
        pg = stack.enter_context(postgres(base / "postgres", "trusted"))
        cache = stack.enter_context(redis(base / "redis", ""))
        front = stack.enter_context(nginx(base / "nginx"))
        broker = f"redis://127.0.0.1:{cache}/0"
        stack.enter_context(celery_worker(base / "worker", broker))
        database = {"address": f"127.0.0.1:{pg}", "user": "postgres", "sslmode": "disable", "statements": False}
        exporters = {
            "node": {},
            "blackbox": {},
            "postgres": {"targets": {"main": database}},
            "redis": {"targets": {"main": {"address": f"127.0.0.1:{cache}"}}},
            "nginx": {"targets": {"main": {"status_url": f"http://127.0.0.1:{front}/status"}}},
            "celery": {"targets": {"main": {"broker": broker}}},
        }
        parts = stack.enter_context(running(base / "home", (*PARTS, *EXPORTERS), exporters))
        parts.await_scrapes(60)
        for _ in range(_SECONDS // 5):
            _traffic(parts)
            for task in ("sweep", "spill"):
                celery_call(base / "worker", task)
            time.sleep(5)
        for program in JOBS:
            _write(program, parts)


if __name__ == "__main__":
    main()
