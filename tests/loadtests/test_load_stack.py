"""A run as the stack sees it: the real collector and the real Prometheus, as the stack declares them."""

import json
import subprocess
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import dashboards
from processes.place import executable
from specs.stack import Stack
from tests.loadtests.support import eventually, free_port, load, serving
from tests.specs.support import stack

PARTS = ("prometheus", "collector")
# Below the ports that the kernel hands out itself, and away from those of other tests.
OFFSET = 13700


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Generator[Mapping[str, Any]]:
    """Run the two parts that metrics pass through; return the stack's outputs."""
    made: Stack = stack(port_offset=OFFSET)
    root = tmp_path_factory.mktemp("stack")
    outputs = made.outputs(home=str(root))
    with ExitStack() as running:
        for name in PARTS:
            workload = made.workload(name)
            (root / name / "data").mkdir(parents=True)
            for path, text in workload.files.items():
                file = root / name / "config" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            log = running.enter_context((root / f"{name}.log").open("wb"))
            command = [str(executable(workload.program.binary)), *workload.args]
            process = running.enter_context(
                subprocess.Popen(command, cwd=root / name / "data", stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )
            running.callback(process.kill)
        eventually(lambda: _is_up(f"{outputs['urls']['prometheus']}/-/ready"), 60)
        eventually(lambda: _is_up(outputs["otlp"]["http"]), 60)
        yield outputs


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3).status_code < 500
    except httpx.HTTPError:
        return False


def _ask(urls: Mapping[str, Any], promql: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series."""
    answer = httpx.get(f"{urls['urls']['prometheus']}/api/v1/query", params={"query": promql}, timeout=10).json()
    return [(entry["metric"], float(entry["value"][1])) for entry in answer["data"]["result"]]


@pytest.fixture(scope="module")
def ran(urls: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Load a system of which one answer in five fails, and one endpoint by itself; return the report of the first."""
    report = tmp_path_factory.mktemp("run") / "report.json"
    otlp = urls["otlp"]["http"]
    with serving(lambda number: 500 if number % 5 == 0 else 200) as target:
        small = ("--app", "wwmaa", "--scale", "0.02", "--report", str(report))
        status, out, err = load("--target", target.url, *small, otlp=otlp)
        assert (status, err) == (1, "")
        assert "not on a dashboard" not in out
    with serving() as target:
        wishes = (
            "--target",
            target.url,
            "--app",
            "shop",
            "--shape",
            "endpoints",
            "--endpoints",
            "/a",
            "--requests",
            "7",
        )
        assert load(*wishes, otlp=otlp)[0] == 0
    eventually(lambda: _ask(urls, 'load_test_criterion_passed{app="shop"}'))
    found: dict[str, Any] = json.loads(report.read_text())
    return found


COMMON = {"environment": "test", "service": "load-test", "service_name": "load-test", "job": "load-test"}


def test_labels(urls: Mapping[str, Any], ran: dict[str, Any]) -> None:
    """Proves that every series carries the system, the environment, the service, the shape and the run."""
    assert ran
    series = _ask(urls, '{__name__=~"load_test_.*"}')
    assert {metric["__name__"] for metric, _ in series} == {
        "load_test_users",
        "load_test_requests_total",
        "load_test_request_duration_seconds_bucket",
        "load_test_request_duration_seconds_count",
        "load_test_request_duration_seconds_sum",
        "load_test_criterion_passed",
    }
    assert {(metric["app"], metric["shape"]) for metric, _ in series} == {("wwmaa", "normal"), ("shop", "endpoints")}
    assert len({metric["instance"] for metric, _ in series}) == 2
    for metric, _ in series:
        assert {key: metric.get(key) for key in COMMON} == COMMON


def test_nothing_is_lost(urls: Mapping[str, Any], ran: dict[str, Any]) -> None:
    """Proves that Prometheus ends with the very counts of the report, the last ones included."""
    counted = {
        (metric["endpoint"], metric["result"]): value
        for metric, value in _ask(urls, 'load_test_requests_total{app="wwmaa"}')
    }
    assert counted == {
        (endpoint["endpoint"], result): count
        for endpoint in ran["endpoints"]
        for result, count in (("ok", endpoint["count"] - endpoint["failures"]), ("failed", endpoint["failures"]))
    }
    ((_, observed),) = _ask(urls, 'sum(load_test_request_duration_seconds_count{app="wwmaa"})')
    assert observed == sum(endpoint["count"] for endpoint in ran["endpoints"])


def test_a_rate_sees_the_beginning(urls: Mapping[str, Any], ran: dict[str, Any]) -> None:
    """Proves that each count was nought once, so that a run shorter than two scrapes has a rate."""
    ((_, least),) = _ask(urls, 'max(min_over_time(load_test_requests_total{app="wwmaa"}[5m]))')
    assert least == 0
    ((_, grown),) = _ask(urls, 'sum(increase(load_test_requests_total{app="wwmaa"}[5m]))')
    assert grown >= sum(endpoint["count"] for endpoint in ran["endpoints"]) * 0.99


def test_users_came_and_left(urls: Mapping[str, Any], ran: dict[str, Any]) -> None:
    """Proves that the users of the run were seen, and that none is left of them."""
    ((_, most),) = _ask(urls, 'max_over_time(load_test_users{app="wwmaa"}[5m])')
    assert (most, ran["users"]) == (2, 2)
    assert {value for _, value in _ask(urls, "load_test_users")} == {0.0}


def test_verdicts(urls: Mapping[str, Any], ran: dict[str, Any]) -> None:
    """Proves that each criterion's verdict is there, of all requests or of the endpoint."""
    found = {
        (metric["app"], metric["criterion"], metric["endpoint"]): value
        for metric, value in _ask(urls, "load_test_criterion_passed")
    }
    assert found == {
        **{("wwmaa", verdict["criterion"], "all"): float(verdict["passed"]) for verdict in ran["criteria"]},
        ("shop", "p95", "/a"): 1.0,
        ("shop", "error rate", "/a"): 1.0,
    }
    assert found["wwmaa", "error rate", "all"] == 0.0


BOARD = dashboards.render()["observability/load-tests.json"]


@pytest.mark.parametrize("panel", BOARD["panels"], ids=lambda panel: panel["title"])
def test_every_panel_shows_the_run(urls: Mapping[str, Any], ran: dict[str, Any], panel: dict[str, Any]) -> None:
    """Proves that each query of the dashboard finds the run."""
    assert ran
    for target in panel["targets"]:
        assert [value for _, value in _ask(urls, target["expr"]) if value == value], target["expr"]  # noqa: PLR0124 - not NaN


def test_no_collector_is_one_line(tmp_path: Path) -> None:
    """Proves that a run goes on without a stack, and says so once."""
    url = f"http://127.0.0.1:{free_port()}"
    with serving() as target:
        wishes = ("--target", target.url, "--shape", "endpoints", "--endpoints", "/", "--requests", "2")
        status, out, err = load(*wishes, "--report", str(tmp_path / "report.json"), otlp=url)
    assert (status, err) == (0, "")
    assert out.splitlines().count(f"not on a dashboard: nothing takes metrics at {url} (make up)") == 1
