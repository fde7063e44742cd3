"""Every alert of the stack, tried on series by promtool: firing, not firing, at its limit, and without any data."""

import os
import random
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from specs.monitoring import Alert, rule_files, to_yaml
from tests.rules import (
    application_examples,
    cluster_examples,
    elk_examples,
    exporter_examples,
    glitchtip_examples,
    limit_examples,
    metrics_examples,
    replica_examples,
    stack_examples,
    system_examples,
)
from tests.rules.examples import BOUNDARY, HAIR, Example, Firing, labels, series
from tests.rules.stack import ALERTS, STACK
from tools import native

# The first test waits for all examples.
pytestmark = pytest.mark.timeout(900)

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
            says=f"{job} vanished, everything else is there, and came back",
            series={f'up{{job="{other}", app="any"}}': "_x28 0x40" if other == job else "0x60" for other in SCRAPED},
            at="5m",
            quiet_at="4m45s",
            resolved_at="8m",
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

_RULES_OF = {
    (alert.of, alert.name): f"{group.file or group.name}.yml" for group in STACK.groups for alert in group.alerts
}
# Not those of its Prometheus: what only containers run has alerts, too.
_FILES = rule_files(STACK.groups, runbooks=RUNBOOKS, dashboards=DASHBOARDS.removesuffix("/d"))
_LEVELS_OF = {
    alert.name: {other.severity for other in ALERTS if (other.of, other.name) == ("", alert.name)}
    for alert in ALERTS
    if not alert.of and not alert.level
}

EXAMPLES = (
    *stack_examples.EXAMPLES,
    *application_examples.EXAMPLES,
    *MISSING,
    *exporter_examples.EXAMPLES,
    *elk_examples.EXAMPLES,
    *glitchtip_examples.EXAMPLES,
    *limit_examples.EXAMPLES,
    *cluster_examples.EXAMPLES,
    *metrics_examples.EXAMPLES,
    *replica_examples.EXAMPLES,
    *system_examples.OF_SYSTEMS,
)

# Some alerts are about what is not there; the Watchdog needs nothing at all.
_WITHOUT_DATA = {
    "TargetMissing": tuple(_missing(job) for job in SCRAPED),
    "ThanosRulerDown": metrics_examples.OF_RULES[0].fires,
    "Watchdog": stack_examples.STACK[0].fires,
}
NOTHING = tuple(
    Example(alert=name, of=of, says="no data at all", series={}, at="30m", fires=_WITHOUT_DATA.get(name, ()))
    for of, name in sorted(_RULES_OF)
)


def _expected(example: Example, firing: Firing) -> dict[str, Any]:
    (dashboard,) = {
        alert.dashboard
        for alert in ALERTS
        if example.of == alert.of and example.alert == alert.name and firing.labels["severity"] == alert.severity.value
    }
    return {
        "exp_labels": dict(firing.labels),
        "exp_annotations": {
            "summary": firing.summary,
            "description": firing.description,
            "runbook_url": f"{RUNBOOKS}/{example.alert}.md",
            "dashboard_url": f"{DASHBOARDS}/{dashboard or 'observability-stack'}",
        },
    }


def _checks(example: Example) -> list[dict[str, Any]]:
    expected = [_expected(example, firing) for firing in example.fires]
    checks: list[dict[str, Any]] = [{"eval_time": example.at, "alertname": example.alert, "exp_alerts": expected}]
    if example.quiet_at:
        checks.insert(0, {"eval_time": example.quiet_at, "alertname": example.alert, "exp_alerts": []})
    if example.resolved_at:
        checks.append({"eval_time": example.resolved_at, "alertname": example.alert, "exp_alerts": []})
    return checks


def _without(shown: Callable[[Alert, Example], bool], alerts: Iterable[Alert] = ALERTS) -> list[str]:
    """The alerts without an example for which `shown` holds."""
    return sorted(
        {
            f"{alert.of}/{alert.name}@{alert.level or alert.severity.value}".removeprefix("/")
            for alert in alerts
            if not any(example.about(alert) and shown(alert, example) for example in EXAMPLES)
        }
    )


def _fires(alert: Alert, example: Example) -> bool:
    return example.shows_firing(alert)


def _group(example: Example) -> dict[str, Any]:
    return {
        "name": example.name,
        "interval": example.step,
        "input_series": [{"series": name, "values": values} for name, values in example.series.items()],
        "alert_rule_test": _checks(example),
    }


def _groups(of: str, name: str) -> Iterator[str]:
    """Names of the groups of the file of an alert's rules."""
    for group in _groups_of(_RULES_OF[of, name]):
        yield group["name"]


@cache
def _groups_of(file: str) -> Sequence[Mapping[str, Any]]:
    return cast("Sequence[Mapping[str, Any]]", yaml.load(_FILES[file], Loader=yaml.CSafeLoader)["groups"])


@cache
def _rules(of: str, name: str) -> str:
    """Of the file of an alert's rules: the alert, those that it asks about, and everything that is recorded. promtool
    evaluates every rule that it is given for every example."""
    groups = _groups_of(_RULES_OF[of, name])
    asked = {name}
    for group in groups:
        for rule in group["rules"]:
            if rule.get("alert") == name:
                asked |= set(re.findall(r'alertname="(\w+)"', rule["expr"]))
    kept = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("alert", name) in asked]} for group in groups
    ]
    return to_yaml({"groups": kept})


def _promtool(directory: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """What promtool says of the files of tests in a directory of rules."""
    (promtool,) = (found.path for found in native.ensure(["promtool"]).values() if found.name == "promtool")
    return subprocess.run(
        [str(promtool), "test", "rules", *tests],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="session")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Run all examples through promtool; what it says of each that fails."""
    directory: Path = tmp_path_factory.mktemp("rules")
    tests: dict[str, dict[str, Any]] = {}
    for example in (*EXAMPLES, *NOTHING):
        rules = f"{example.of}-{example.alert}.yml".removeprefix("-")
        (directory / rules).write_text(_rules(example.of, example.alert), encoding="utf-8")
        made = tests.setdefault(
            f"test-{example.step}-{rules}",
            {
                "rule_files": [rules],
                "evaluation_interval": example.step,
                # Groups run side by side; here in their order, so that the same happens each time.
                "group_eval_order": list(_groups(example.of, example.alert)),
                "tests": [],
            },
        )
        made["tests"].append(_group(example))
    for name, value in tests.items():
        (directory / name).write_text(to_yaml(value), encoding="utf-8")
    # One promtool works at one thing at a time, and machines have several cores.
    files, at_once = list(tests), os.cpu_count() or 1

    def some(first: int) -> subprocess.CompletedProcess[str]:
        return _promtool(directory, *files[first::at_once])

    with ThreadPoolExecutor(at_once) as pool:
        every = list(pool.map(some, range(at_once)))
    words: dict[str, str] = {}
    for done in every:
        said = _by_example(done.stdout + done.stderr)
        assert (done.returncode == 0) == (said == {}), done.stdout + done.stderr
        for about, line in said.items():
            words[about] = words.get(about, "") + line
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
    assert _without(_fires) == []


def test_every_alert_has_an_example_that_resolves() -> None:
    """Proves that each alert, but the one that always fires, is seen to end when what it is about has."""
    assert _without(lambda alert, example: _fires(alert, example) and example.resolved_at != "") == ["Watchdog@info"]


def test_every_alert_has_an_example_that_does_not_fire() -> None:
    """Proves that no alert, but the one that always fires, comes without an example in which data is there and it is
    quiet."""
    assert _without(lambda alert, example: example.series != {} and not _fires(alert, example)) == ["Watchdog@info"]


def test_every_threshold_has_an_example_at_it() -> None:
    """Proves that an alert with a threshold has an example at the threshold itself, or a hair from it."""
    words = ("the boundary", BOUNDARY, HAIR)

    def at_it(alert: Alert, example: Example) -> bool:
        return any(word in example.says for word in words) and not _fires(alert, example)

    assert _without(at_it, [alert for alert in ALERTS if alert.threshold is not None]) == []


def test_every_example_is_of_an_alert() -> None:
    """Proves that no example outlives its alert, and that each has a name of its own."""
    assert sorted({(example.of, example.alert) for example in EXAMPLES} - set(_RULES_OF)) == []
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)


def test_examples_of_several_levels_tell_which() -> None:
    """Proves that where alerts that every system shares have one name, an example says which of them it is about, and
    nowhere else: an example at the limit of one would pass for one at the limit of the other."""
    shared = [example for example in EXAMPLES if not example.of and example.alert in _LEVELS_OF]

    assert [
        example.name for example in shared if (example.severity != "") is not (len(_LEVELS_OF[example.alert]) > 1)
    ] == []


def test_wait_is_tried() -> None:
    """Proves that each alert that waits has an example that is pending only, before it fires."""
    waiting = [alert for alert in ALERTS if alert.for_ != "0s"]

    assert _without(lambda alert, example: _fires(alert, example) and example.quiet_at != "", waiting) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_alert(example: Example, failures: Mapping[str, str]) -> None:
    """Proves that the alert makes of these series what the example says: its labels, its texts, or nothing."""
    assert failures.get(example.name, "") == ""


@pytest.mark.parametrize("example", NOTHING, ids=lambda example: example.name)
def test_alert_without_data(example: Example, failures: Mapping[str, str]) -> None:
    """Proves that nothing fires where nothing is measured, but what is about missing data and what always fires."""
    assert failures.get(example.name, "") == ""


def test_a_system_is_down_only_where_its_targets_are_told_to_be(tmp_path: Path) -> None:
    """Proves that SystemDown, which holds back the other alerts of a service, never fires unless ServiceDown, which
    pages, fires for the same service: whatever targets come, go, fail and are deregistered."""
    chance = random.Random(4)
    courses: dict[str, str] = {}
    for index in range(24):
        carried = labels(f"service-{index % 8}", app="shop", job=f"job-{index % 3}", instance=f"there:{index}")
        phases = [f"{chance.choice(('0', '0', '1', '_'))}x{chance.randint(1, 12)}" for _ in range(12)]
        courses[series("up", carried)] = " ".join(phases)
    down = 'ALERTS{alertname="SystemDown", alertstate="firing"}'
    alone = f'{down} unless on (app, environment, service) ALERTS{{alertname="ServiceDown", alertstate="firing"}}'
    checks: list[dict[str, Any]] = [
        {"expr": alone, "eval_time": f"{15 * step}s", "exp_samples": []} for step in range(121)
    ]
    seen = f"count(count_over_time({down}[30m])) > bool 3"
    checks.append({"expr": seen, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": 1}]})
    tried = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in courses.items()],
        "promql_expr_test": checks,
    }
    (tmp_path / "stack.yml").write_text(STACK.workload("prometheus").files["rules/stack.yml"], encoding="utf-8")
    (tmp_path / "test.yml").write_text(
        to_yaml({"rule_files": ["stack.yml"], "evaluation_interval": "15s", "tests": [tried]}), encoding="utf-8"
    )

    done = _promtool(tmp_path, "test.yml")

    assert done.returncode == 0, done.stdout + done.stderr
