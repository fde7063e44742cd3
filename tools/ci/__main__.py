"""What only jobs of a forge call: python -m tools.ci --help."""

import os
from pathlib import Path
from typing import Annotated

import typer

from specs.model import SettingsError
from tools.ci import comments, forges, release
from tools.paths import ROOT
from tools.terminal import console, judging

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
@judging
def comment(
    files: Annotated[list[Path], typer.Argument(help="Markdown; empty ones are left out.")],
    key: Annotated[str, typer.Option(help="Which comment: one of a key is kept up to date.")],
) -> None:
    """Put files into one comment on the pull or merge request, and change it from then on."""
    try:
        sections = [file.read_text(encoding="utf-8") for file in files]
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{problem} (accepted: Markdown files)") from problem
    forge = forges.of(os.environ)
    console.print(f"comment {key}: {comments.put(forge, forge.change, key, sections)}", highlight=False)


@app.command(name="release")
@judging
def make_release(
    tag: Annotated[str, typer.Argument(help="Like v1.2.0.")],
    dry_run: Annotated[bool, typer.Option(help="Print the notes, and make nothing.")] = False,
) -> None:
    """Make the forge's release of a tag, with its section of CHANGELOG.md as notes."""
    notes = release.notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag)
    if dry_run:
        print(notes, end="")  # noqa: T201 - what a pipe reads is stdout
        return
    forges.of(os.environ).release(tag, notes)
    console.print(f"release {tag} made", highlight=False)


if __name__ == "__main__":
    app()
