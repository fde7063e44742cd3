"""A sixth system from a short profile: everything that docs/adding-a-system.md promises of it."""

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.monitoring import Alert, override_keys, to_yaml
from specs.profile import read
from specs.settings import Severity
from specs.stack import Stack
from specs.system import System
from tests.examples import bookshop
from tests.rules import system_examples
from tests.rules.examples import Example
from tests.specs.support import ROOT, yaml_file
from tools import documents, native

STACK: Stack = bookshop.stack()
(SHOP,) = (system for system in STACK.systems if system.name == bookshop.NAME)
ALERTS = {alert.name: alert for group in STACK.groups for alert in group.alerts if alert.of == bookshop.NAME}
RULES = "rules/bookshop.yml"


def promtool(directory: Path, *arguments: str) -> str:
    """What the real promtool complains of; empty when it does not."""
    (found,) = (each.path for each in native.ensure(["promtool"]).values() if each.name == "promtool")
    done = subprocess.run(
        [str(found), *arguments], cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_profile_is_short() -> None:
    """Proves that a system is a file of at most 40 lines."""
    assert len(bookshop.PROFILE.read_text(encoding="utf-8").splitlines()) <= 40


def test_targets() -> None:
    """Proves that each of its services, servers and pages is scraped, and that every sample says whose it is."""
    targets = {
        (job.name, target.address, target.labels["service"])
        for job in STACK.jobs
        for target in job.targets
        if target.labels["app"] == bookshop.NAME and target.labels["environment"] == "local"
    }

    assert targets == {
        ("bookshop-web", "127.0.0.1:8000", "web"),
        ("bookshop-worker", "127.0.0.1:8001", "worker"),
        ("postgres", "127.0.0.1:9187", "postgres"),
        ("redis", "127.0.0.1:9121", "redis"),
        ("probe", "http://127.0.0.1:8000/health", "web"),
    }


def test_alerts() -> None:
    """Proves its four alerts: limits, waits and severities, the dashboard and the runbook that each names."""
    found = {(name, alert.threshold, alert.for_, alert.severity.value) for name, alert in ALERTS.items()}
    rules = [rule for group in yaml_file(STACK, "prometheus", RULES)["groups"] for rule in group["rules"]]
    links = {
        (rule["annotations"]["dashboard_url"], rule["annotations"]["runbook_url"]) for rule in rules if "alert" in rule
    }

    assert found == {
        ("HighErrorRate", 0.05, "5m", "critical"),
        ("HighResponseTime", 1.0, "10m", "warning"),
        ("LowCacheHitRate", 0.7, "15m", "warning"),
        ("CheckoutsFailing", 0.02, "2m", "critical"),
    }
    assert links == {
        ("http://127.0.0.1:3000/d/bookshop-overview", f"http://127.0.0.1:9099/runbooks/{name}.md") for name in ALERTS
    }


def test_recorded_series() -> None:
    """Proves what is computed once for it: five series of signals, and events, bad events and budget of each of its two
    objectives."""
    groups = {group["name"]: group["rules"] for group in yaml_file(STACK, "prometheus", RULES)["groups"]}
    signals = ("http_rate", "http_error_share", "http_p50", "http_p95", "http_p99")

    assert [rule["record"] for rule in groups["signals"]] == [f"app:{name}:5m" for name in signals]
    assert {(rule["labels"]["slo"], rule["record"]) for rule in groups["objectives"]} == {
        (slo, record)
        for slo in ("availability", "latency")
        for record in ("slo:events:rate5m", "slo:bad_events:rate5m", "slo:error_budget")
    }


def test_budgets_burn() -> None:
    """Proves that the one set of rules that serves every objective, at four paces, is there for its own."""
    burning = [alert for group in STACK.groups for alert in group.alerts if alert.name == "ErrorBudgetBurn"]

    assert {alert.level for alert in burning} == {"1h", "6h", "1d", "3d"}


def test_rules_are_good(tmp_path: Path) -> None:
    """Proves that the real promtool takes its rules."""
    (tmp_path / "bookshop.yml").write_text(STACK.workload("prometheus").files[RULES], encoding="utf-8")

    assert promtool(tmp_path, "check", "rules", "bookshop.yml") == ""


def _alert_of(_system: str, name: str, severity: Severity) -> Alert:
    assert ALERTS[name].severity is severity
    return ALERTS[name]


def _tried(example: Example) -> dict[str, Any]:
    expected = [
        {
            "exp_labels": dict(firing.labels),
            "exp_annotations": {
                "summary": firing.summary,
                "description": firing.description,
                "runbook_url": f"http://127.0.0.1:9099/runbooks/{example.alert}.md",
                "dashboard_url": "http://127.0.0.1:3000/d/bookshop-overview",
            },
        }
        for firing in example.fires
    ]
    moments = {example.at: expected, **{at: list[object]() for at in (example.quiet_at, example.resolved_at) if at}}
    return {
        "name": example.says,
        "interval": example.step,
        "input_series": [{"series": name, "values": values} for name, values in example.series.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": example.alert, "exp_alerts": alerts} for at, alerts in moments.items()
        ],
    }


def _examples(monkeypatch: pytest.MonkeyPatch, system: System) -> list[Example]:
    monkeypatch.setattr(system_examples, "alert_of", _alert_of)
    monkeypatch.setattr(system_examples, "ENVIRONMENT", "local")
    return [example for spec in system.profile.alerts for example in system_examples.of_alert(system, spec)]


def test_alert_tests_come_with_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that examples of each alert are made from its signal alone, firing, resolving, at the limit and without
    traffic, and that the real promtool finds them true."""
    examples = _examples(monkeypatch, SHOP)
    (tmp_path / "bookshop.yml").write_text(STACK.workload("prometheus").files[RULES], encoding="utf-8")
    tests = {"rule_files": ["bookshop.yml"], "evaluation_interval": "30s", "tests": [_tried(each) for each in examples]}
    (tmp_path / "test.yml").write_text(to_yaml(tests), encoding="utf-8")

    assert promtool(tmp_path, "test", "rules", "test.yml") == ""
    for name in ALERTS:
        own = [example for example in examples if example.alert == name]
        assert [bool(example.fires) for example in own] == [True, False, False]
        assert all(example.resolved_at and example.quiet_at for example in own[:1])


def test_dashboard() -> None:
    """Proves that it has a dashboard of rate, errors and duration, of what is used up, and of what goes wrong."""
    board = STACK.dashboards["bookshop/bookshop-overview.json"]
    titles = [panel["title"] for panel in board["panels"] if panel["type"] != "row"]

    assert board["title"] == "bookshop Overview"
    assert {"Request Rate", "Error Rate", "Response Time", "Targets Up", "Failed Checkouts"} <= set(titles)
    assert {"Process CPU", "Process Memory", "Connections in Use", "Cache Memory", "Cache Evictions"} <= set(titles)
    assert titles[-2:] == ["Firing Alerts", "Errors in the Log"]


def test_log_file_is_followed() -> None:
    """Proves that its lines reach Loki under its name."""
    (found,) = (file for file in STACK.context.settings.log_files if file.app == bookshop.NAME)

    assert (found.service, found.include, found.format) == ("web", ("/var/log/bookshop/web.json",), "json")
    assert "/var/log/bookshop/web.json" in STACK.workload("collector").files["collector.yml"]


@pytest.mark.parametrize(
    ("severity", "receivers"),
    [("critical", {"books-team", "pagerduty"}), ("warning", {"books-team"}), ("info", {"dashboards"})],
)
def test_routes(severity: str, receivers: set[str]) -> None:
    """Proves who is told of its alerts on the stack, as Alertmanager's own file has it."""
    root = yaml_file(STACK, "alertmanager", "alertmanager.yml")["route"]
    (branch,) = (route for route in root["routes"] if 'app = "bookshop"' in route.get("matchers", ()))
    leaves = branch.get("routes", [])
    asked = [route for route in leaves if any(f'severity = "{severity}"' in each for each in route["matchers"])]
    found = {route["receiver"] for route in asked} or {branch["receiver"]}

    assert found == receivers


def test_runbooks() -> None:
    """Proves that each of its alerts has a page: one that it shares with other systems, or one of its own."""
    made = documents.documents(ROOT)
    pages = {name: made[f"docs/runbooks/{name}.md"] for name in ALERTS}

    assert all("`bookshop`" in page for page in pages.values())
    assert [name for name, page in pages.items() if "`roadtrip`" not in page and "`wwmaa`" not in page] == [
        "CheckoutsFailing"
    ]


def test_overrides() -> None:
    """Proves that each name of an override on the page is one that an alert of the stack has."""
    rows = bookshop.PAGE.partition("| override |")[2].partition("\n\n")[0]
    shown = set(re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE))
    alerts = [alert for group in STACK.groups for alert in group.alerts]

    assert len(shown) == 5
    assert shown - {key for alert in alerts for key in override_keys(alert)} == set()


def test_addresses_of_the_demonstration() -> None:
    """Proves that the stack file of the page's demonstration has nothing scraped that would not run, and all alerts."""
    (line,) = re.findall(r"^`(bookshop: \{.*\})`$", bookshop.PAGE, re.MULTILINE)
    none: dict[str, Any] = {key: {} for key in bookshop.addresses() if key != "profile"}
    made = bookshop.stack(none)
    asked = {target.labels["app"] for job in made.jobs for target in job.targets}

    assert yaml.safe_load(line)["bookshop"] == {"profile": bookshop.addresses()["profile"]}
    assert bookshop.NAME not in asked
    assert {alert.name for group in made.groups for alert in group.alerts if alert.of == bookshop.NAME} == set(ALERTS)


def test_stand_in() -> None:
    """Proves that the sample app can bring about each of its alerts, so that `make demo SYSTEM=bookshop` shows it."""
    command = importlib.import_module("sample_app.impersonation.command")

    assert set(command.troubles(bookshop.NAME, read(bookshop.PROFILE))) >= set(ALERTS)
