"""Pending, firing and resolved: the same as the real rule engine's, which promtool runs, minute by minute."""

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes.place import executable
from specs.model import seconds
from tools.backtest import rules
from tools.backtest.firing import Firing, clashes, firings, labelled, templated
from tools.backtest.history import merged, runs_of
from tools.backtest.journal import Runs
from tools.backtest.rules import AlertRule, Pair

_MINUTES = 90
_LIMITS = [(hold, keep) for hold in ("0s", "90s", "4m") for keep in ("0s", "1m", "150s", "6m")]


def _rule(name: str = "Busy", expr: str = "busy == 1", **more: Any) -> AlertRule:
    usual: dict[str, Any] = {"hold": 0.0, "keep": 0.0, "labels": {"severity": "warning"}, "interval": 60.0}
    return AlertRule(name=name, expr=expr, file="shop.yml", group="shop", **(usual | more))


def _busy(seed: int) -> list[int]:
    """A minute each: 1 for spans of some length, and 0 for others."""
    chance = random.Random(seed)
    found: list[int] = []
    while len(found) < _MINUTES:
        found += [1] * chance.choice([1, 1, 2, 3, 4, 5, 6, 12]) + [0] * chance.choice([1, 1, 2, 3, 5, 7, 9])
    return found[:_MINUTES]


def test_the_rule_engine_agrees(tmp_path: Path) -> None:
    """Proves that alerts are pending, fire and are resolved at the very evaluations of the real rule engine: of four
    random series, 12 pairs of `for` and `keep_firing_for` and 90 evaluations, promtool finds exactly what is said."""
    series = {str(seed): _busy(seed) for seed in range(4)}
    runs = runs_of(
        ({"metric": {"i": name}, "values": [[60 * at, "1"] for at, value in enumerate(values) if value]}
         for name, values in series.items()), 60_000,
    )  # fmt: skip
    made: list[dict[str, Any]] = []
    cases: list[dict[str, Any]] = []
    for number, (hold, keep) in enumerate(_LIMITS):
        name = f"Busy{number}"
        made.append(
            {
                "alert": name,
                "expr": "busy == 1",
                "for": hold,
                "keep_firing_for": keep,
                "labels": {"severity": "warning"},
            }
        )
        rule = _rule(name, hold=seconds(hold), keep=seconds(keep))
        found = firings(rule, runs, 0, 60 * (_MINUTES - 1))
        assert found
        for minute in range(_MINUTES):
            now = [one for one in found if one.begin <= 60 * minute and (one.open or 60 * minute < one.end)]
            labels = [{key: value for key, value in one.labels.items() if key != "alertname"} for one in now]
            cases.append(
                {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": [{"exp_labels": each} for each in labels]}
            )
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "interval": "1m", "rules": made}]}))
    inputs = [
        {"series": f'busy{{i="{name}"}}', "values": " ".join(map(str, values))} for name, values in series.items()
    ]
    test = {"input_series": inputs, "interval": "1m", "alert_rule_test": cases}
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    done = subprocess.run(
        [str(executable("promtool")), "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_a_run_over_two_chunks_is_one() -> None:
    """Proves that what holds from one answer into the next is one firing, and that a step without it parts two."""
    first: Runs = {(("i", "a"),): ((0, 4), (8, 9))}
    second: Runs = {(("i", "a"),): ((10, 12), (14, 15))}
    assert merged([second, first]) == {(("i", "a"),): ((0, 4), (8, 12), (14, 15))}


def test_only_what_is_looked_at_counts() -> None:
    """Proves the edges of a history: what was resolved at its start is not counted, what fires on is cut there, and
    what becomes pending before its end and would fire after it does not fire."""
    rule = _rule(hold=120.0)
    runs: Runs = {(("i", "a"),): ((0, 9),), (("i", "b"),): ((5, 12),), (("i", "c"),): ((19, 30),)}
    found = firings(rule, runs, 600, 1200)
    assert found == [
        Firing(labels={"i": "b", "severity": "warning", "alertname": "Busy"}, begin=600, end=780, open=False)
    ]


def test_labels_of_the_rule_win() -> None:
    """Proves that a rule's labels take the place of the series', may be made of them, and go where they are empty."""
    rule = _rule(labels={"severity": "critical", "team": "{{ $labels.owner }}", "pod": ""})
    series = {"owner": "shop", "severity": "none", "pod": "x"}
    assert labelled(rule, series) == {
        "owner": "shop",
        "severity": "critical",
        "team": "shop",
        "alertname": "Busy",
    }
    assert not templated(rule)
    assert templated(_rule(labels={"value": "{{ $value }}"}))


def test_two_series_of_one_alert_are_told() -> None:
    """Proves that it is noticed when labels of a rule make the same alert of two series at once, which Prometheus
    refuses, and not when one comes after the other."""
    rule = _rule(labels={"i": "same"})
    assert clashes(rule, {(("i", "a"),): ((0, 5),), (("i", "b"),): ((5, 9),)})
    assert not clashes(rule, {(("i", "a"),): ((0, 4),), (("i", "b"),): ((5, 9),)})


_WARNING, _SHOP = {"severity": "warning"}, {"severity": "critical", "app": "shop"}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"expr": "busy > 0.5"}, {"expr": "busy  >\n 0.7"}, ["limit 0.5 → 0.7"]),
        ({"expr": "busy > 0.5"}, {"expr": "busy >= 0.5"}, ["expression"]),
        ({"expr": "rate(busy[5m]) > 1"}, {"expr": "rate(busy[10m]) > 1"}, ["expression"]),
        ({"hold": 300.0}, {"hold": 5400.0}, ["for 5m → 1h 30m"]),
        ({"keep": 0.0}, {"keep": 90.0}, ["keep_firing_for 0s → 1m 30s"]),
        ({"interval": 60.0}, {"interval": 15.0}, ["interval 1m → 15s"]),
        ({"labels": _WARNING}, {"labels": _SHOP}, ["app none → shop", "severity warning → critical"]),
        ({"expr": "busy  ==\n1"}, {"expr": "busy == 1"}, []),
    ],
)
def test_what_changed_in_words(before: dict[str, Any], after: dict[str, Any], words: list[str]) -> None:
    """Proves the words for each change of a rule, and that another indentation is none."""
    assert list(rules.changes(Pair(before=_rule(**before), after=_rule(**after)))) == words


def test_alerts_find_their_former_selves() -> None:
    """Proves that alerts of one name are compared each with its own: by labels, then by what they are about."""
    old = [
        _rule(labels={"app": app, "severity": severity}) for app in ("a", "b") for severity in ("warning", "critical")
    ]
    new = [
        _rule(labels={"app": "b", "severity": "critical"}, hold=60.0),
        _rule(labels={"app": "a", "severity": "info"}),
        _rule(labels={"app": "a", "severity": "critical"}),
        _rule("Other"),
    ]
    found = [
        (pair.before and (pair.before.labels["app"], pair.before.labels["severity"]), pair.after)
        for pair in rules.pairs(old, new)
    ]
    assert found == [
        (("b", "critical"), new[0]),
        (("a", "warning"), new[1]),
        (("a", "critical"), new[2]),
        (None, new[3]),
        (("b", "warning"), None),
    ]
