"""`make gameday`: would I notice?"""

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from specs.model import SettingsError
from tools.terminal import NOT_TRIED, StackName, blame, console, errors, judging

_LONGEST = 600


@judging
def gameday(
    *,
    stack: StackName = "local",
    incidents: Annotated[str, typer.Option(help="Names with commas; none: all of them.")] = "",
    flood_seconds: Annotated[int, typer.Option(help="How long the flood of log lines lasts.")] = 60,
    report: Annotated[str, typer.Option(help="File of Markdown for the results.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Have incidents happen on a stack beside yours, and see who hears of them. Exit status 0: all were noticed, 1: one
    was missed, 2: it was not tried, or one did not happen."""
    # Only here, since it takes libraries that other commands do without.
    from tools import native
    from tools.bench_report import BenchError
    from tools.gameday import day, ground
    from tools.gameday import report as reports
    from tools.gameday.incidents import Wishes, chosen

    wanted = chosen(incidents)
    if not 1 <= flood_seconds <= _LONGEST:
        raise SettingsError(f"FLOOD={flood_seconds}: not a length (accepted: 1 to {_LONGEST} seconds)")
    page = _page(report) if report else None
    native.ensure(ground.programs(stack, day.ALERTS), errors)
    # However it is ended, its programs end with it; a shell has what runs in the background deaf to Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="observability-gameday-") as made, errors.status("the stack starts"):
        try:
            found = day.play(stack, Path(made), wanted, Wishes(flood_seconds=flood_seconds), _say)
        except BenchError as problem:
            raise SettingsError(f"the stack of the game day: {problem}") from None
        except KeyboardInterrupt:
            errors.print("interrupted; nothing of the game day is left", style="yellow")
            raise typer.Exit(130) from None
    if as_json:
        typer.echo(reports.machine(found, stack))
    else:
        console.print(reports.table(found, stack))
        for note in reports.notes(found):
            console.print(note, markup=False, highlight=False, soft_wrap=True)
    if page:
        page.write_text(reports.document(found, stack, time.strftime("%Y-%m-%d", time.gmtime())), encoding="utf-8")
    said = reports.verdict(found)
    if not all(finding.noticed for finding in found):
        blame(said)
        raise typer.Exit(1 if any(finding.missed for finding in found) else NOT_TRIED)
    errors.print(said, highlight=False)


def _page(report: str) -> Path:
    """Where the results go. Raises SettingsError where nothing can be written."""
    page = Path(report)
    if not page.parent.is_dir():
        raise SettingsError(
            f"REPORT={report}: there is no directory {page.parent} (accepted: a file in one that exists)"
        )
    if page.is_dir():
        raise SettingsError(f"REPORT={report}: a directory (accepted: a file)")
    if not os.access(page if page.exists() else page.parent, os.W_OK):
        raise SettingsError(f"REPORT={report}: cannot be written (accepted: a file of yours, or a new one)")
    return page


def _say(line: str) -> None:
    errors.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, highlight=False, soft_wrap=True)
