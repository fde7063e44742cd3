"""When an alert fires: Prometheus' rules for pending, firing and resolved, over runs of steps."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from tools.backtest.history import merged
from tools.backtest.journal import Labels, Run, Runs
from tools.backtest.rules import AlertRule

_OF_SERIES = re.compile(r"\{\{-?\s*\$labels\.(\w+)\s*-?\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Firing:
    """One alert from the evaluation at which it fires to that at which it is resolved."""

    labels: Mapping[str, str]
    begin: float
    """Seconds since 1970."""
    end: float
    """Seconds since 1970; of one that fires still: the end of what is looked at."""
    open: bool = False
    """Whether it fires still."""


def labelled(rule: AlertRule, series: Mapping[str, str]) -> dict[str, str]:
    """The labels of the alert that `rule` makes of a series of its result."""
    own = {
        name: _OF_SERIES.sub(lambda found: series.get(found[1], ""), str(value)) for name, value in rule.labels.items()
    }
    return {name: value for name, value in {**series, **own, "alertname": rule.name}.items() if value}


def templated(rule: AlertRule) -> bool:
    """Whether a label of the rule is made in a way that is not understood here."""
    return any("{{" in _OF_SERIES.sub("", str(value)) for value in rule.labels.values())


def firings(rule: AlertRule, runs: Runs, start: float, end: float) -> list[Firing]:
    """Every firing of `rule` that is not over before `start`, in the order of time; what fires then begins at
    `start`."""
    step = round(1000 * rule.interval)
    alike = [
        {tuple(sorted(labelled(rule, dict(labels)).items())): found} for labels, found in runs.items()
    ]  # Two series may make the same alert.
    last = int(end * 1000 // step)
    found = [
        Firing(
            labels=dict(labels),
            begin=max(start, first * step / 1000),
            end=min(end, over * step / 1000),
            open=over > last,
        )
        for labels, own in merged(alike).items()
        for first, over in _spans(own, _steps(rule.hold, step), _steps(rule.keep, step))
        if over * step / 1000 > start and first <= last
    ]
    return sorted(found, key=lambda firing: (firing.begin, sorted(firing.labels.items())))


def later(runs: Runs, first: int) -> Runs:
    """Runs without the steps before `first`."""
    cut = {
        labels: tuple((max(first, begin), end) for begin, end in own if end >= first) for labels, own in runs.items()
    }
    return {labels: own for labels, own in cut.items() if own}


def clashes(rule: AlertRule, runs: Runs) -> bool:
    """Whether two series ever made the same alert: Prometheus then evaluates nothing."""
    by_alert: dict[Labels, list[Run]] = {}
    for labels, found in runs.items():
        by_alert.setdefault(tuple(sorted(labelled(rule, dict(labels)).items())), []).extend(found)
    return any(
        following[0] <= earlier[1]
        for own in by_alert.values()
        for earlier, following in zip(sorted(own), sorted(own)[1:], strict=False)
    )


def _steps(length: float, step: int) -> int:
    """Evaluations until a time has passed."""
    return ceil(round(1000 * length) / step)


def _spans(runs: Iterable[Run], hold: int, keep: int) -> Iterator[Run]:
    """Firings of one alert: the step at which it fires, and that at which it is resolved."""
    fires = over = None
    for first, last in runs:
        if fires is not None and over is not None and first > over:
            yield fires, over
            fires = None
        if fires is None and first + hold <= last:
            fires = first + hold
        if fires is not None:
            over = last + 1 + keep
    if fires is not None and over is not None:
        yield fires, over
