"""What a backtest found: for machines a document with a version, for people tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.backtest.rules import span

WEEK = 7 * 86400
_SHOWN = 5
"""Firings of an alert that people see one by one: the latest."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class Fired(_Document):
    """One alert from when it fires to when it is resolved."""

    labels: dict[str, str]
    begin: datetime
    end: datetime
    """Of one that fires still: the end of the history."""
    open: bool
    """Whether it fires still."""


class Side(_Document):
    """An alert by the rules of one revision."""

    times: int = 0
    """How often it fires."""
    seconds: float = 0.0
    """How long, the times added up."""
    longest: float = 0.0
    """Seconds of the longest time."""
    told: dict[str, int] = {}
    """Pages by receiver."""
    pages: int = 0
    """Pages of the receiver who gets the most."""
    worst_week: int = 0
    """Most pages that one receiver gets within 7 days."""
    firings: list[Fired] = []
    evaluated: bool = True
    """Whether all of it could be evaluated; otherwise `notes` has why not."""
    in_history: bool | None = True
    """Whether the history has any series that the expression asks for; null where that cannot be told."""
    notes: list[str] = []

    def words(self) -> str:
        """How often and how long, for people."""
        if not self.times:
            return "never" if self.evaluated and self.in_history else "not known"
        often = "once" if self.times == 1 else f"{self.times} times"
        return f"{often}, {span(self.seconds)}"

    def pages_in_words(self) -> str:
        """Who is told how often, for people; empty: it does not fire."""
        if not self.times:
            return ""
        return "pages " + (", ".join(f"{name} {count}" for name, count in self.told.items()) or "nobody")


class Judged(_Document):
    """An alert of two revisions."""

    name: str
    labels: dict[str, str]
    """Those of the rule."""
    file: str
    group: str
    language: Literal["promql", "logql"]
    change: Literal["new", "removed", "changed", "same"]
    what: list[str]
    """What differs, in a few words each."""
    before: Side | None
    after: Side | None
    over_budget: bool = False

    @property
    def of(self) -> str:
        """What tells it from others of its name, for people."""
        said = {"severity": "no severity", **self.labels}
        return " ".join(said[name] for name in ("severity", "app", "service", "level") if name in said)

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name} ({self.of})"


class Report(_Document):
    """What a backtest found."""

    version: Literal[1] = 1
    stack: str
    base: str
    prometheus: str
    """URL without user and password."""
    loki: str | None
    start: datetime
    end: datetime
    budget: int | None
    """Most pages of one alert within 7 days."""
    alerts: list[Judged]
    left_out: list[str]
    """Alerts that were not evaluated, since no server for them was named."""
    notes: list[str] = []
    """What else people have to know to judge the numbers."""

    @property
    def over_budget(self) -> list[Judged]:
        """Alerts that would have paged too often."""
        return [each for each in self.alerts if each.over_budget]

    @property
    def complete(self) -> bool:
        """Whether everything that was asked of servers was answered."""
        return all(side.evaluated for each in self.alerts for side in (each.before, each.after) if side)


def at(time: float) -> datetime:
    """A time in seconds since 1970 as one of UTC."""
    return datetime.fromtimestamp(time, UTC)


def show(report: Report, console: Console) -> None:
    """Print the report for people."""
    days = (report.end - report.start).total_seconds() / 86400
    until = report.end.strftime("%Y-%m-%d %H:%M UTC")
    _say(console, f"alerts of {report.stack} against {report.base}, over {days:g} days until {until}")
    if report.alerts:
        console.print(_table(report.alerts), highlight=False)
        firings = _firings(report.alerts)
        if firings.rows:
            console.print(firings, highlight=False)
    elif not report.left_out:
        _say(console, "no alert is new or changed")
    for note in [*report.notes, *_notes(report)]:
        _say(console, note, "yellow")
    for each in report.over_budget:
        if each.after:
            _say(
                console,
                f"{each.title}: {each.after.worst_week} pages in its worst week (accepted: at most {report.budget})",
                "red",
            )


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _table(alerts: Sequence[Judged]) -> Table:
    table = Table("alert", "change", "before", "after", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    table.add_column("worst week", justify="right")
    for each in alerts:
        after = each.after
        table.add_row(
            Text(f"{each.name}\n ").append(each.of, style="dim"),
            Text("\n".join(each.what) if each.change == "changed" else each.change),
            _cell(each.before),
            _cell(after),
            Text(str(after.worst_week), style="red" if each.over_budget else "") if after else "",
        )
    return table


def _cell(side: Side | None) -> Text:
    return Text(f"{side.words()}\n").append(side.pages_in_words(), style="dim") if side else Text()


def _notes(report: Report) -> list[str]:
    found: dict[str, list[str]] = {}
    for each in report.alerts:
        for note in dict.fromkeys(note for side in (each.before, each.after) if side for note in side.notes):
            found.setdefault(note, []).append(each.title)
    lines = [f"{', '.join(titles)}: {note}" for note, titles in found.items()]
    if report.left_out:
        names = ", ".join(report.left_out)
        lines.append(f"alerts on logs are not evaluated without LOKI=url: {names}")
    return lines


def _firings(alerts: Sequence[Judged]) -> Table:
    """The latest firings of each alert by the new rules."""
    table = Table("when", "how long", "labels", box=box.SIMPLE_HEAD, pad_edge=False)
    for each in alerts:
        firings = each.after.firings if each.after else []
        if firings:
            more = f", the last {_SHOWN} of {len(firings)}" if len(firings) > _SHOWN else ""
            table.add_row(Text(f"{each.title}{more}", style="bold"))
        for one in firings[-_SHOWN:]:
            labels = {name: value for name, value in one.labels.items() if each.labels.get(name) != value}
            table.add_row(
                one.begin.strftime("%Y-%m-%d %H:%M:%S"),
                span((one.end - one.begin).total_seconds()) + (" and on" if one.open else ""),
                Text(", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")),
            )
    return table
