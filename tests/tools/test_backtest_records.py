"""Recorded series that a history lacks: computed in their place, they are what the real Prometheus records."""

from collections.abc import Iterator
from math import isclose, sin
from pathlib import Path
from typing import Any

import pytest

from specs.settings import load
from specs.stack import build
from tests.specs.support import ROOT
from tests.tools.backtest_history import (
    DAYS,
    END,
    HOUR,
    MINUTE,
    START,
    Recorded,
    Value,
    alert,
    evaluated,
    one,
    prometheus,
    tree,
    when,
)
from tools.backtest import rules, running
from tools.backtest.history import History
from tools.backtest.promql import Computed, selectors, substituted
from tools.backtest.report import Judged
from tools.backtest.rules import Language, Record

_FIRST = when(DAYS - 2)
"""The history is of two days."""
_LATER = _FIRST + 24 * HOUR
"""From when on what `late:…` is has been recorded."""


def _grows(pace: float) -> Value:
    return lambda since: pace * since + 40 * sin(since / 3600)


_SERIES: dict[str, Value] = {
    'up{job="shop"}': lambda _: 1.0,
    'hits_total{app="shop",route="/a",code="200"}': _grows(3),
    'hits_total{app="shop",route="/b",code="200"}': _grows(2),
    'hits_total{app="shop",route="/b",code="500"}': _grows(0.2),
    'hits_total{app="blog",route="/",code="500"}': _grows(0.5),
}


def _record(name: str, expr: str, **labels: str) -> dict[str, Any]:
    return {"record": name, "expr": expr, **({"labels": labels} if labels else {})}


_RATE = _record("app:hits:rate5m", "sum by (app, route) (rate(hits_total[5m]))")
_GOOD = _record("slo:events:rate5m", 'sum by (app) (rate(hits_total{code="200"}[5m]))', slo="good", note="a $1 b")
_BAD = _record("slo:events:rate5m", 'sum by (app) (rate(hits_total{code=~"5.."}[5m]))', slo="bad")
_RATIO = _record("slo:ratio", 'slo:events:rate5m{slo="bad"} / ignoring (slo, note) slo:events:rate5m{slo="good"}')
_RECORDS = [_RATE, _GOOD, _BAD, _RATIO]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with the series, and with what it recorded of them itself."""
    early = _FIRST + 10 * MINUTE
    passes = (Recorded(rules=[_RATE, _GOOD, _BAD], since=early), Recorded(rules=[_RATIO], since=early))
    directory = tmp_path_factory.mktemp("records") / "prometheus"
    with prometheus(directory, _SERIES, *passes, first=_FIRST) as found:
        yield found


@pytest.fixture(scope="module")
def history(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The same, as a backtest asks it."""
    with running.history({Language.PROMQL: url}, {}, 100, tmp_path_factory.mktemp("journal")) as found:
        yield found


def _definitions() -> dict[str, Computed]:
    found: dict[str, tuple[Record, ...]] = {}
    for said in _RECORDS:
        name = said["record"]
        made = Record(name=name, expr=said["expr"], labels=said.get("labels", {}), interval=60)
        found[name] = (*found.get(name, ()), made)
    return {name: Computed(rules=each) for name, each in found.items()}


_INSTANTS = (
    "app:hits:rate5m",
    'app:hits:rate5m{app="shop"}',
    'app:hits:rate5m{app="shop",route!="/a"}',
    'app:hits:rate5m{route=~"/.?"}',
    'app:hits:rate5m{route!~"/a|/b"}',
    'app:hits:rate5m{nowhere=""}',
    'app:hits:rate5m{nowhere!=""}',
    'sum by (app) (app:hits:rate5m{route=~"/.+"}) / scalar(sum(app:hits:rate5m))',
    "app:hits:rate5m - app:hits:rate5m offset 1h",
    "slo:events:rate5m",
    'slo:events:rate5m{slo="bad",app!="blog"}',
    "sum by (slo, note) (slo:events:rate5m)",
    '{__name__="app:hits:rate5m", app="blog"}',
)
_WINDOWS = (
    "avg_over_time(app:hits:rate5m[30m])",
    'max_over_time(app:hits:rate5m{app="shop"}[1h] offset 30m)',
    "max_over_time(sum(app:hits:rate5m)[30m:1m])",
    "max_over_time(app:hits:rate5m[30m:5m])",
    "slo:ratio",
    "avg_over_time(slo:ratio[20m]) > 0.01",
)


@pytest.mark.parametrize(
    ("expr", "within"), [*((expr, 1e-9) for expr in _INSTANTS), *((expr, 0.01) for expr in _WINDOWS)]
)
def test_computed_is_what_was_recorded(history: History, expr: str, within: float) -> None:
    """Proves that an expression has the same series and values when its recorded series are computed as when they are
    those that Prometheus recorded: conditions, ranges, offsets, subqueries, labels of rules and rules upon rules.

    Windows of a series that changes slowly differ a little, since a group is evaluated at some second of the minute."""
    definitions = _definitions()
    server = history.servers[Language.PROMQL]
    (looked,) = server.range("max(timestamp(app:hits:rate5m))", END - 12 * HOUR, END - 12 * HOUR, 60)
    at = float(looked["values"][0][1])
    computed = substituted(expr, definitions.get)
    assert not {found.metric for found in selectors(computed)} & definitions.keys()

    def of(query: str) -> dict[Any, dict[float, float]]:
        return {
            tuple(sorted((name, value) for name, value in series["metric"].items() if name != "__name__")): {
                when_: float(value) for when_, value in series["values"]
            }
            for series in server.range(query, at - 6 * HOUR, at + 6 * HOUR, 60)
        }

    recorded, found = of(expr), of(computed)
    assert recorded.keys() == found.keys()
    for labels, values in recorded.items():
        assert values.keys() == found[labels].keys(), labels
        assert all(isclose(value, found[labels][when_], rel_tol=within) for when_, value in values.items()), labels
    assert bool(recorded) is ("nowhere!" not in expr)


def _one(directory: Path, url: str, journal: Path, before: list[Any], after: list[Any]) -> Judged:
    window: dict[str, Any] = {"start": START + _FIRST + 12 * HOUR, "end": END}
    trees = tree(directory / "before", before), tree(directory / "after", after)
    return one(evaluated(*trees, url, journal, **window), "Busy")


def test_a_new_recorded_series_is_computed(url: str, tmp_path: Path) -> None:
    """Proves that an alert on a series that only the new rules record fires as if it had been recorded all along."""
    new = _record("route:hits:rate5m", "max by (route) (rate(hits_total[5m]))")
    found = _one(tmp_path, url, tmp_path / "journal", [], [new, alert("Busy", 'route:hits:rate5m{route="/a"} > 2')])
    assert found.after is not None
    same = _one(
        tmp_path / "raw", url, tmp_path / "journal", [],
        [alert("Busy", 'max by (route) (rate(hits_total{route="/a"}[5m])) > 2')],
    )  # fmt: skip
    assert same.after is not None
    assert found.after.firings == same.after.firings
    assert found.after.times > 0
    assert found.after.notes == []


def test_an_alert_on_a_series_that_is_recorded_otherwise_is_a_changed_one(url: str, tmp_path: Path) -> None:
    """Proves that a recorded series of another meaning makes the alerts on it other ones: before it fires all the time,
    after never, though the history has only the old series."""
    busy = alert("Busy", "sum(app:hits:rate5m) > 4")
    half = _record("app:hits:rate5m", "sum by (app, route) (rate(hits_total[5m])) / 2")
    found = _one(tmp_path, url, tmp_path / "journal", [_RATE, busy], [half, busy])
    assert found.what == ["recorded app:hits:rate5m"]
    assert found.before is not None
    assert found.after is not None
    assert (found.before.times, found.before.firings[0].open, found.after.times) == (1, True, 0)


def test_a_definition_that_came_to_others(url: str, tmp_path: Path) -> None:
    """Proves that a recorded series with one more definition is what was recorded, and the new one with its labels."""
    more = _record("slo:events:rate5m", 'sum by (app) (rate(hits_total{route="/a"}[5m]))', slo="more")
    busy = alert("Busy", "slo:events:rate5m > 0")
    found = _one(tmp_path, url, tmp_path / "journal", [_GOOD, _BAD, busy], [_GOOD, _BAD, more, busy])
    assert found.before is not None
    assert found.after is not None
    assert sorted((fired.labels["app"], fired.labels["slo"]) for fired in found.before.firings) == [
        ("blog", "bad"), ("shop", "bad"), ("shop", "good"),
    ]  # fmt: skip
    assert {fired.labels["slo"] for fired in found.after.firings} == {"good", "bad", "more"}
    assert found.after.times == 4


def test_a_series_that_nobody_records_any_more(url: str, tmp_path: Path) -> None:
    """Proves that an alert on a recorded series whose rule is gone finds nothing, though the history has the series."""
    busy = alert("Busy", "app:hits:rate5m > 0")
    found = _one(tmp_path, url, tmp_path / "journal", [_RATE, busy], [busy])
    assert found.before is not None
    assert found.after is not None
    assert (found.before.times, found.after.times) == (3, 0)


def test_what_was_recorded_for_a_part_of_the_history(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """Proves that a series which is recorded only since the second day is computed for the first as well."""
    directory = tmp_path_factory.mktemp("late") / "prometheus"
    with prometheus(directory, _SERIES, Recorded(rules=[_RATE], since=_LATER), first=_FIRST) as url:
        rules_ = [_RATE, alert("Busy", 'app:hits:rate5m{app="blog"} > 0')]
        other = [_RATE, alert("Busy", 'app:hits:rate5m{app="blog"} > 0', for_="5m")]
        found = _one(tmp_path, url, tmp_path / "journal", rules_, other)
        raw = _one(tmp_path / "raw", url, tmp_path / "journal", [], [alert("Busy", "app:hits:rate5m > 0")])
    assert raw.after is not None
    assert {fired.begin.timestamp() >= START + _LATER for fired in raw.after.firings} == {True}
    assert found.before is not None
    (fired,) = found.before.firings
    assert fired.begin.timestamp() == START + _FIRST + 12 * HOUR


def test_every_recorded_series_of_production_can_be_computed(history: History, tmp_path: Path) -> None:
    """Proves that a real Prometheus takes every alert of production that is on recorded series, with those computed."""
    stack = build(load(ROOT / "Pulumi.prod.yaml"), file="Pulumi.prod.yaml")
    for path, text in stack.workload("prometheus").files.items():
        (tmp_path / "prometheus" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "prometheus" / path).write_text(text, encoding="utf-8")
    found = rules.read(tmp_path)
    made = {name: Computed(rules=each) for name, each in found.records.items()}
    computed = {substituted(rule.expr, made.get) for rule in found.alerts} - {rule.expr for rule in found.alerts}
    assert len(computed) >= 5
    for expr in computed:
        assert not {selector.metric for selector in selectors(expr)} & found.records.keys()
        history.servers[Language.PROMQL].range(expr, END - 60, END, 60)
