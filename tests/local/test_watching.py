"""The five systems on one real stack: their stand-ins and real servers feed it, and every panel of every dashboard has
something to show."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from specs.profile import SYSTEMS as PROFILES
from specs.profile import known, read
from specs.settings import load
from specs.stack import build
from tests.local.around import POSTGRES_PASSWORD, REDIS_PASSWORD, Around
from tests.local.servers import await_port, celery_call, free_offset, free_port
from tests.local.stacks import Local, eventually
from tests.specs.support import ROOT

sys.path.insert(0, str(ROOT / "examples" / "sample-app"))

from sample_app.impersonation.targets import targets

# One trouble for each system, so that panels of alerts and of errors have something to show too.
TROUBLES: Mapping[str, tuple[str, ...]] = {
    "mysmartnotes": ("HighTaskFailureRate", "SlowQueries", "LogErrorBurst"),
    "narra-forge": ("TasksFailing", "LogErrorBurst"),
    "personal-assistant": ("HighCPUUsage", "SlowQueries", "LogErrorBurst"),
    "roadtrip": ("SecurityIncidents", "LogFailedLogins", "LogErrorBurst"),
    "wwmaa": ("ZeroDBSlow", "VerySlowQueries", "LogErrorBurst"),
}
SUBSTITUTES = {
    "__rate_interval": "30s",
    "__interval": "15s",
    "__range": "15m",
    "__auto": "30s",
    "__range_s": "900",
}
WITHOUT_PROGRAM = frozenset({"exporter-json", "load-tests"})
"""Dashboards of what does not run here: no registry has the json exporter, and load tests have their own test."""
NOT_HERE = frozenset(
    {
        # Looks back an hour.
        "roadtrip-infrastructure-deep-dive: Memory Growth",
        # Debian's exporter, the only one of this machine's registries, does not measure them; the image's does.
        "exporter-postgres: Dead Rows",
        "exporter-postgres: Replication Lag",
    }
)
"""Panels that nothing here can fill."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, around: Around) -> Iterator[Local]:
    """A stack with the five systems, real servers for one of them, and everything fed."""
    made = Local.make(tmp_path_factory.mktemp("systems") / "project", "systems", free_offset())
    made.write(
        _settings(around, made.offset),
        postgres_password=POSTGRES_PASSWORD,
        redis_password=REDIS_PASSWORD,
        broker_url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:{around.redis}/0",
    )
    with ExitStack() as running:
        running.callback(made.cli, "down", check=False)
        made.cli("up")
        for name in known():
            running.callback(_end, _stand_in(made, name))
        _nginx_error(made)
        for task in ("sweep", "spill", "sweep"):
            celery_call(around.worker, task)
        yield made


def _settings(around: Around, offset: int) -> dict[str, Any]:
    server = {"address": f"127.0.0.1:{around.postgres}", "user": "exporter", "sslmode": "disable"}
    return {
        "environment": "test",
        "cluster": "ci",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "2s",
        "evaluation_interval": "2s",
        "exporters": {
            "node": {},
            "blackbox": {},
            "postgres": {"targets": {"main": {**server, "password": {"secret": "postgres-password"}}}},
            "redis": {
                "targets": {"main": {"address": f"127.0.0.1:{around.redis}", "password": {"secret": "redis-password"}}}
            },
            "celery": {"targets": {"main": {"broker": {"secret": "broker-url"}}}},
            "nginx": {"targets": {"main": {"status_url": f"http://127.0.0.1:{around.nginx}/status"}}},
        },
        "alerting": {"grouping": {"wait": "0s", "interval": "1s"}},
        "systems": {name: {} for name in known()},
    }


def _stand_in(stack: Local, name: str) -> "subprocess.Popen[bytes]":
    """Start what stands in for a system, and have it scraped and its log lines followed."""
    port = free_port()
    registry = stack.home.path / "registry"
    environment = {
        **stack.environment(),
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.url(4318),
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "examples" / "sample-app"), str(ROOT))),
    }
    arguments = [
        "--system",
        name,
        "--port",
        str(port),
        "--environment",
        "test",
        "--logs",
        str(registry / "logs" / name),
    ]
    arguments += [word for trouble in TROUBLES.get(name, ()) for word in ("--fail", trouble)]
    with (stack.project / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sample_app", *arguments],
            stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    await_port(port)
    entries = targets(name, read(PROFILES / f"{name}.yaml"), f"127.0.0.1:{port}", {"environment": "test"})
    (registry / "scrape" / f"{name}.json").write_text(json.dumps(entries), encoding="utf-8")
    return process


def _nginx_error(stack: Local) -> None:
    """A line as nginx writes it, in the file of a server that registered it."""
    line = time.strftime(
        "%Y/%m/%d %H:%M:%S [error] 31#31: *7 connect() failed (111: Connection refused)\n", time.gmtime()
    )
    file = stack.home.path / "registry" / "logs" / "shop" / "nginx.nginx-error.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line, encoding="utf-8")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=30)


def _boards(stack: Local) -> dict[str, dict[str, Any]]:
    """Every dashboard of the stack, as Grafana would read it, by uid."""
    made = build(load(stack.file), file=stack.file.name)
    return {str(board["uid"]): dict(board) for board in made.dashboards.values()}


def _panels(board: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Title of every panel that asks for something, with the datasource and text of its queries."""
    for panel in [inner for outer in board["panels"] for inner in (outer, *outer.get("panels", []))]:
        targets = [target for target in panel.get("targets", []) if "expr" in target]
        if targets:
            yield (
                panel["title"],
                [(target.get("datasource", panel["datasource"])["type"], target["expr"]) for target in targets],
            )


def _plain(query: str, app: str) -> str:
    """A query as Grafana sends it with every variable at All."""
    query = re.sub(r'="\$\{?app(:\w+)?\}?"', f'="{app}"', query)
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda match: SUBSTITUTES.get(match[1], ".+"), query)


def _has_data(stack: Local, source: str, query: str) -> bool:
    if source == "loki":
        now = time.time_ns()
        parameters = {
            "query": query,
            "start": str(now - 900 * 10**9),
            "end": str(now + 10**9),
            "limit": "5",
            "step": "30",
        }
        answer = httpx.get(f"{stack.url(3100)}/loki/api/v1/query_range", params=parameters, timeout=20)
        assert answer.status_code == 200, f"{query}\n{answer.text}"
        return bool(answer.json()["data"]["result"])
    return any(found["value"][1] != "NaN" for found in stack.query(query))


def _empty(stack: Local) -> list[str]:
    """Panels, with the query, that have nothing to show."""
    found: list[str] = []
    for uid, board in _boards(stack).items():
        if uid in WITHOUT_PROGRAM:
            continue
        app = next((tag for tag in board["tags"] if tag in known()), "roadtrip")
        for title, queries in _panels(board):
            plain = [(source, _plain(query, app)) for source, query in queries]
            # Each is asked, since none may be refused.
            if f"{uid}: {title}" not in NOT_HERE and True not in [_has_data(stack, *query) for query in plain]:
                found.append(f"{uid}: {title}: {plain}")
    return found


@pytest.mark.timeout(600)
def test_every_panel_has_something_to_show(watched: Local) -> None:
    """Proves that every panel of every dashboard finds something, and that none of its queries is refused."""
    assert len(_boards(watched)) >= 17 + 10
    deadline = time.monotonic() + 300
    while (empty := _empty(watched)) and time.monotonic() < deadline:
        time.sleep(5)

    if empty:
        pytest.fail("\n".join(empty), pytrace=False)


def test_every_sample_of_a_system_says_whose_it_is(watched: Local) -> None:
    """Proves that every series that is scraped carries app, environment, job, instance and service."""
    eventually(lambda: len(watched.query('group by (app) (up{job="applications"})')) == len(known()), 30)
    scraped = f'job=~"applications|{"node|postgres|redis|nginx|celery|probe"}"'
    assert float(watched.value(f'count({{{scraped}, app=~"{"|".join(known())}"}})') or 0) > 1000
    for label in ("app", "environment", "instance", "service"):
        assert watched.value(f'count({{{scraped}, {label}=""}})') is None, label


def test_troubles_are_told_by_name(watched: Local) -> None:
    """Proves that a trouble of each system reaches the inbox, under the name of whoever its profile tells."""

    def arrived() -> set[tuple[str, str, str]]:
        found = httpx.get(f"{watched.url(9099)}/notifications", timeout=5).json()
        return {(each["labels"].get("app", ""), each["labels"]["alertname"], each["receiver"]) for each in found}

    expected = {("roadtrip", "SecurityIncidents", "security-team"), ("roadtrip", "SecurityIncidents", "pagerduty")}
    # A rate over five minutes takes its time to rise.
    eventually(lambda: expected <= arrived(), 240, "the security team and the pager")


def test_log_alert_is_told(watched: Local) -> None:
    """Proves that an alert of Loki's ruler goes the same way as Prometheus' own."""

    def firing() -> bool:
        found = httpx.get(f"{watched.url(9093)}/api/v2/alerts", timeout=5).json()
        return any(
            alert["labels"]["alertname"] == "VerySlowQueries" and alert["labels"]["app"] == "wwmaa" for alert in found
        )

    eventually(firing, 60, "VerySlowQueries of wwmaa")


def test_latency_leads_to_a_trace(watched: Local) -> None:
    """Proves that an exemplar of a system's response times names a trace that Jaeger has, and its log line the same."""

    def trace() -> str | None:
        parameters = {
            "query": 'http_request_duration_seconds_bucket{app="roadtrip"}',
            "start": str(time.time() - 300),
            "end": str(time.time()),
        }
        answer = httpx.get(f"{watched.url(9090)}/api/v1/query_exemplars", params=parameters, timeout=10).json()
        ids = [each["labels"]["trace_id"] for found in answer["data"] for each in found["exemplars"]]
        return next((name for name in reversed(ids) if watched.trace(name)), None)

    found = eventually(trace, 60, "an exemplar with a trace")
    spans = watched.trace(found)
    assert {span["operationName"] for span in spans}
    eventually(lambda: watched.logs(f'{{app="roadtrip"}} | trace_id="{found}"'), 30, "a log line of the trace")


def test_objectives_are_recorded(watched: Local) -> None:
    """Proves that every objective of every system has its events, its ratio and what is left of its budget."""
    # What is about hosts and probes comes of exporters, which stand-ins show too.
    expected = {(name, slo) for name in known() for slo in read(PROFILES / f"{name}.yaml").objectives}

    def recorded() -> bool:
        found = watched.query("slo:error_budget_remaining:30d")
        return {(each["metric"]["app"], each["metric"]["slo"]) for each in found} == expected

    eventually(recorded, 60, "every objective")


def test_a_stand_in_leaves_nothing(watched: Local, tmp_path: Path) -> None:
    """Proves that a system that is not known is one clear line and no process."""
    done = subprocess.run(
        [sys.executable, "-m", "sample_app", "--system", "nobody"],
        env={**watched.environment(), "PYTHONPATH": f"{ROOT}/examples/sample-app{os.pathsep}{ROOT}"},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (2, "")
    assert "nobody" in done.stderr
    assert len(done.stderr.splitlines()) == 1
