"""A report on a terminal."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.changes import wording
from tools.changes.report import Report

_ROWS = 60
_COLOURS: Mapping[wording.Sign, tuple[str, str]] = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
}


def show(report: Report, console: Console) -> None:
    """Print the report."""
    console.print(Text(f"{report.stack}: {wording.summary(report)}", style="bold"), soft_wrap=True)
    for line in report.breaking:
        console.print(Text(f"breaking: {line}", style="bold red"), soft_wrap=True)
    totals = wording.totals(report)
    if totals:
        table = _table("What it takes", "", "before", "after", "difference")
        for cells in totals:
            table.add_row(*cells)
        console.print(table)
    for found in report.subjects:
        subject = wording.subject(found)
        table = _table(f"{subject.title}: {wording.heading(found)}", "", subject.one, "what")
        rows = wording.rows(found)
        for row in rows[:_ROWS]:
            sign, colour = _COLOURS[row.sign]
            name = f"{len(row.names)} {subject.many}: {row.name}" if len(row.names) > 1 else row.name
            details = "\n".join(_detail(row.sign, detail) for detail in row.details)
            table.add_row(Text(sign, style=colour), Text(name), Text(details))
        if len(rows) > _ROWS:
            table.add_row("", f"and {len(rows) - _ROWS} more", "JSON=1 has all")
        console.print(table)
    if not report.empty:
        console.print(Text(f"{wording.files(report)} (MARKDOWN=1 has their lines)"), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        # What is cut off cannot be looked for.
        table.add_column(column, overflow="fold")
    return table


def _detail(sign: wording.Sign, detail: wording.Detail) -> str:
    before, after = wording.excerpts(detail)
    if not (before or after):
        return detail.field
    if sign != "changed":
        return f"{detail.field} {after if before is None else before}"
    return f"{detail.field}: {'nothing' if before is None else before} → {'nothing' if after is None else after}"
