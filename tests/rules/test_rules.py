"""Every alert of the stack, tried on series by promtool: firing, not firing, at its limit, and without any data."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from specs.monitoring import Alert, to_yaml
from specs.stack import Stack
from tests.rules import application_examples, exporter_examples, stack_examples
from tests.rules.examples import Example, Firing
from tools import native
from tools.documents import whole_stack

STACK: Stack = whole_stack()
ALERTS: tuple[Alert, ...] = tuple(alert for group in STACK.groups for alert in group.alerts)
RUNBOOKS = "http://127.0.0.1:9099/runbooks"
DASHBOARDS = "http://127.0.0.1:3000/d"

RULES = "the rules"

SCRAPED = sorted(job.name for job in STACK.jobs if not job.through)


def _missing(job: str) -> Firing:
    return Firing(
        labels={"severity": "critical", "app": "observability", "service": job, "job": job},
        summary=f"Nothing of {job} is scraped any more",
        description=f"No target of the job {job} has existed for 5 minutes (absent is 1).",
    )


# Which jobs there are is the stack's own affair: one example for each is made from it.
MISSING = (
    *(
        Example(
            alert="TargetMissing",
            says=f"{job} vanished, everything else is there",
            series={f'up{{job="{other}", app="any"}}': "0x30" for other in SCRAPED if other != job},
            at="5m",
            quiet_at="4m45s",
            fires=(_missing(job),),
        )
        for job in SCRAPED
    ),
    Example(
        alert="TargetMissing",
        says="targets are there, whatever system they belong to, up or down",
        series={f'up{{job="{job}", app="shop"}}': "0x60" for job in SCRAPED},
        at="10m",
    ),
)

_RULES_OF = {alert.name: f"{group.name}.yml" for group in STACK.groups for alert in group.alerts}

EXAMPLES = (*stack_examples.EXAMPLES, *application_examples.EXAMPLES, *MISSING, *exporter_examples.EXAMPLES)

# Two alerts are about what is not there; the Watchdog needs nothing at all.
_WITHOUT_DATA = {
    "TargetMissing": tuple(_missing(job) for job in SCRAPED),
    "Watchdog": stack_examples.STACK[0].fires,
}
NOTHING = tuple(
    Example(alert=name, says="no data at all", series={}, at="30m", fires=_WITHOUT_DATA.get(name, ()))
    for name in sorted({alert.name for alert in ALERTS})
)


def _expected(alert: str, firing: Firing) -> dict[str, Any]:
    return {
        "exp_labels": dict(firing.labels),
        "exp_annotations": {
            "summary": firing.summary,
            "description": firing.description,
            "runbook_url": f"{RUNBOOKS}/{alert}.md",
            "dashboard_url": f"{DASHBOARDS}/observability-stack",
        },
    }


def _checks(example: Example) -> list[dict[str, Any]]:
    expected = [_expected(example.alert, firing) for firing in example.fires]
    checks: list[dict[str, Any]] = [{"eval_time": example.at, "alertname": example.alert, "exp_alerts": expected}]
    if example.quiet_at:
        checks.insert(0, {"eval_time": example.quiet_at, "alertname": example.alert, "exp_alerts": []})
    return checks


def _group(example: Example) -> dict[str, Any]:
    return {
        "name": example.name,
        "interval": example.step,
        "input_series": [{"series": name, "values": values} for name, values in example.series.items()],
        "alert_rule_test": _checks(example),
    }


@pytest.fixture(scope="session")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Run all examples through one promtool; what it says of each that fails."""
    directory: Path = tmp_path_factory.mktemp("rules")
    files = {
        path.removeprefix("rules/"): text
        for path, text in STACK.workload("prometheus").files.items()
        if path.startswith("rules/")
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    # A file of examples for each file of rules: promtool evaluates every rule it is given for every example.
    tests: dict[str, dict[str, Any]] = {}
    for example in (*EXAMPLES, *NOTHING):
        rules = _RULES_OF[example.alert]
        made = tests.setdefault(
            f"test-{example.step}-{rules}", {"rule_files": [rules], "evaluation_interval": example.step, "tests": []}
        )
        made["tests"].append(_group(example))
    for name, value in tests.items():
        (directory / name).write_text(to_yaml(value), encoding="utf-8")
    (promtool,) = (found.path for found in native.ensure(["promtool"]).values() if found.name == "promtool")
    done = subprocess.run(
        [str(promtool), "test", "rules", *tests],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    words = _by_example(done.stdout + done.stderr)
    assert (done.returncode == 0) == (words == {}), done.stdout + done.stderr
    return words


def _by_example(said: str) -> dict[str, str]:
    """What promtool says, by the example it is about; under RULES what it says of no example: rules that cannot run."""
    words: dict[str, str] = {}
    current = RULES
    for line in said.splitlines():
        if not line.strip() or line.strip() in {"SUCCESS", "FAILED:"} or line.startswith("Unit Testing:"):
            continue
        if line.startswith("    name: "):
            current = line.removeprefix("    name: ").removesuffix(",")
        elif re.match(r" {0,4}\S", line) and not line.startswith("    alertname: "):
            current = RULES
        words[current] = words.get(current, "") + line + "\n"
    return words


def test_every_rule_can_be_evaluated(failures: Mapping[str, str]) -> None:
    """Proves that no rule fails on any example's series, which promtool tells of no example in particular."""
    assert failures.get(RULES, "") == ""


def test_every_alert_has_an_example_that_fires() -> None:
    """Proves that no alert comes without an example in which it fires."""
    assert sorted({alert.name for alert in ALERTS} - {example.alert for example in EXAMPLES if example.fires}) == []


def test_every_alert_has_an_example_that_does_not_fire() -> None:
    """Proves that no alert, but the one that always fires, comes without an example in which data is there and it is
    quiet."""
    quiet = {example.alert for example in EXAMPLES if example.series and not example.fires}
    assert sorted({alert.name for alert in ALERTS} - quiet) == ["Watchdog"]


def test_every_threshold_has_an_example_at_it() -> None:
    """Proves that an alert with a threshold has an example at the threshold itself, or a hair from it."""
    words = ("the boundary", "exactly the limit", "a hair below the limit")
    at_it = {example.alert for example in EXAMPLES if any(word in example.says for word in words) and not example.fires}
    assert sorted({alert.name for alert in ALERTS if alert.threshold is not None} - at_it) == []


def test_every_example_is_of_an_alert() -> None:
    """Proves that no example outlives its alert, and that each has a name of its own."""
    assert sorted({example.alert for example in EXAMPLES} - {alert.name for alert in ALERTS}) == []
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)


def test_wait_is_tried(failures: Mapping[str, str]) -> None:
    """Proves that each alert that waits has an example that is pending only, before it fires."""
    del failures
    waiting = {alert.name for alert in ALERTS if alert.for_ != "0s"}
    assert sorted(waiting - {example.alert for example in EXAMPLES if example.quiet_at and example.fires}) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_alert(example: Example, failures: Mapping[str, str]) -> None:
    """Proves that the alert makes of these series what the example says: its labels, its texts, or nothing."""
    assert failures.get(example.name, "") == ""


@pytest.mark.parametrize("example", NOTHING, ids=lambda example: example.name)
def test_alert_without_data(example: Example, failures: Mapping[str, str]) -> None:
    """Proves that nothing fires where nothing is measured, but what is about missing data and what always fires."""
    assert failures.get(example.name, "") == ""
