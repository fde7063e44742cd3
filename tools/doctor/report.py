"""What was found, as a table for people and as a value for machines."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tools.doctor.findings import Level, Result

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
MOST = 10
"""Findings of one check that a table shows."""


def table(results: Sequence[Result]) -> Table:
    """One row for each finding: level, check, what it is, what to do."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    made.add_column("", no_wrap=True)
    made.add_column("check", no_wrap=True)
    made.add_column("what", overflow="fold", ratio=3)
    if any(finding.todo for result in results for finding in result.findings):
        made.add_column("what to do", overflow="fold", ratio=2)
    for result in results:
        said = ""
        for index, finding in enumerate(result.findings[:MOST]):
            # Words of programs may have brackets, which are no markup.
            made.add_row(
                Text(finding.level.value, style=_STYLES[finding.level]),
                "" if index else result.check,
                Text(finding.words),
                Text("" if finding.todo == said else finding.todo),
            )
            said = finding.todo
        rest = len(result.findings) - MOST
        if rest > 0:
            made.add_row("", "", f"and {rest} more (JSON=1 has all)")
    return made


def line(name: str, results: Sequence[Result], seconds: float) -> str:
    """All of it in one line."""
    counts = {level: sum(result.level is level for result in results) for level in Level}
    return (
        f"stack {name}: {counts[Level.OK]} checks are well, {counts[Level.WARN]} to look at,"
        f" {counts[Level.FAIL]} failed, in {seconds:.1f} s"
    )


def value(name: str, results: Sequence[Result]) -> dict[str, Any]:
    """For machines."""
    return {
        "stack": name,
        "level": max((result.level for result in results), key=list(Level).index, default=Level.OK).value,
        "checks": [
            {
                "check": result.check,
                "level": result.level.value,
                "seconds": round(result.seconds, 3),
                "findings": [
                    {"level": finding.level.value, "words": finding.words, "todo": finding.todo}
                    for finding in result.findings
                ],
            }
            for result in results
        ],
    }
