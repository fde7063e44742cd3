"""Every alert on log lines, tried by a real Loki: firing, pending, at its limit, resolved, and without data."""

import re
import time
from collections.abc import Generator, Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from specs import loki
from specs.model import seconds
from specs.monitoring import Alert
from tests.log_stack import ENVIRONMENT, Line, LogStack, context, running
from tests.rules.log_examples import EXAMPLES, LogExample

ALERTS: tuple[Alert, ...] = tuple(alert for group in loki.log_groups() for alert in group.alerts)
STEP = 15
# Lines of the last hours are still in Loki's memory; resolutions are looked at five minutes later.
MOMENT = int(time.time()) - 420


def _rules() -> Mapping[str, Mapping[str, Any]]:
    made = loki.workload(context(), loki.log_groups(), runbooks="http://runbooks", dashboards="http://dashboards")
    texts = [text for path, text in made.files.items() if path.startswith("rules/fake/")]
    return {
        rule["alert"]: rule
        for text in texts
        for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
    }


RULES = _rules()


def _app(example: LogExample) -> str:
    """Each example has a system of its own, so that all fit into one Loki."""
    return f"app-{EXAMPLES.index(example)}"


def _lines(example: LogExample) -> Generator[Line]:
    for batch in example.lines:
        for index in range(batch.count):
            share = index / max(batch.count - 1, 1)
            yield Line(
                text=batch.text,
                at=MOMENT + batch.first + (batch.last - batch.first) * share,
                labels={
                    "app": _app(example),
                    "environment": ENVIRONMENT,
                    "service_name": batch.service,
                    **({"severity_text": batch.level} if batch.level else {}),
                },
                metadata=batch.metadata,
            )


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Generator[LogStack]:
    """A Loki with the lines of all examples."""
    with running(tmp_path_factory.mktemp("loki"), retention={"logs": "7d"}) as made:
        made.push(line for example in EXAMPLES for line in _lines(example))
        # The stack's own lines say everything at once, and must raise nothing.
        own = [
            Line(text=line.text, at=line.at, labels={**line.labels, "app": "observability"}, metadata=line.metadata)
            for example in EXAMPLES
            for line in _lines(example)
        ]
        made.push(sorted(own, key=lambda line: line.at))
        _holding.cache_clear()
        yield made


@cache
def _holding(logs: LogStack, alert: str, at: int) -> Mapping[str, tuple[Mapping[str, str], float]]:
    """For which systems the condition holds at a moment, with labels and value."""
    found = logs.instant(RULES[alert]["expr"], MOMENT + at)
    return {sample["metric"]["app"]: (sample["metric"], float(sample["value"][1])) for sample in found}


def _fires(logs: LogStack, example: LogExample, at: int) -> tuple[Mapping[str, str], float] | None:
    """What the ruler would fire with: the condition has held at each evaluation for as long as the rule says."""
    wait = int(seconds(RULES[example.alert].get("for", "0s")))
    if not all(_app(example) in _holding(logs, example.alert, at - before) for before in range(0, wait + 1, STEP)):
        return None
    return _holding(logs, example.alert, at)[_app(example)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_log_alert(logs: LogStack, example: LogExample) -> None:
    """Proves that the alert makes of these lines what the example says: its labels and its value, or nothing; that it
    is pending first and resolves after."""
    fired = _fires(logs, example, example.at)
    if example.value is None:
        assert fired is None
        return
    assert fired is not None
    labels, value = fired
    service = {"service": example.service} if example.service else {}
    assert labels == {"app": _app(example), "environment": ENVIRONMENT, **service}
    assert value == pytest.approx(example.value)
    if example.pending_at is not None:
        assert _app(example) in _holding(logs, example.alert, example.pending_at)
        assert _fires(logs, example, example.pending_at) is None
    assert example.resolved_at is not None
    assert _fires(logs, example, example.resolved_at) is None


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_log_alert_without_data(logs: LogStack, alert: Alert) -> None:
    """Proves that an alert is quiet where there are no lines, and about the stack's own lines, which have its words."""
    long_ago = logs.instant(RULES[alert.name]["expr"], MOMENT - 5 * 24 * 3600)

    assert long_ago == []
    assert "observability" not in _holding(logs, alert.name, 0)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_log_alert_is_complete(alert: Alert) -> None:
    """Proves that an alert has system, service and severity, texts with its value and links, and uses no label that
    its expression drops."""
    rule = RULES[alert.name]
    texts = rule["annotations"]["summary"] + rule["annotations"]["description"]
    kept = set(re.findall(r"\w+", re.findall(r"by \(([^)]*)\)", rule["expr"])[0]))

    assert {"app", "environment"} <= kept
    assert "service" in kept or rule["labels"]["service"]
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= kept
    assert "$value" in rule["annotations"]["description"]
    assert "$threshold" not in str(rule)
    assert rule["annotations"]["runbook_url"] == f"http://runbooks/{alert.name}.md"
    assert rule["annotations"]["dashboard_url"] == "http://dashboards/d/logs"
    assert alert.action


def test_every_log_alert_has_examples() -> None:
    """Proves that each alert is tried firing and resolved, at its limit, and pending where it waits."""
    names = {alert.name for alert in ALERTS}
    firing = [example for example in EXAMPLES if example.value is not None]
    waiting = {alert.name for alert in ALERTS if alert.for_ != "0s"}

    assert {example.alert for example in firing if example.resolved_at is not None} == names
    assert {
        example.alert for example in EXAMPLES if example.value is None and "exactly the limit" in example.says
    } == names
    assert {example.alert for example in firing if example.pending_at is not None} == waiting
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)
    assert len(names) == len(ALERTS)
