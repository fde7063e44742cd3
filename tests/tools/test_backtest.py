"""Backtests over a real Prometheus whose history has incidents of known length: exact counts and durations."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.tools.backtest_history import (
    DAY,
    END,
    HOUR,
    MINUTE,
    ROUTING,
    START,
    Value,
    alert,
    evaluated,
    prometheus,
    tree,
    when,
)
from tools.backtest.report import Judged, Report, Side, at, show


def _plateaus(usual: float, *spans: tuple[int, int, float | None]) -> Value:
    """`usual`, but for spans (begin, length in minutes, value)."""

    def value(since: int) -> float | None:
        for begin, minutes, other in spans:
            if begin <= since < begin + minutes * MINUTE:
                return other
        return usual

    return value


def _counter(pace: float, *spans: tuple[int, int, float], restarts: tuple[int, ...] = ()) -> Value:
    """A counter that grows by `pace` a second, in spans by another, and starts again from nought at restarts."""
    total, last = 0.0, 0
    faster = _plateaus(pace, *spans)

    def value(since: int) -> float:
        nonlocal total, last
        total += (faster(since) or 0.0) * (since - last)
        if any(last < restart <= since for restart in restarts):
            total = 0.0
        last = since
        return total

    return value


_SERIES: dict[str, Value] = {
    'up{job="shop",instance="a"}': _plateaus(1),
    # Ten minutes; five, which is one step short of `for: 5m`; six; twenty with a hole of three, which lookback bridges.
    'queue_depth{app="shop",instance="a"}': _plateaus(
        10,
        (when(2, 12), 10, 120),
        (when(5, 3), 5, 120),
        (when(6, 3), 6, 120),
        (when(8, 9) + 8 * MINUTE, 3, None),
        (when(8, 9), 20, 120),
    ),
    # Four minutes, a hole of eight, which is longer than lookback, and four minutes.
    'gap_depth{app="shop"}': _plateaus(10, (when(9) + 4 * MINUTE, 8, None), (when(9), 16, 120)),
    'disk_used_ratio{app="shop",instance="a"}': _plateaus(
        0.5, (when(1, 6), 30, 0.95), (when(3, 6), 60, 0.85), (when(4, 6), 60, 0.85)
    ),
    'disk_used_ratio{app="shop",instance="b"}': _plateaus(0.5, (when(3, 6), 60, 0.85)),
    # Up and down every three minutes for an hour.
    'flaps{app="shop"}': lambda since: float(when(7) <= since < when(7, 1) and (since // (3 * MINUTE)) % 2 == 0),
    'errors_total{app="shop"}': _counter(0.01, (when(10), 30, 2.0), restarts=(when(11), when(12))),
    'requests_total{app="shop"}': _counter(10, restarts=(when(11), when(12))),
    # From before the history on, for 30 hours of it.
    'certificate_bad{app="shop"}': _plateaus(0, (0, 30 * 60, 1)),
    'flood{app="shop"}': lambda since: float(since >= when(5) and since % HOUR < 10 * MINUTE and since < when(6)),
    'still{app="shop"}': _plateaus(0, (when(15, 23), 60, 1)),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with that history."""
    with prometheus(tmp_path_factory.mktemp("backtest") / "prometheus", _SERIES) as found:
        yield found


Rule = dict[str, Any] | None
Compare = Callable[..., Judged]


@pytest.fixture
def compared(url: str, tmp_path: Path, journal: Path) -> Compare:
    """Evaluates one rule by two revisions, and gives what was found of it."""

    def compare(before: Rule, after: Rule, **wishes: Any) -> Judged:
        report = evaluated(
            tree(tmp_path / "before", [before] if before else []),
            tree(tmp_path / "after", [after] if after else []),
            url,
            journal,
            **wishes,
        )
        (found,) = report.alerts
        return found

    return compare


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where answers are kept: tests ask the same history."""
    return tmp_path_factory.mktemp("journal")


def _sides(found: Judged) -> tuple[Side, Side]:
    assert found.before is not None
    assert found.after is not None
    return found.before, found.after


def test_for_is_exact_to_the_step(compared: Compare) -> None:
    """Proves that an alert fires exactly when its condition held for `for`: five minutes of samples are one evaluation
    short of `for: 5m`, six are one firing of a minute, and a hole that lookback bridges ends nothing."""
    found = compared(
        alert("QueueStuck", "queue_depth > 100", for_="10m"), alert("QueueStuck", "queue_depth > 100", for_="5m")
    )
    before, after = _sides(found)
    assert found.change == "changed"
    assert found.what == ["for 10m → 5m"]
    begins = [(int(one.begin.timestamp()) - START, (one.end - one.begin).total_seconds()) for one in after.firings]
    assert begins == [
        (when(2, 12, 5), 5 * MINUTE),
        (when(6, 3, 5), 1 * MINUTE),
        (when(8, 9, 5), 15 * MINUTE),
    ]
    assert (after.times, after.seconds, after.longest) == (3, 21 * MINUTE, 15 * MINUTE)
    assert (before.times, before.seconds) == (1, 10 * MINUTE)


def test_a_hole_longer_than_lookback_starts_for_again(compared: Compare) -> None:
    """Proves that a hole of eight minutes ends what was pending: four minutes before it (nine with lookback) and four
    after are no ten minutes, and fire by `for: 5m` only before it."""
    found = compared(alert("Gap", "gap_depth > 100", for_="10m"), alert("Gap", "gap_depth > 100", for_="5m"))
    before, after = _sides(found)
    assert before.times == 0
    assert [
        (int(one.begin.timestamp()) - START, one.end.timestamp() - one.begin.timestamp()) for one in after.firings
    ] == [(when(9, 0, 5), 3 * MINUTE)]


def test_a_limit_that_changed(compared: Compare) -> None:
    """Proves before and after of a limit: one disk beyond 0.9 for half an hour; beyond 0.8 two disks at once and one of
    them again, which is one page for the two of one group."""
    found = compared(alert("DiskFull", "disk_used_ratio > 0.9"), alert("DiskFull", "disk_used_ratio > 0.8"))
    before, after = _sides(found)
    assert found.what == ["limit 0.9 → 0.8"]
    assert (before.times, before.seconds, before.told) == (1, 30 * MINUTE, {"oncall": 1})
    assert (after.times, after.seconds, after.longest) == (4, 30 * MINUTE + 3 * HOUR, HOUR)
    assert after.told == {"oncall": 3}
    assert (after.pages, after.worst_week) == (3, 3)
    assert {one.labels["cluster"] for one in after.firings} == {"here"}
    assert not any("replica" in one.labels for one in after.firings)


def test_keep_firing_for_bridges_flaps(compared: Compare) -> None:
    """Proves `keep_firing_for`: what goes on and off every three minutes fires ten times, or once until as long after
    the last as it is kept, to the step."""
    found = compared(alert("Flaps", "flaps == 1"), alert("Flaps", "flaps == 1", keep_firing_for="5m"))
    before, after = _sides(found)
    assert found.what == ["keep_firing_for 0s → 5m"]
    assert (before.times, before.seconds) == (10, 30 * MINUTE)
    # The last is on from minute 54 to 56; from minute 57 on it is kept for 5.
    assert (after.times, after.seconds) == (1, (57 + 5) * MINUTE)


def test_counters_that_restart_make_no_incident(compared: Compare) -> None:
    """Proves that a restart of the target, where counters begin again from nought, is no burst of errors, and that the
    burst in the history is one."""
    expr = 'rate(errors_total{app="shop"}[5m]) / rate(requests_total{app="shop"}[5m]) > 0.05'
    found = compared(None, alert("Errors", expr, for_="5m"))
    assert found.change == "new"
    assert found.before is None
    assert found.after is not None
    (one_,) = found.after.firings
    assert int(one_.begin.timestamp()) - START in range(when(10, 0, 5), when(10, 0, 10))
    assert one_.end.timestamp() - START - when(10, 0, 30) in range(6 * MINUTE)


def test_what_fires_at_the_start_counts_from_there(compared: Compare) -> None:
    """Proves that an alert that fired before the history is looked at fires from its start and not `for` later, and is
    told again every repeat_interval: 18 hours of it are two pages."""
    found = compared(None, alert("Certificate", "certificate_bad == 1", for_="1h"), start=START + 12 * HOUR)
    assert found.after is not None
    assert (found.after.times, found.after.seconds, found.after.told) == (1, 18 * HOUR, {"oncall": 2})
    assert found.after.firings[0].begin.timestamp() == START + 12 * HOUR


def test_what_fires_still(compared: Compare) -> None:
    """Proves that an alert that fires at the end is told as one that fires still, for as long as it was seen."""
    found = compared(None, alert("Still", "still == 1", for_="10m"))
    assert found.after is not None
    (one_,) = found.after.firings
    assert one_.open
    assert (one_.begin.timestamp(), one_.end.timestamp()) == (END - 50 * MINUTE, END)


@pytest.mark.parametrize(("budget", "over"), [(23, True), (24, False), (None, False)])
def test_budget_is_of_the_worst_week(compared: Compare, budget: int | None, over: bool) -> None:
    """Proves the flag: ten minutes of every hour of one day are 24 pages, which a budget of 24 allows and one of 23
    does not, however many quiet weeks are around it."""
    found = compared(None, alert("Flood", "flood == 1"), budget=budget)
    assert found.after is not None
    assert (found.after.times, found.after.pages, found.after.worst_week) == (24, 24, 24)
    assert found.over_budget is over


def test_infos_page_nobody(compared: Compare) -> None:
    """Proves that firings of which only dashboards hear are counted, and page nobody."""
    found = compared(alert("Flood", "flood == 1"), alert("Flood", "flood == 1", "info"), budget=0)
    before, after = _sides(found)
    assert found.what == ["severity critical → info", "who is told"]
    assert (before.pages, after.pages, after.times) == (24, 0, 24)
    assert not found.over_budget


def test_removed_alerts_are_those_before_alone(compared: Compare) -> None:
    """Proves that a removed alert is told by what it would have done, and is beyond no budget."""
    found = compared(alert("Flood", "flood == 1"), None, budget=0)
    assert (found.change, found.after, found.over_budget) == ("removed", None, False)
    assert found.before is not None
    assert found.before.times == 24


def test_never_is_no_answer_where_the_history_has_nothing(compared: Compare) -> None:
    """Proves that an alert on a metric which the history lacks is told so, and one on a metric that it has is not."""
    found = compared(None, alert("Unknown", 'never_scraped_total{app="shop"} > 1 or queue_depth > 1000'))
    assert found.after is not None
    assert found.after.notes == ['not in the history: never_scraped_total{app="shop"}']
    assert found.after.in_history is True
    assert found.after.words() == "never"


def test_nothing_of_it_in_the_history(compared: Compare) -> None:
    """Proves that an alert of which the history has nothing at all is not said to fire never."""
    found = compared(None, alert("Unknown", "never_scraped_total > 1"))
    assert found.after is not None
    assert (found.after.in_history, found.after.words()) == (False, "not known")


def test_absence_of_what_is_new_is_no_firing(compared: Compare) -> None:
    """Proves that an alert on the absence of a job which the history never had is not said to have fired all along, and
    is beyond no budget."""
    found = compared(None, alert("TargetMissing", 'absent(up{job="new"})', for_="5m"), budget=0)
    assert found.after is not None
    assert (found.after.times, found.after.words(), found.over_budget) == (0, "not known", False)
    assert found.after.notes == ['not in the history: up{job="new"}']


@pytest.mark.parametrize("more", [{}, {"keep_firing_for": "1h"}])
def test_absence_before_the_history_is_no_firing(compared: Compare, more: dict[str, str]) -> None:
    """Proves that nothing is evaluated before the history begins: an alert on the absence of what is there ever since
    did not fire."""
    rule = alert("TargetMissing", 'absent(up{job="shop"})', for_="5m", **more)
    found = compared(None, rule, start=START - 14 * DAY)
    assert found.after is not None
    assert (found.after.times, found.after.words()) == (0, "never")


def test_only_what_differs_is_evaluated(url: str, tmp_path: Path, journal: Path) -> None:
    """Proves that alerts which do the same in both revisions are left out, also when only their texts differ, unless
    asked for by name."""
    rules = [alert("Flood", "flood == 1"), alert("DiskFull", "disk_used_ratio > 0.9")]
    texts = [{**rule, "annotations": {"summary": "another text"}} for rule in rules]
    before, after = tree(tmp_path / "before", rules), tree(tmp_path / "after", texts)
    assert evaluated(before, after, url, journal).alerts == []
    found = evaluated(before, after, url, journal, alert="Disk*")
    assert [each.name for each in found.alerts] == ["DiskFull"]
    assert (found.alerts[0].change, found.alerts[0].before) == ("same", found.alerts[0].after)


def test_routes_that_changed(url: str, tmp_path: Path, journal: Path) -> None:
    """Proves that an alert of which only the routes changed is evaluated, and who is told before and after."""
    before = tree(tmp_path / "before", [alert("Flood", "flood == 1"), alert("Slow", "flood == 1", "warning")])
    moved = {**ROUTING, "route": {**ROUTING["route"], "routes": ROUTING["route"]["routes"][1:]}}
    after = tree(tmp_path / "after", [alert("Flood", "flood == 1"), alert("Slow", "flood == 1", "warning")], moved)
    (found,) = evaluated(before, after, url, journal).alerts
    assert (found.name, found.what) == ("Flood", ["who is told"])
    old, new = _sides(found)
    assert (old.told, new.told) == ({"oncall": 24}, {"chat": 24})


def test_how_it_is_told_that_changed(url: str, tmp_path: Path, journal: Path) -> None:
    """Proves that an alert of which only the intervals, the mute times or the inhibitions changed is evaluated."""
    rules = [alert("Certificate", "certificate_bad == 1"), alert("Slow", "flood == 1", "warning")]
    before, root = tree(tmp_path / "before", rules), ROUTING["route"]
    often = {**ROUTING, "route": {**root, "repeat_interval": "1h"}}
    held = {"source_matchers": ['alertname = "Down"'], "target_matchers": ['severity = "warning"']}
    for name, routing, names, what in (
        ("often", often, ["Certificate", "Slow"], "when it is told"),
        ("held", {**ROUTING, "inhibit_rules": [held]}, ["Slow"], "what holds it back"),
    ):
        found = evaluated(before, tree(tmp_path / name, rules, routing), url, journal).alerts
        assert sorted(each.name for each in found) == names
        assert [each.what for each in found] == [[what]] * len(names)
        if name == "often":
            old, new = _sides(next(each for each in found if each.name == "Certificate"))
            assert (old.pages, new.pages) == (3, 28)


def test_alerts_that_did_not_change_hold_back(url: str, tmp_path: Path, journal: Path) -> None:
    """Proves that an alert which fires beside an unchanged one that inhibits it pages nobody meanwhile: of 24 floods
    the twelve of the afternoon are told."""
    held = {
        "source_matchers": ['alertname = "Down"'],
        "target_matchers": ['alertname != "Down"'],
        "equal": ["app", "cluster"],
    }
    routing = {**ROUTING, "inhibit_rules": [held]}
    down = alert("Down", "flood == 1 and on () hour() < 12")
    elsewhere = alert("Down", "flood == 1", labels={"app": "blog"})
    before = tree(tmp_path / "before", [down, elsewhere], routing)
    after = tree(tmp_path / "after", [down, elsewhere, alert("Flood", "flood == 1")], routing)
    (found,) = evaluated(before, after, url, journal).alerts
    assert found.after is not None
    assert (found.after.times, found.after.told) == (24, {"oncall": 12})
    assert {page.begin.hour for page in found.after.firings} == set(range(24))


def test_a_shorter_history_is_said(url: str, tmp_path: Path, journal: Path) -> None:
    """Proves that numbers of fewer days than were asked for are told as such, with the minute from which on there are
    samples, and that a whole history needs no word."""
    trees = tree(tmp_path / "before", []), tree(tmp_path / "after", [alert("Flood", "flood == 1")])
    short = evaluated(*trees, url, journal, start=START - 14 * DAY)
    assert short.notes == ["the history begins 2026-01-16 00:00 UTC: it is 16d, and not 30d"]
    assert evaluated(*trees, url, journal).notes == []


@pytest.mark.parametrize(("left_out", "said"), [([], True), (["Errors"], False)])
def test_what_was_left_out_may_be_changed(left_out: list[str], said: bool) -> None:
    """Proves that "no alert is new or changed" is said only when none was left out."""
    report = Report(
        stack="made", base="main", prometheus="", loki=None, start=at(START), end=at(END), budget=None, alerts=[],
        left_out=left_out,
    )  # fmt: skip
    console = Console(width=120)
    with console.capture() as shown:
        show(report, console)
    assert ("no alert is new or changed" in shown.get()) is said
    assert ("without LOKI=url: Errors" in shown.get()) is not said
