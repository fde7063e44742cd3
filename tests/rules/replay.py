"""An hour in a few seconds: the stand-ins' metrics through time, replayed by promtool against the rules."""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes.place import executable
from specs.monitoring import to_yaml
from tests.rules.examples import ENVIRONMENT, series
from tests.rules.stack import STACK
from tests.specs.support import ROOT

sys.path.insert(0, str(ROOT / "examples" / "sample-app"))

from sample_app.impersonation import Impersonation
from sample_app.impersonation.targets import targets

STEP = 60
"""Seconds between two scrapes and two evaluations of a scenario."""
START = "2026-01-15T09:00:00Z"
ALERT = re.compile(r'\{(?P<labels>[^{}]*alertname="[^{}]*)\} 1E\+00')


@dataclass(frozen=True, kw_only=True)
class Event:
    """From a minute on, these alerts of a system are driven beyond their limits, and no others; none: all is well."""

    minute: float
    fail: tuple[str, ...] = ()
    down: bool = False
    """Whether nothing of the system answers any more."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens to some systems, and when it is looked who is told of it."""

    name: str
    events: Mapping[str, Sequence[Event]]
    """By system; all is well before the first."""
    minutes: float
    looks: tuple[float, ...]
    """Minutes at which firing alerts are asked for."""
    back: float = 1
    """How many minutes each look takes in: what fired at any time of them."""


def _recorded(system: str, events: Sequence[Event], steps: int) -> dict[str, list[str]]:
    """Every series of a stand-in and of what it stands on, a value a step."""
    profile = next(each.profile for each in STACK.systems if each.name == system)
    stand_in = Impersonation(system, profile=profile)
    pages = targets(system, profile, "there:1", {"environment": ENVIRONMENT})
    found: dict[str, list[str]] = {}
    last = Event(minute=0)
    for step in range(steps):
        now = [event for event in events if event.minute * 60 <= step * STEP]
        if now and now[-1] != last:
            last = now[-1]
            stand_in.fail(*last.fail)
        for page in pages:
            labels = {name: value for name, value in page["labels"].items() if not name.startswith("__")}
            labels |= {"instance": "there:1", "job": "applications"}
            service = page["labels"].get("__param_service")
            key = ("service", service) if service else ("exporter", page["labels"]["__param_name"])
            for name, own, value in () if last.down else stand_in.samples(key):
                found.setdefault(series(name, labels, **own), ["_"] * step).append(f"{value:.10g}")
            found.setdefault(series("up", labels), ["_"] * step).append("0" if last.down else "1")
        for values in found.values():
            # A series that is gone stays away.
            values.extend(["_"] * (step + 1 - len(values)))
        stand_in.advance(STEP)
    return found


def _stack(steps: int) -> dict[str, str]:
    """The stack's own targets, all up."""
    own = {"app": "observability", "environment": ENVIRONMENT, "instance": "here:1"}
    jobs = [job.name for job in STACK.jobs if not job.through]
    worker = series("flower_worker_online", {**own, "job": "celery", "service": "celery"}, worker="celery@here")
    return {
        **{series("up", {**own, "job": job, "service": job}): f"1x{steps}" for job in jobs},
        # Its flower sees a worker.
        worker: f"1x{steps}",
    }


def _group(scenario: Scenario) -> dict[str, Any]:
    steps = int(scenario.minutes * 60 / STEP) + 1
    replayed = {
        name: " ".join(values)
        for system, events in scenario.events.items()
        for name, values in _recorded(system, events, steps).items()
    }
    return {
        "name": scenario.name,
        "interval": f"{STEP}s",
        "start_timestamp": START,
        "input_series": [{"series": name, "values": values} for name, values in {**replayed, **_stack(steps)}.items()],
        # Nothing is expected, so that promtool says what there is.
        "promql_expr_test": [
            {
                "expr": f'min_over_time(ALERTS{{alertstate="firing"}}[{scenario.back * 60:g}s]) + 0 * {minute}',
                "eval_time": f"{minute:g}m",
                "exp_samples": [],
            }
            for minute in scenario.looks
        ],
    }


def firing(scenario: Scenario, directory: Path) -> dict[float, list[dict[str, str]]]:
    """Labels of the alerts that fire, by the minute at which it was looked.

    Rules that nothing of the scenario can move, those of other systems, are left out.
    """
    others = {f"rules/{each.name}.yml" for each in STACK.systems if each.name not in scenario.events}
    rules: list[str] = []
    for path, text in STACK.workload("prometheus").files.items():
        if path.startswith("rules/") and path not in others:
            rules.append(path.removeprefix("rules/"))
            (directory / rules[-1]).write_text(text, encoding="utf-8")
    made = {
        "rule_files": rules,
        "evaluation_interval": f"{STEP}s",
        # Groups run side by side; here always in this order, so that the same happens each time.
        "group_eval_order": ["signals", "objectives", "slo", "slo-slow"],
        "tests": [_group(scenario)],
    }
    (directory / "replay.yml").write_text(to_yaml(made), encoding="utf-8")
    done = subprocess.run(
        [str(executable("promtool")), "test", "rules", "replay.yml"],
        cwd=directory, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return _said(done.stdout + done.stderr, scenario.looks)


def _said(words: str, looks: Iterable[float]) -> dict[float, list[dict[str, str]]]:
    """What promtool found instead of nothing."""
    assert "FAILED:" in words, words
    found: dict[float, list[dict[str, str]]] = {}
    for minute in looks:
        part = words.partition(f"+ 0 * {minute}")[2].partition("expr:")[0]
        labels = [re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match["labels"]) for match in ALERT.finditer(part)]
        found[minute] = sorted(
            ({name: value for name, value in each if name != "alertstate"} for each in labels),
            key=lambda each: sorted(each.items()),
        )
    return found
