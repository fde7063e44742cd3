"""Alerts as data: each tells what happened, how much, and what to do."""

import re

import pytest
import yaml

from specs.monitoring import THRESHOLD, Alert, number
from tests.specs.support import ROOT, stack, yaml_file
from tools.documents import whole_stack

STACK = whole_stack()
GROUPS = (*STACK.groups, *STACK.log_groups)
ALERTS = tuple(alert for group in GROUPS for alert in group.alerts)
NAMES = sorted({alert.name for alert in ALERTS})


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name} {alert.service}".strip())
def test_alert_says_what_people_need(alert: Alert) -> None:
    """Proves that it has a severity, a summary in one line, a description with the value, what to do, and a page."""
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", alert.name)
    assert alert.severity.value in {"critical", "warning", "info"}
    assert alert.summary.strip() == alert.summary != ""
    assert "\n" not in alert.summary
    assert "{{ $value" in alert.description
    assert alert.action.endswith((".", "?"))
    assert (ROOT / "docs" / "runbooks" / f"{alert.name}.md").exists()


@pytest.mark.parametrize(
    "alert", [alert for alert in ALERTS if alert.threshold is not None], ids=lambda alert: alert.name
)
def test_threshold_is_in_the_expression(alert: Alert) -> None:
    """Proves that the threshold decides: it stands in the expression, once, or for each of the two windows of a burn
    rate, and nowhere as a number of its own."""
    assert alert.threshold is not None
    assert alert.expr.count(THRESHOLD) == (2 if alert.name == "ErrorBudgetBurn" else 1)
    assert THRESHOLD not in alert.summary + alert.action


@pytest.mark.parametrize(
    "alert", [alert for alert in ALERTS if alert.threshold is None], ids=lambda alert: f"{alert.name} {alert.service}"
)
def test_no_threshold_no_mark(alert: Alert) -> None:
    """Proves that an alert without a threshold does not name one."""
    assert THRESHOLD not in alert.expr + alert.summary + alert.description


def test_alerts_can_be_told_apart() -> None:
    """Proves that what overrides call an alert, and its service where there is one for each job, is one of a kind."""
    known = [(alert.of, alert.name, alert.level or alert.severity.value, alert.service) for alert in ALERTS]

    assert sorted({each for each in known if known.count(each) > 1}) == []


def test_every_scraped_job_is_missed() -> None:
    """Proves that each job that scrapes targets itself has its TargetMissing."""
    services = {alert.service for alert in ALERTS if alert.name == "TargetMissing"}

    assert services == {job.name for job in STACK.jobs if not job.through}


def test_groups_have_names_of_their_own() -> None:
    """Proves that no group of a rule file takes the place of another."""
    names = [(group.file or group.name, group.name) for group in GROUPS]

    assert len(set(names)) == len(names)


def test_rendered_rules() -> None:
    """Proves how an alert is rendered: its limit in expression and text, its labels, and links that lead somewhere."""
    rules = yaml_file(stack(), "prometheus", "rules/collector.yml")["groups"][0]["rules"]
    (queue,) = [rule for rule in rules if rule["alert"] == "CollectorQueueFilling"]

    assert queue == {
        "alert": "CollectorQueueFilling",
        "expr": (
            "max by (app, environment, service, instance, exporter)"
            ' (otelcol_exporter_queue_size{service="collector"})\n'
            "/ max by (app, environment, service, instance, exporter)"
            ' (otelcol_exporter_queue_capacity{service="collector"})\n'
            "> 0.8"
        ),
        "for": "5m",
        "labels": {"severity": "warning"},
        "annotations": {
            "summary": "The collector's queue to {{ $labels.exporter }} fills up",
            "description": "{{ $value | humanizePercentage }} of the queue is taken; when it is full, data is lost.",
            "runbook_url": "http://127.0.0.1:9099/runbooks/CollectorQueueFilling.md",
            "dashboard_url": "http://127.0.0.1:3000/d/observability-stack",
        },
    }


def test_every_dashboard_link_leads_to_a_dashboard() -> None:
    """Proves that each alert's dashboard is one of those that are delivered."""
    known = {path.rpartition("/")[2].removesuffix(".json") for path in STACK.dashboards}
    linked = {
        rule["annotations"]["dashboard_url"].rpartition("/")[2]
        for path, text in STACK.workload("prometheus").files.items()
        if path.startswith("rules/")
        for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }

    assert linked - known == set()


def test_runbook_links_follow_the_settings() -> None:
    """Proves that a stack's own address of runbooks is where the links lead, with one slash between."""
    made = stack(links={"runbooks": "https://runbooks.example.com/"})
    rule = yaml_file(made, "prometheus", "rules/stack.yml")["groups"][0]["rules"][0]

    assert rule["annotations"]["runbook_url"] == "https://runbooks.example.com/Watchdog.md"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01, "0.01"), (10800, "10800"), (0.9, "0.9"), (1e-7, "0.0000001"), (1.5, "1.5")]
)
def test_number(value: float, text: str) -> None:
    """Proves that a threshold is written as people would."""
    assert number(value) == text
