"""What the commands share on a terminal: where they print, and how a user's mistake ends them."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

from processes.errors import ProcessError
from specs.model import SettingsError
from tools.native import NativeError

P = ParamSpec("P")
R = TypeVar("R")

console = Console()
errors = Console(stderr=True)

NOT_TRIED = 2
"""Exit status of a command that judges something (1: it found something) and was not able to look."""

StackName = Annotated[str, typer.Option("--stack", "-s", help="Name of the stack: its file is Pulumi.<stack>.yaml.")]


def warn(line: str) -> None:
    """A line that is no failure."""
    console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def blame(line: str) -> None:
    """A line of what is wrong, on stderr."""
    errors.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def plainly(command: Callable[P, R], *, status: int = 1) -> Callable[P, R]:
    """A user's mistake, or a file that cannot be had, is a sentence and an exit status, never a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (SettingsError, NativeError, ProcessError) as problem:
            blame(str(problem))
            raise typer.Exit(status) from None
        except BrokenPipeError:
            # Whoever read along has gone, as in `… | head`: no mistake.
            raise
        except OSError as problem:
            blame(f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem))
            raise typer.Exit(status) from None
        except KeyboardInterrupt:
            errors.print("interrupted; what runs keeps running", style="yellow")
            raise typer.Exit(130) from None

    return run


def judging(command: Callable[P, R]) -> Callable[P, R]:
    """Like `plainly`, for a command whose exit status 1 is a finding: a mistake is status 2."""
    return plainly(command, status=NOT_TRIED)
