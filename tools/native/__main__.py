"""The command line: ensure, list, path, env."""

import os
import shlex
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tools.native.environment import environment
from tools.native.errors import NativeError
from tools.native.locate import locate, survey
from tools.native.making import ensure_programs
from tools.native.recipes import Group, PathOnly
from tools.native.table import PROGRAMS, program_of

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Finds and builds the native programs.")


@app.command("ensure")
def ensure_command(
    names: Annotated[list[str] | None, typer.Argument(help="Programs or executables; all when none is named.")] = None,
    group: Annotated[list[Group] | None, typer.Option(help="All programs of a group; may be repeated.")] = None,
) -> None:
    """Build what is missing."""
    wanted = [program_of(name) for name in names or ()]
    groups = group or ()
    wanted += [program for program in PROGRAMS if program.group in groups or not (names or groups)]
    console = Console(stderr=True)
    try:
        located = ensure_programs(tuple(dict.fromkeys(wanted)), console)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Nothing is half made; the next run goes on from what is compiled.", err=True)
        raise typer.Exit(130) from None
    for found in located.values():
        console.print(f"{found.name} {found.version}: {found.path}", highlight=False, markup=False, soft_wrap=True)


@app.command("list")
def list_command() -> None:
    """Show every program, and where it is."""
    table = Table("program", "pinned", "version", "found at", "origin")
    for program in PROGRAMS:
        finding = survey(program)
        for name in program.executables:
            found = finding.located.get(name)
            if found:
                table.add_row(name, program.version, found.version, str(found.path), found.origin)
            else:
                optional = isinstance(program.source, PathOnly)
                where = "not installed (optional)" if optional else "not built yet"
                table.add_row(name, program.version, "", "; ".join([where, *finding.refused]), "")
    # Paths are for copying: where there is no terminal, lines are as long as they have to be, not more.
    console = Console() if sys.stdout.isatty() else Console(width=1000)
    console.print(table)


@app.command("path")
def path_command(name: Annotated[str, typer.Argument(help="An executable.")]) -> None:
    """Print where an executable is."""
    found = locate(name)
    if found is None:
        source = program_of(name).source
        raise NativeError(
            name,
            "it is neither on PATH at an accepted version nor built",
            remedy=source.install if isinstance(source, PathOnly) else f"python -m tools.native ensure {name}",
        )
    typer.echo(found.path)


@app.command("env")
def env_command() -> None:
    """Print lines for a shell: eval "$(python -m tools.native env)"."""
    for name, value in sorted(environment(os.environ).items()):
        if os.environ.get(name) != value:
            typer.echo(f"export {name}={shlex.quote(value)}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; errors are words, never a traceback."""
    # Ended by a supervisor, go must be ended too, as with Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except NativeError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
