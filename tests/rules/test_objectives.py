"""Objectives, tried on series by promtool: events, bad events, ratios, budgets and figures beside their targets."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from processes.place import executable
from specs.monitoring import to_yaml
from specs.profile import Objective
from specs.system import System
from tests.rules.examples import ENVIRONMENT, series
from tests.rules.stack import STACK

LONG = "30m"
OBJECTIVES = [
    pytest.param(system, name, id=f"{system.name}: {name}")
    for system in STACK.systems
    for name in system.profile.objectives
]
SYSTEMS = {system.name: system for system in STACK.systems}


def _labels(system: System, **more: str) -> dict[str, str]:
    return {"app": system.name, "environment": ENVIRONMENT, "instance": "a:1", "job": "j", **more}


def _measured(system: System, objective: Objective, *, well: bool) -> Mapping[str, str]:
    """Series of the signal of an objective, on the good side of its limit or the bad one."""
    host = _labels(system, service="node-exporter")
    match objective.signal:
        case "page_time":
            return {
                # What refuses at once is no fast page.
                series("probe_duration_seconds", _labels(system, service="web", probe="page")): "0.01x60",
                series("probe_success", _labels(system, service="web", probe="page")): "1x60" if well else "0x60",
            }
        case "probe_success":
            probes = {series("probe_success", _labels(system, service="api", probe="other")): "1x60"}
            return probes | {
                series("probe_success", _labels(system, service="api", probe="p")): "1x60" if well else "0x60"
            }
        case "host_cpu":
            return {series("node_cpu_seconds_total", host, mode="idle", cpu="0"): "0+30x60" if well else "0+6x60"}
        case "host_memory":
            free = "50x60" if well else "10x60"
            return {
                series("node_memory_MemAvailable_bytes", host): free,
                series("node_memory_MemTotal_bytes", host): "100x60",
            }
        case "host_disk_io":
            return {series("node_disk_io_time_seconds_total", host, device="sda"): "0+6x60" if well else "0+54x60"}
        case other:
            raise AssertionError(f"no series are known for {other}")


def _events(system: System, objective: Objective) -> Mapping[str, str]:
    """Series in which ten things happen a second, of which two are bad."""
    web = _labels(system, service=system.profile.first)
    http = system.profile.http
    assert http is not None
    if objective.under is None:
        return {
            series(http.requests, web, **{http.status: "200"}): "0+480x60",
            series(http.requests, web, **{http.status: "503"}): "0+120x60",
        }
    histogram = objective.of or http.duration
    bound = f"{float(objective.under.removesuffix('ms')) / 1000:g}" if "ms" in objective.under else ""
    # As Prometheus has it since its third version: whole numbers with a point.
    edge = bound or f"{float(objective.under.removesuffix('s')):.1f}"
    return {
        series(f"{histogram}_bucket", web, le=edge): "0+480x60",
        series(f"{histogram}_bucket", web, le="+Inf"): "0+600x60",
        series(f"{histogram}_count", web): "0+600x60",
    }


def _run(directory: Path, system: System, given: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """What promtool says of the rules, given series, each query with its samples."""
    files = STACK.workload("prometheus").files
    names = (f"rules/{system.name}.yml", "rules/slo.yml")
    for name in names:
        (directory / name.rpartition("/")[2]).write_text(files[name], encoding="utf-8")
    queries: list[dict[str, Any]] = [
        {"expr": query, "eval_time": LONG, "exp_samples": [{"labels": "{}", "value": float(value)}] if value else []}
        for query, value in expected.items()
    ]
    test = {
        "rule_files": [name.rpartition("/")[2] for name in names],
        "evaluation_interval": "1m",
        "fuzzy_compare": True,
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in given.items()],
                "promql_expr_test": queries,
            }
        ],
    }
    (directory / "test.yml").write_text(to_yaml(test), encoding="utf-8")
    done = subprocess.run(
        [str(executable("promtool")), "test", "rules", "test.yml"],
        cwd=directory, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _queries(system: System, name: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    service = system.profile.objectives[name].service or system.profile.first
    scope = f'{{app="{system.name}", environment="{ENVIRONMENT}", service="{service}", slo="{name}"}}'
    for query, value in values.items():
        # What is compared are sums of one series: rates are floats, and five digits are what matters.
        yield f"round(sum({query}{scope}), 0.00001)", value


@pytest.mark.parametrize(("system", "name"), OBJECTIVES)
def test_objective(system: System, name: str, tmp_path: Path) -> None:
    """Proves that an objective counts its events and its bad ones, and knows its budget and what is left of it."""
    objective = system.profile.objectives[name]
    budget = 1 - objective.percent / 100
    bad = _measured(system, objective, well=False) if objective.signal else _events(system, objective)
    events, share = ("1", 1.0) if objective.signal else ("10", 0.2)
    expected = {
        "slo:events:rate5m": events,
        "slo:bad_events:rate5m": f"{float(events) * share}",
        "slo:error_ratio:5m": f"{share}",
        "slo:error_budget": f"{budget:.5f}",
    }
    if not objective.signal:
        # A rate is too low while its window is not full: a signal made of one may begin on the wrong side.
        expected |= {"slo:error_ratio:1h": f"{share}", "slo:error_budget_remaining:30d": f"{1 - share / budget:.5f}"}

    assert _run(tmp_path, system, bad, dict(_queries(system, name, expected))) == ""


@pytest.mark.parametrize(
    ("system", "name"),
    [
        value
        for value in OBJECTIVES
        if SYSTEMS[str(value.id).partition(":")[0]].profile.objectives[str(value.values[1])].signal
    ],
)
def test_objective_kept(system: System, name: str, tmp_path: Path) -> None:
    """Proves that a moment in which the signal keeps its limit is a good one."""
    given = _measured(system, system.profile.objectives[name], well=True)
    expected = {"slo:events:rate5m": "1", "slo:bad_events:rate5m": "0", "slo:error_ratio:5m": "0"}

    assert _run(tmp_path, system, given, dict(_queries(system, name, expected))) == ""


def test_no_bad_answer_was_ever_counted(tmp_path: Path) -> None:
    """Proves that a system that never failed has spent nothing, though no series counts its failures."""
    system = SYSTEMS["roadtrip"]
    given = {series("http_requests_total", _labels(system, service="api"), status="200"): "0+600x60"}
    expected = {"slo:bad_events:rate5m": "0", "slo:error_budget_remaining:30d": "1"}

    assert _run(tmp_path, system, given, dict(_queries(system, "availability", expected))) == ""


def test_nothing_is_said_of_a_system_that_is_silent(tmp_path: Path) -> None:
    """Proves that a system without data has no objective that says anything."""
    expected = {"slo:events:rate5m": "", "slo:error_ratio:5m": "", "slo:error_budget": ""}

    assert _run(tmp_path, SYSTEMS["roadtrip"], {}, dict(_queries(SYSTEMS["roadtrip"], "availability", expected))) == ""


def test_figures_beside_their_targets(tmp_path: Path) -> None:
    """Proves that a figure is recorded beside its target."""
    system = SYSTEMS["personal-assistant"]
    given = {
        series("user_active_sessions", _labels(system, service="api")): "180x60",
        series("up", _labels(system, service="api")): "1x60",
    }
    people = '{app="personal-assistant", kpi="People at once"}'

    assert _run(tmp_path, system, given, {f"sum(kpi:value{people})": "180", f"sum(kpi:target{people})": "500"}) == ""


@pytest.mark.parametrize("system", STACK.systems, ids=lambda system: system.name)
def test_what_dashboards_share_is_recorded(system: System, tmp_path: Path) -> None:
    """Proves that rate and error share of a system are recorded by the same names, whatever it calls its metrics."""
    given = _events(system, Objective(title="any", percent=99))
    scope = f'{{app="{system.name}", environment="{ENVIRONMENT}", service="{system.profile.first}"}}'
    expected = {
        f"round(app:http_rate:5m{scope}, 0.00001)": "10",
        f"round(app:http_error_share:5m{scope}, 0.00001)": "0.2",
    }
    labelled = {f"sum({query})": value for query, value in expected.items()}

    assert _run(tmp_path, system, given, labelled) == ""
