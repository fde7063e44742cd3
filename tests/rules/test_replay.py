"""Whole systems through time: quiet while they are well, and in each trouble exactly those are told who should be."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specs.model import seconds
from specs.routing import silenced, told
from specs.settings import Severity
from tests.golden import assert_golden
from tests.rules.replay import Event, Scenario, firing
from tests.rules.routes import tree_of
from tests.rules.stack import ALERTS, STACK

from sample_app.impersonation import levels  # isort: skip - replay finds it

WELL = 20
"""Minutes before anything goes wrong."""
WINDOW = 14
"""Minutes after which the longest window of the usual alerts is full, and somewhat more."""
SLOWER = {("roadtrip", "MemoryLeak"): 90.0, ("wwmaa", "BackgroundJobFailing"): 60.0}
"""Minutes that an alert takes whose window is longer."""
ALSO: Mapping[tuple[str, str], frozenset[str]] = {
    # A page that is slow for its users is slow for its probe.
    ("narra-forge", "PageSlow"): frozenset({"ProbeSlow"}),
    # The same Redis, seen by its exporter.
    ("personal-assistant", "LowCacheHitRate"): frozenset({"RedisHitRatioLow"}),
    # The environment's own word for it.
    ("roadtrip", "LowMemory"): frozenset({"HighMemoryUsage"}),
    # Errors and slowness burn the budgets of objectives.
    **{
        trouble: frozenset({"ErrorBudgetBurn"})
        for trouble in (
            ("personal-assistant", "HighErrorRate"),
            ("personal-assistant", "HighResponseTime"),
            ("roadtrip", "HighErrorRate"),
            ("roadtrip", "HighResponseTime"),
            ("wwmaa", "HighErrorRate"),
        )
    },
}
"""What else fires in a trouble."""
TROUBLES = [(each.name, alert) for each in STACK.systems for alert in levels.drivable(each.profile)]


def _trouble(name: str, alert: str) -> Scenario:
    waits = [seconds(each.for_) for each in ALERTS if each.name == alert and each.of in {"", name}]
    minutes = SLOWER.get((name, alert), WELL + max(waits) / 60 + WINDOW)
    return Scenario(
        name=f"{name}: {alert}",
        events={name: [Event(minute=WELL, fail=(alert,))]},
        minutes=minutes,
        looks=(WELL, minutes),
    )


@pytest.fixture(scope="session")
def fired(
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[tuple[str, str], Mapping[float, Sequence[dict[str, str]]]]:
    """What fires in every trouble, by the minute at which it was looked."""
    scenarios = {trouble: _trouble(*trouble) for trouble in TROUBLES}
    with ThreadPoolExecutor(2) as pool:
        directories = [tmp_path_factory.mktemp("replay") for _ in scenarios]
        return dict(zip(scenarios, pool.map(firing, scenarios.values(), directories), strict=True))


def _names(alerts: Sequence[Mapping[str, str]]) -> set[str]:
    return {alert["alertname"] for alert in alerts}


def test_quiet_while_all_is_well(tmp_path: Path) -> None:
    """Proves that with all five systems well, for longer than any alert of hours waits, nothing but the Watchdog ever
    fires."""
    waits = [seconds(alert.for_) for alert in ALERTS if not alert.level]
    minutes = WELL + max(waits) / 60
    every: dict[str, list[Event]] = {each.name: [] for each in STACK.systems}
    scenario = Scenario(name="well", events=every, minutes=minutes, looks=(minutes,), back=minutes)

    (ever,) = firing(scenario, tmp_path).values()
    assert _names(ever) == {"Watchdog"}


@pytest.mark.parametrize(("name", "alert"), TROUBLES, ids=str)
def test_trouble(
    name: str, alert: str, fired: Mapping[tuple[str, str], Mapping[float, Sequence[dict[str, str]]]]
) -> None:
    """Proves that nothing fires before the trouble, and in it exactly the alerts that should, of that system alone."""
    before, after = fired[name, alert].values()

    assert _names(before) == {"Watchdog"}
    assert _names(after) == {"Watchdog", alert, *ALSO.get((name, alert), ())}
    assert {each["app"] for each in after if each["alertname"] != "Watchdog"} == {name}


@pytest.mark.parametrize("name", [each.name for each in STACK.systems])
def test_down_is_one_cause(name: str, tmp_path: Path) -> None:
    """Proves that of a system that is gone its targets are told as down, and that all else it causes is kept back."""
    scenario = Scenario(
        name=f"{name}: gone", events={name: [Event(minute=WELL, down=True)]}, minutes=WELL + 15, looks=(WELL + 15,)
    )
    (alerts,) = firing(scenario, tmp_path).values()
    tree = tree_of("prod")
    mine = [alert for alert in alerts if alert["app"] == name]

    assert _names(mine) >= {"ServiceDown", "SystemDown"}
    loud = {
        alert["alertname"]
        for alert in mine
        if alert["severity"] != Severity.INFO.value and not silenced(tree.inhibitions, alerts, alert)
    }
    assert loud == {"ServiceDown"}


def _row(name: str, alert: str, alerts: Sequence[Mapping[str, str]]) -> Iterator[str]:
    tree = tree_of("prod")
    for each in sorted(alerts, key=lambda found: (found["alertname"], found["severity"], found.get("level", ""))):
        if each["alertname"] == "Watchdog":
            continue
        kept_back = ", ".join(silenced(tree.inhibitions, alerts, each))
        who = f"kept back: {kept_back}" if kept_back else ", ".join(told(tree.root, each))
        level = f" ({each['level']})" if "level" in each else ""
        slo = f" of {each['slo']}" if "slo" in each else ""
        yield f"| {name} | {alert} | {each['alertname']}{level}{slo} | {each['severity']} | {who} |"


def test_who_is_told(fired: Mapping[tuple[str, str], Mapping[float, Sequence[dict[str, str]]]]) -> None:
    """Proves who is told on prod in every trouble, and who is not since another alert tells of the cause."""
    lines = [
        "# Who is told in each trouble, on prod",
        "",
        "| System | Driven | Fires | Severity | Told |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, alert), looks in fired.items():
        lines += dict.fromkeys(_row(name, alert, list(looks.values())[-1]))

    assert_golden("troubles.md", "\n".join(lines) + "\n")
