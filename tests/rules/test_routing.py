"""The routing proof: for every alert of every system in every environment our simulation, amtool and a real
Alertmanager agree who is told; tables of who that is; and what inhibitions hold back."""

import random
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes.place import executable
from specs import alertmanager
from specs.routing import Matcher, prove, silenced, told, walk
from tests.golden import assert_golden
from tests.rules.real_alertmanager import fire, lay_out, running
from tests.rules.routes import STACKS, alerts_of, inbox_of, made, routes_of, tree_of

AMTOOL = executable("amtool")
# An address that refuses at once: nothing of these tests is delivered.
NOWHERE = "http://127.0.0.1:9/"


def _lay_out(name: str, root: Path) -> None:
    """The configuration of the stack `name`, with texts in the place of its secrets and nobody told for an hour."""
    stack = made(name)
    workload = alertmanager.workload(stack.context, inbox_of(stack), routes=routes_of(stack))
    config: dict[str, Any] = yaml.load(workload.files["alertmanager.yml"], Loader=yaml.CSafeLoader)
    config.pop("event_recorder", None)

    def patient(route: dict[str, Any]) -> None:
        if "group_wait" in route:
            route["group_wait"] = "1h"
        for inner in route.get("routes", ()):
            patient(inner)

    patient(config["route"])
    lay_out(root, config, {**workload.files, **dict.fromkeys(workload.secrets, NOWHERE)})


@pytest.mark.parametrize("name", STACKS)
def test_nobody_is_missed(name: str) -> None:
    """Proves that in each shipped stack, with the routes of all five systems, every alert reaches somebody, nobody is
    told twice, no receiver or route is there in vain, and no inhibition hides a page."""
    assert prove(tree_of(name), alerts_of(name)) == []


@pytest.mark.parametrize(
    ("app", "severity", "service", "receivers"),
    [
        ("observability", "critical", "", "pagerduty email slack"),
        ("observability", "warning", "", "slack"),
        ("observability", "info", "", "dashboards"),
        ("observability", "warning", "security", "security-team slack"),
        ("narra-forge", "critical", "", "pagerduty email slack webhook"),
        ("wwmaa", "critical", "", "team-email"),
        ("wwmaa", "warning", "", "team-email"),
        ("roadtrip", "critical", "", "pagerduty"),
        ("roadtrip", "warning", "", "slack"),
        ("roadtrip", "critical", "security", "security-team pagerduty"),
        ("roadtrip", "warning", "security", "security-team slack"),
        ("personal-assistant", "critical", "", "email pagerduty"),
        ("personal-assistant", "warning", "", "slack"),
        ("personal-assistant", "warning", "security", "security-team webhook slack"),
        ("mysmartnotes", "critical", "", "mysmartnotes-oncall mysmartnotes-email"),
        ("mysmartnotes", "warning", "", "mysmartnotes-warning"),
        ("mysmartnotes", "info", "", "dashboards"),
    ],
)
def test_production_tells_whom_the_guides_name(app: str, severity: str, service: str, receivers: str) -> None:
    """Proves who is told in production, by what each system's guide and the environment's own rules say."""
    labels = {"alertname": "HighErrorRate", "app": app, "severity": severity, "service": service}

    assert told(tree_of("prod").root, labels) == tuple(receivers.split())


@pytest.mark.parametrize(
    ("app", "by", "timings"),
    [
        ("wwmaa", ("alertname", "severity"), ("30s", "5m", "12h")),
        ("roadtrip", ("alertname", "cluster"), ("30s", "5m", "12h")),
        ("mysmartnotes", ("alertname", "cluster", "service"), ("10s", "10s", "12h")),
        ("", ("alertname", "cluster", "app", "service"), ("30s", "5m", "12h")),
    ],
)
def test_production_groups_as_the_guides_do(app: str, by: tuple[str, ...], timings: tuple[str, ...]) -> None:
    """Proves how the alerts of each system with a grouping of its own, and of all others, become notifications."""
    root = tree_of("prod").root
    of_app = (Matcher(label="app", value=app),)
    (node,) = [route for route in root.routes if route.matchers == of_app] if app else [root]

    assert (node.group_by, (node.wait, node.interval, node.repeat)) == (by, timings)


@pytest.mark.parametrize("name", STACKS)
def test_who_is_told(name: str) -> None:
    """Proves who is told of each alert of each system, by a table that is read in diffs."""
    tree = tree_of(name)
    fixed = {
        alert.name for group in (*made(name).groups, *made(name).log_groups) for alert in group.alerts if alert.service
    }
    lines = [
        f"| {labels['app']} | {labels.get('service', '(any)')} | {labels['alertname']} | {labels['severity']} |"
        f" {', '.join(told(tree.root, labels))} |"
        for labels in sorted(alerts_of(name), key=lambda labels: tuple(labels.get(key, "") for key in _COLUMNS))
        if labels["alertname"] in fixed or "service" not in labels
    ]
    head = "| app | service | alert | severity | who is told |\n|---|---|---|---|---|\n"

    assert_golden(f"routing-{name}.md", f"# Who is told: {name}\n\n{head}" + "\n".join(lines) + "\n")


_COLUMNS = ("app", "service", "alertname", "severity")


@pytest.mark.parametrize("name", STACKS)
def test_amtool_agrees(name: str, tmp_path: Path) -> None:
    """Proves that amtool finds the receivers that our simulation does, for each set of labels that any route tells
    apart."""
    tree = tree_of(name)
    _lay_out(name, tmp_path)
    asked = [matcher for route in walk(tree.root) for matcher in route.matchers]
    kinds: dict[tuple[object, ...], Mapping[str, str]] = {}
    for labels in alerts_of(name):
        rest = tuple(labels.get(key) for key in _COLUMNS if key != "alertname")
        kinds.setdefault((*rest, *(matcher.matches(labels) for matcher in asked)), labels)

    def ask(labels: Mapping[str, str]) -> str:
        argv = [str(AMTOOL), "config", "routes", "test", f"--config.file={tmp_path}/config/alertmanager.yml"]
        pairs = [f"{key}={value}" for key, value in labels.items()]
        return subprocess.run([*argv, *pairs], capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(ask, kinds.values()))

    assert found == [",".join(told(tree.root, labels)) for labels in kinds.values()]
    assert len(kinds) > 3 * len(made(name).systems)


def _set(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


@pytest.mark.parametrize("name", STACKS)
def test_a_real_alertmanager_agrees_on_every_alert(name: str, tmp_path: Path) -> None:
    """Proves for every alert of every system that a real Alertmanager hands it to the receivers of our simulation."""
    alerts, tree = alerts_of(name), tree_of(name)
    _lay_out(name, tmp_path)
    with running(tmp_path) as api:
        shown = fire(api, [{"labels": labels} for labels in alerts])
    found = {_set(alert["labels"]): sorted(each["name"] for each in alert["receivers"]) for alert in shown}

    assert found == {_set(labels): sorted(told(tree.root, labels)) for labels in alerts}


def _scenarios() -> list[list[dict[str, str]]]:
    """What fires together, each in a cluster of its own: chosen ones, and many by chance (the same ones every time)."""
    host = {"environment": "prod", "app": "roadtrip", "service": "api", "instance": "api:8000"}

    def alert(name: str, severity: str, **labels: str) -> dict[str, str]:
        return {"alertname": name, "severity": severity, **host, **labels}

    chosen = [
        [alert("HighCPUUsage", "critical"), alert("HighCPUUsage", "warning")],
        [alert("HighCPUUsage", "critical"), alert("HighCPUUsage", "warning", instance="api:8001")],
        [alert("LowMemory", "warning"), alert("HighMemoryUsage", "warning")],
        [alert("LowMemory", "warning", app="wwmaa"), alert("HighMemoryUsage", "warning", app="wwmaa")],
        [alert("ServiceDown", "critical"), alert("ProbeFailed", "critical"), alert("JsonPageUnreadable", "warning")],
        [
            alert("SystemDown", "info", instance=""),
            alert("ServiceDown", "critical"),
            alert("HighErrorRate", "critical", instance=""),
            alert("Watchdog", "info", instance=""),
            alert("HighErrorRate", "critical", instance="", service="web"),
            alert("AlertmanagerNotificationsFailing", "critical"),
        ],
        # mysmartnotes' guide: a critical alert silences the warning of the same name, cluster and service.
        [alert("HighErrorRate", severity, app="mysmartnotes") for severity in ("critical", "warning")],
        [
            alert("ErrorBudgetBurn", "critical", slo="availability"),
            alert("ErrorBudgetBurn", "warning", slo="availability"),
            alert("ErrorBudgetBurn", "warning", slo="latency"),
        ],
    ]
    chance = random.Random(4)
    names = ("ServiceDown", "SystemDown", "LowMemory", "HighMemoryUsage", "HighCPUUsage", "Watchdog")
    for _ in range(60):
        found = {
            _set(labels): labels
            for labels in (
                alert(
                    chance.choice(names),
                    chance.choice(("critical", "warning", "info")),
                    app=chance.choice(("roadtrip", "wwmaa")),
                    instance=chance.choice(("", "one", "two")),
                )
                for _ in range(12)
            )
        }
        chosen.append(list(found.values()))
    return [
        [{key: value for key, value in {**labels, "cluster": f"c{index}"}.items() if value} for labels in firing]
        for index, firing in enumerate(chosen)
    ]


def test_a_real_alertmanager_holds_back_what_we_say(tmp_path: Path) -> None:
    """Proves that with the configuration of production a real Alertmanager suppresses exactly the alerts that our
    simulation of inhibition does, in chosen situations and in many by chance."""
    scenarios, tree = _scenarios(), tree_of("prod")
    _lay_out("prod", tmp_path)
    with running(tmp_path) as api:
        shown = fire(api, [{"labels": labels} for firing in scenarios for labels in firing])
    found = {
        _set(alert["labels"]): (bool(alert["status"]["inhibitedBy"]), alert["status"]["state"] == "suppressed")
        for alert in shown
    }
    expected = {
        _set(labels): (bool(silenced(tree.inhibitions, firing, labels)),) * 2
        for firing in scenarios
        for labels in firing
    }

    assert found == expected
    assert {held for held, _ in expected.values()} == {True, False}
