"""`make diff`: what a change means for a stack (docs/change-report.md)."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specs.model import SettingsError
from tools.terminal import StackName, blame, console, errors, judging

if TYPE_CHECKING:
    from tools.changes.report import Report


class FailOn(StrEnum):
    """What ends the command with status 1."""

    BREAKING = "breaking"
    ANY = "any"
    NOTHING = "nothing"


_FORMS = (".md", ".json")


@judging
def diff(  # noqa: PLR0913 - one for each wish
    *,
    stack: StackName = "local",
    base: Annotated[str, typer.Option(help="Revision that is compared with: a branch, tag or commit.")] = "HEAD",
    head: Annotated[str, typer.Option(help="Revision that is compared; none: the working tree.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="For a comment on a pull request.")] = False,
    out: Annotated[str, typer.Option(help="Files to write as well, with spaces: each .md or .json.")] = "",
    fail_on: Annotated[FailOn, typer.Option(help="What exit status 1 is for.")] = FailOn.BREAKING,
    pictures: Annotated[str, typer.Option(help="Address of a Grafana that shows changed dashboards.")] = "",
) -> None:
    """Say what a change means, from alerts to outputs. Exit status 1: an output is gone, 2: it was not tried."""
    # Only here, since it takes pydantic models and programs' formats that no other command wants.
    from tools.changes import markdown, terminal
    from tools.changes.compare import compared

    if as_json and as_markdown:
        raise SettingsError("--json, --markdown: both are asked for (accepted: one of them)")
    if not base:
        # Empty is the working tree, which has nothing to be compared with but itself.
        raise SettingsError("BASE: required (accepted: a branch, tag or commit)")
    files = _files(out)
    with errors.status(f"rendering {stack} of {base} and of {head or 'the working tree'}"):
        report = compared(stack=stack, base=base, head=head)
    taken: Mapping[str, str] = _pictures(report, pictures, files[0].parent if files else Path()) if pictures else {}
    text = {".md": lambda: markdown.document(report, pictures=taken), ".json": lambda: report.model_dump_json(indent=2)}
    for file in files:
        _write(file, text[file.suffix]())
    if as_json or as_markdown:
        print(text[".json" if as_json else ".md"]().rstrip("\n"))  # noqa: T201 - what was asked for, untouched
    else:
        terminal.show(report, console)
    if (fail_on is FailOn.BREAKING and report.breaking) or (fail_on is FailOn.ANY and not report.empty):
        raise typer.Exit(1)


def _files(out: str) -> list[Path]:
    files = [Path(name) for name in out.split()]
    for file in files:
        if file.suffix not in _FORMS:
            raise SettingsError(
                f"OUT={file}: a report is Markdown or JSON (accepted: a name that ends in .md or .json)"
            )
    return files


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"OUT={file}: cannot be written: {problem.strerror} (accepted: a path to write)") from None


def _pictures(report: "Report", url: str, directory: Path) -> Mapping[str, str]:
    """Pictures of the changed dashboards, by uid, as paths from `directory`."""
    from tools.changes import pictures

    try:
        return pictures.take(report, url, directory, errors)
    except pictures.PictureError as problem:
        # The report is good without them.
        blame(f"no pictures: {problem}")
        return {}
