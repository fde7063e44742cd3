"""`make drift`: has anybody changed a stack by hand?"""

import os
from dataclasses import replace
from typing import Annotated

import typer
from rich.table import Table

from specs.model import SettingsError
from specs.settings import load
from tools import native, paths
from tools.terminal import StackName, console, errors, judging


@judging
def drift(
    *,
    stack: StackName = "local",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    issue: Annotated[bool, typer.Option(help="In CI: open, change or close the stack's issue.")] = False,
) -> None:
    """Look for what was changed by hand; changes nothing. Exit status 0: nothing, 1: something, 2: it was not tried."""
    # Only here: they take httpx and the engine, which other commands do without.
    from tools.ci import drift as drifting
    from tools.ci import forges
    from tools.engine import engine

    forge = forges.of(os.environ) if issue else None
    settings = load(paths.stack_file(stack))
    native.ensure([name for name in ("pulumi", "pulumi-language-python") if native.locate(name) is None], errors)
    made = engine(stack, settings)
    if not made.exists():
        raise SettingsError(f"STACK={stack}: never brought up on this backend (accepted: make up STACK={stack} first)")
    telling = replace(made, environment={**made.environment, **drifting.EVENTS})
    with errors.status(f"asking every provider what is there of stack {stack}"):
        done = telling.work("refresh", "--preview-only", "--json", "--non-interactive", capture=True)
    if done.returncode and not done.stdout:
        raise SettingsError(f"pulumi refresh: {done.stderr.strip() or f'exit status {done.returncode}'}")
    found = drifting.read(done.stdout)
    if as_json:
        print(drifting.as_json(stack, found))  # noqa: T201 - what machines read is stdout
    elif found:
        table = Table("resource", "type", "what", title=f"Drift of stack {stack}")
        for each in found:
            table.add_row(each.name, each.type, each.words)
        console.print(table)
    else:
        console.print(f"stack {stack}: all is as Pulumi left it", highlight=False)
    if forge:
        errors.print(drifting.tell(forge, stack, found), highlight=False)
    if found:
        raise typer.Exit(1)
