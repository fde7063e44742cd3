"""What a game day found: a table for people, a page for docs/, JSON for machines."""

import json
from collections.abc import Sequence

from rich import box
from rich.table import Table

from tools.gameday.day import Finding


def verdict(found: Sequence[Finding]) -> str:
    """The whole day in a line."""
    missed = [finding.incident.name for finding in found if finding.missed]
    absent = [finding.incident.name for finding in found if not finding.happened]
    said = f"{len(found) - len(missed) - len(absent)} of {len(found)} incidents were noticed"
    said += f"; missed: {', '.join(missed)}" if missed else ""
    return said + (f"; did not happen: {', '.join(absent)}" if absent else "")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


def _row(finding: Finding) -> tuple[str, ...]:
    missed = finding.after is None
    alert = finding.incident.alert + (" (silent)" if finding.incident.silent else "")
    if not finding.happened:
        return (finding.incident.name, alert, "did not happen", "", "")
    return (
        finding.incident.name,
        alert,
        "missed" if finding.after is None else _span(finding.after),
        "" if finding.after is None else _span(finding.after + finding.waits),
        "nobody in " + _span(finding.incident.within) if missed else ", ".join(finding.told),
    )


_COLUMNS = ("incident", "alert", "told after", "as declared", "whom")


def notes(found: Sequence[Finding]) -> list[str]:
    """What else people should know, a line each."""
    lines = [(finding.incident.name, note) for finding in found for note in finding.notes]
    lines += [(each.incident.name, f"also told: {', '.join(each.besides)}") for each in found if each.besides]
    return [f"{name}: {note}" for name, note in sorted(lines)]


def table(found: Sequence[Finding], name: str) -> Table:
    """A row for each incident."""
    made = Table(
        title=f"game day with the alerting of stack {name}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for column in _COLUMNS:
        made.add_column(column, overflow="fold", no_wrap=column != "whom")
    for finding in found:
        made.add_row(*_row(finding), style="" if finding.noticed else "red")
    return made


def document(found: Sequence[Finding], name: str, day: str) -> str:
    """A page of docs/."""
    rows = [f"| {' | '.join(_row(finding))} |" for finding in found]
    further = [f"- {note}." for note in notes(found)]
    return "\n".join(
        [
            "# The last game day",
            "",
            f"{day}, with the alerting of stack `{name}`: {verdict(found)}.",
            "`make gameday REPORT=docs/game-days/latest.md` writes this page. [What it means](../gameday.md).",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"| {' | '.join('---' for _ in _COLUMNS)} |",
            *rows,
            "",
            "What happened:",
            "",
            *(f"- {finding.incident.name}: {finding.incident.says}." for finding in found),
            "",
            *(["What else was seen:", "", *further, ""] if further else []),
        ]
    )


def machine(found: Sequence[Finding], name: str) -> str:
    """JSON."""
    value = {
        "stack": name,
        "noticed": sum(finding.noticed for finding in found),
        "missed": [finding.incident.name for finding in found if finding.missed],
        "incidents": [finding.data() for finding in found],
    }
    return json.dumps(value, indent=2)
