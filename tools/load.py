"""`make load`: puts a target under load, judges the answers, and shows the run to the stack."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import httpx
from rich.console import Console

from loadtests import endpoints, plan, targets
from loadtests.export import Export
from loadtests.measurements import Report, answers
from specs.model import SettingsError
from tools import paths

PASSED, MISSED = 0, 1
"""Exit statuses."""
NOWHERE = "none"
_TO_END_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What people ask for; empty is the usual."""

    shape: str
    target: str
    app: str
    scale: float = 1.0
    users: int | None = None
    run_time: str = ""
    endpoints: str = ""
    requests: int = 100
    report: str = ""
    otlp: str = NOWHERE
    """Base URL of an OTLP endpoint."""
    allow_remote: str = ""
    web: int = 0
    """Port of Locust's page on loopback; 0: it runs without."""


def run(console: Console, wishes: Wishes) -> int:
    """Load the target; 0 when it kept every criterion, 1 when not.

    Raises SettingsError for what cannot be, before anything is asked of the target.
    """
    report = Path(wishes.report).resolve()
    if wishes.report and (report.is_dir() or not report.parent.is_dir()):
        raise SettingsError(f"REPORT={wishes.report}: cannot be written (accepted: a file in a directory that exists)")
    return _endpoints(console, wishes) if wishes.shape == endpoints.SHAPE else _shape(console, wishes)


def _otlp(console: Console, wanted: str) -> str:
    """The endpoint that takes the metrics; empty, and one line, when it does not answer."""
    if wanted == NOWHERE:
        return ""
    with suppress(httpx.HTTPError, httpx.InvalidURL):
        # Nothing is a whole message of this protocol: a receiver takes it, and stores nothing.
        headers = {"Content-Type": "application/x-protobuf"}
        if httpx.post(f"{wanted}/v1/metrics", headers=headers, timeout=3, trust_env=False).is_success:
            return wanted
    console.print(f"not on a dashboard: nothing takes metrics at {wanted} (make up)", style="yellow", highlight=False)
    return ""


def _shape(console: Console, wishes: Wishes) -> int:
    """Locust replaces the sockets of its whole process: it gets one of its own."""
    planned = plan.make(
        shape=wishes.shape,
        target=wishes.target,
        allow_remote=wishes.allow_remote,
        app=wishes.app,
        scale=wishes.scale,
        users=wishes.users,
        run_time=wishes.run_time,
    )
    command = [
        sys.executable, "-m", "locust", "--locustfile", str(paths.ROOT / "loadtests" / "locustfile.py"),
        "--loglevel", "WARNING", "--only-summary", "--host", planned.target,
        "--shape", wishes.shape, "--app", wishes.app, "--scale", str(wishes.scale), "--peak", str(wishes.users or 0),
        "--length", wishes.run_time, "--report", str(Path(wishes.report).resolve()) if wishes.report else "",
        "--otlp", _otlp(console, wishes.otlp), "--allow-remote", wishes.allow_remote,
        *(["--web-host", "127.0.0.1", "--web-port", str(wishes.web)] if wishes.web else ["--headless"]),
    ]  # fmt: skip
    if wishes.web:
        console.print(f"http://127.0.0.1:{wishes.web} starts and shows runs; Ctrl-C ends it", highlight=False)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:

        def end(_signal: int, _frame: FrameType | None) -> None:
            """Who ends this command means the load. What Locust judges before it goes takes this signal."""
            process.send_signal(signal.SIGINT)

        signal.signal(signal.SIGTERM, end)
        try:
            return process.wait(None if wishes.web else planned.shape.seconds + _TO_END_SECONDS)
        except KeyboardInterrupt:
            # The terminal has told Locust too, which judges what there is.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TO_END_SECONDS)
            raise
        except subprocess.TimeoutExpired:
            console.print("Locust did not end by itself", style="red")
            return MISSED
        finally:
            process.kill()


def _endpoints(console: Console, wishes: Wishes) -> int:
    if not 1 <= wishes.requests <= endpoints.MOST_REQUESTS:
        raise SettingsError(f"REQUESTS={wishes.requests}: out of bounds (accepted: 1 to {endpoints.MOST_REQUESTS})")
    target = targets.checked(wishes.target, allow_remote=wishes.allow_remote)
    started, began = datetime.now(UTC), time.perf_counter()
    with endpoints.client(target) as asking:
        listed = endpoints.chosen(asking, wishes.endpoints)
        otlp = _otlp(console, wishes.otlp)
        export = Export(otlp, app=wishes.app, shape=endpoints.SHAPE, endpoints=listed) if otlp else None
        if export:
            export.users(1)

        def seen(path: str, milliseconds: float, good: bool) -> None:
            if export:
                export.request(path, milliseconds, good=good)

        found = endpoints.measure(asking, listed, wishes.requests, seen)
    report = Report(
        target=target,
        app=wishes.app,
        shape=endpoints.SHAPE,
        scale=1.0,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - began, 3),
        complete=sum(summary.count for summary in found) == wishes.requests * len(listed),
        users=1,
        endpoints=found,
        criteria=[verdict for summary in found for verdict in answers(summary)],
    )
    for table in report.tables():
        console.print(table)
    if wishes.report:
        Path(wishes.report).write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    if export:
        export.close(report.criteria)
    return PASSED if report.passed else MISSED
