"""A stand-in that is well is quiet, and one in trouble brings about just the alert that was asked for: by promtool, on
half an hour or more of each system, replayed in a moment."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from sample_app.impersonation import Impersonation, levels

from specs import objectives, profile
from specs import system as systems
from specs.model import seconds
from specs.monitoring import rule_files
from specs.profile import SystemAlert
from specs.system import System, SystemSettings
from tests.examples.replay import replay
from tools import native

STEP = 30
FIRING = 'max by (alertname, severity) (ALERTS{alertstate="firing"})'
_SLO = "app, environment, service, slo"
BURN = f"slo:error_ratio:5m / on ({_SLO}) group_left () max by ({_SLO}) (slo:error_budget)"


@dataclass(frozen=True, kw_only=True)
class Case:
    """Alerts that are driven, and what fires of it."""

    system: str
    fail: tuple[str, ...] = ()
    mended: bool = False
    """Whether all gets well again after it fired."""

    def __str__(self) -> str:
        """For the name of the test."""
        return "-".join((self.system, *(self.fail or ("well",)), *(["mended"] if self.mended else [])))


@cache
def _system(name: str) -> System:
    found = profile.find(name, None, file="test", key=name)
    return System(name=name, profile=found, settings=SystemSettings())


def _driven(system: System, name: str) -> list[SystemAlert]:
    wanted, _, severity = name.partition("@")
    return [
        alert
        for alert in system.profile.alerts
        if alert.name == wanted and (not severity or alert.severity.value == severity)
    ]


def _fires(system: System, fail: str) -> set[tuple[str, str]]:
    """The alert itself, and every other on the same signal whose limit is passed as well."""
    driven = _driven(system, fail)
    return {
        (alert.name, alert.severity.value)
        for alert in system.profile.alerts
        if alert in driven or any(_beyond(alert, each) for each in driven)
    }


def _beyond(alert: SystemAlert, driven: SystemAlert) -> bool:
    return alert.signal == driven.signal and alert.above is not None and alert.above <= (driven.above or 0)


def _minutes(system: System, fail: str) -> float:
    """Until the alert fires: its `for`, its window, and for what grows the hour that growth is told by."""
    return max(
        seconds(alert.for_) / 60 + (62 if system.signals[alert.signal].kind == "growth" else 6)
        for alert in _driven(system, fail)
    )


def _rules(system: System) -> str:
    groups = (
        systems.records(system),
        objectives.records(system),
        *systems.alert_groups(system),
        *objectives.groups(),
    )
    files = rule_files(groups, runbooks="runbooks", dashboards="dashboards")
    return "\n".join(text.removeprefix("groups:\n") if place else text for place, text in enumerate(files.values()))


def _checked(expr: str, at: str, *samples: tuple[str, float]) -> dict[str, Any]:
    return {
        "expr": expr,
        "eval_time": at,
        "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
    }


def _firing(of: set[tuple[str, str]]) -> list[tuple[str, float]]:
    return [(f'{{alertname="{name}", severity="{severity}"}}', 1.0) for name, severity in sorted(of)]


def _scenario(case: Case, names: set[str]) -> dict[str, Any]:
    system = _system(case.system)
    impersonation = Impersonation(case.system, fail=case.fail)
    mend_at = 0.0
    if not case.fail:
        minutes = 30.0
        # Quiet all the while, with no error budget burning even a fifth as fast as it may.
        checks = [_checked(FIRING, f"{at}m") for at in range(1, 31)]
        checks += [_checked(f"{BURN} > 0.2", f"{at}m") for at in range(5, 31, 5)]
        checks += [_checked("count(slo:error_ratio:5m)", "30m", ("{}", float(len(system.profile.objectives))))]
    else:
        told = _firing(_fires(system, case.fail[0]))
        minutes = _minutes(system, case.fail[0])
        burning = f'{FIRING.removesuffix(")")} unless ALERTS{{alertname="ErrorBudgetBurn"}})'
        checks = [_checked(burning, f"{round(minutes * 60)}s", *told)]
        if case.mended:
            mend_at = minutes * 60
            minutes += 22
            checks.append(_checked(burning, f"{round(minutes * 60)}s"))

    def meanwhile(now: float) -> None:
        if case.mended and now == mend_at:
            impersonation.fail()

    found = replay(impersonation, minutes=minutes, step=STEP, only=names, meanwhile=meanwhile)
    return {
        "name": str(case),
        "interval": f"{STEP}s",
        "input_series": [{"series": name, "values": values} for name, values in found.items()],
        "promql_expr_test": checks,
    }


def _cases() -> Iterator[Case]:
    for name in profile.known():
        yield Case(system=name)
        system = _system(name)
        names = [alert.name for alert in system.profile.alerts]
        for each in dict.fromkeys(names):
            yield Case(system=name, fail=(each,), mended=each == names[0])
        for alert in system.profile.alerts:
            if names.count(alert.name) > 1:
                yield Case(system=name, fail=(f"{alert.name}@{alert.severity.value}",))


CASES = tuple(_cases())


@cache
def _promtool() -> str:
    (found,) = (each.path for each in native.ensure(["promtool"]).values() if each.name == "promtool")
    return str(found)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_what_was_asked_for_fires(case: Case, tmp_path: Path) -> None:
    """Proves that a system that is well fires nothing and keeps its objectives, that each of its alerts can be driven
    without any other of the profile but those on the same signal, and that it is quiet again once all is well."""
    rules = _rules(_system(case.system))
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{STEP}s",
        "tests": [_scenario(case, {*re.findall(r"\w+", rules), "up"})],
    }
    (tmp_path / "test.yml").write_text(yaml.dump(tests, Dumper=yaml.CSafeDumper), encoding="utf-8")
    done = subprocess.run(
        [_promtool(), "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "SUCCESS"), done.stdout + done.stderr


def test_every_alert_can_be_driven() -> None:
    """Proves that no alert of any profile is left out."""
    for name in profile.known():
        own = {alert.name for alert in _system(name).profile.alerts}
        assert own <= set(levels.drivable(_system(name).profile))
