"""Figures and verdicts."""

import io
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from loadtests.measurements import Measurements, Report, Summary, answers, throughput

EMPTY = Summary(
    method="",
    endpoint="all",
    count=0,
    failures=0,
    min_ms=None,
    mean_ms=None,
    p50_ms=None,
    p95_ms=None,
    p99_ms=None,
    max_ms=None,
    requests_per_second=0.0,
    statuses={},
)


def test_figures_are_exact() -> None:
    """Proves that each figure is of the requests themselves, whatever their order."""
    measured = Measurements()
    for milliseconds in range(200, 0, -1):
        measured.add("GET", "/b", float(milliseconds), 200)
    assert [asdict(summary) for summary in measured.endpoints(10)] == [
        {
            "method": "GET",
            "endpoint": "/b",
            "count": 200,
            "failures": 0,
            "min_ms": 1.0,
            "mean_ms": 100.5,
            "p50_ms": 100.0,
            "p95_ms": 190.0,
            "p99_ms": 198.0,
            "max_ms": 200.0,
            "requests_per_second": 20.0,
            "statuses": {"200": 200},
        }
    ]


@pytest.mark.parametrize(
    ("status", "good"), [(0, False), (200, True), (204, True), (302, True), (399, True), (400, False), (503, False)]
)
def test_what_is_a_failure(status: int, good: bool) -> None:
    """Proves that no answer and a status from 400 on are failures, in the summary as at the time."""
    measured = Measurements()
    assert measured.add("GET", "/", 1.0, status) is good
    (summary,) = measured.endpoints(1)
    assert (summary.failures, summary.statuses) == (int(not good), {str(status) if status else "none": 1})


def test_endpoints_and_together() -> None:
    """Proves that methods and endpoints are told apart, in the order of the endpoints, and that together they are
    all."""
    measured = Measurements()
    measured.add("POST", "/a", 30.0, 201)
    measured.add("GET", "/b", 10.0, 200)
    measured.add("GET", "/a", 20.0, 500)
    assert [(each.method, each.endpoint, each.count) for each in measured.endpoints(2)] == [
        ("GET", "/a", 1),
        ("POST", "/a", 1),
        ("GET", "/b", 1),
    ]
    together = measured.together(2)
    assert (together.endpoint, together.count, together.failures, together.mean_ms) == ("all", 3, 1, 20.0)
    assert (together.requests_per_second, together.statuses) == (1.5, {"200": 1, "201": 1, "500": 1})


def test_nothing_measured() -> None:
    """Proves that no request is no figure, and keeps no criterion."""
    together = Measurements().together(5)
    assert together == EMPTY
    verdicts = [*answers(together), throughput(together, 1)]
    assert [(verdict.figure, verdict.passed) for verdict in verdicts] == [(None, False), (None, False), (0.0, False)]


@pytest.mark.parametrize(
    ("p95", "failures", "passed"),
    [
        (499.999, 0, [True, True]),
        (500.0, 0, [False, True]),
        (1.0, 9, [True, True]),
        (1.0, 10, [True, False]),
        (501.0, 10_000, [False, False]),
    ],
)
def test_answers(p95: float, failures: int, passed: list[bool]) -> None:
    """Proves that p95 is kept below 500 ms and the error rate below 0.1 %, and neither at the limit."""
    verdicts = answers(replace(EMPTY, count=10_000, p95_ms=p95, failures=failures))
    assert [(verdict.criterion, verdict.limit) for verdict in verdicts] == [("p95", 500), ("error rate", 0.001)]
    assert [verdict.passed for verdict in verdicts] == passed


@pytest.mark.parametrize(
    ("rate", "scale", "passed"), [(1000.0, 1, False), (1000.1, 1, True), (100.0, 0.1, False), (100.1, 0.1, True)]
)
def test_throughput(rate: float, scale: float, passed: bool) -> None:
    """Proves that more than 1000 requests a second are wanted, or that part of them which the run is."""
    verdict = throughput(replace(EMPTY, requests_per_second=rate), scale)
    assert (verdict.limit, verdict.passed) == (1000 * scale, passed)


def test_tables() -> None:
    """Proves that each criterion is printed with figure, what is wanted and verdict, and that a smaller run is said to
    be one."""
    measured = Measurements()
    for number in range(100):
        measured.add("GET", "/health", 600.0, 500 if number == 0 else 200)
    together = measured.together(10)
    report = Report(
        target="http://127.0.0.1:1",
        app="shop",
        shape="normal",
        scale=0.02,
        started="2026-01-01T00:00:00+00:00",
        seconds=10,
        complete=True,
        users=2,
        endpoints=measured.endpoints(10),
        criteria=[*answers(together), throughput(together, 0.02)],
    )
    written = io.StringIO()
    console = Console(file=written, width=120)
    for table in report.tables():
        console.print(table)
    said = [" ".join(line.split()) for line in written.getvalue().splitlines()]
    assert "GET /health 100 1 600.0 600.0 600.0 600.0 10.0 200: 99, 500: 1" in said
    assert "p95 all 600 ms < 500 ms missed" in said
    assert "error rate all 1 % < 0.1 % missed" in said
    assert "throughput all 10 req/s > 20 req/s missed" in said
    assert "scale 0.02: so is the throughput wanted" in said
    assert report.passed is False


def test_what_ended_early_has_not_passed() -> None:
    """Proves that good figures of a part do not stand for the whole."""
    report = Report(
        target="", app="", shape="", scale=1, started="", seconds=1, complete=False, users=1, endpoints=[], criteria=[]
    )
    assert (report.passed, report.as_json()["passed"]) == (False, False)
    assert replace(report, complete=True).passed is True
    assert "ended early: not passed" in str(report.tables()[1].title)
