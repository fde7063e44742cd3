"""`make doctor`."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from specs.model import SettingsError
from specs.settings import RuntimeKind
from tools import stacks
from tools.terminal import StackName, console, errors, judging, warn

if TYPE_CHECKING:
    from tools.doctor.findings import Result
    from tools.health import Keeper


def _chosen(asked: str) -> list[str]:
    """Names of the checks that are asked for. Raises SettingsError for one that there is not."""
    from tools.doctor.checks import CHECKS

    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in CHECKS:
            raise SettingsError(f"CHECK={name}: no such check (accepted: {', '.join(CHECKS)})")
    return [name for name in CHECKS if name in names] or list(CHECKS)


def _refuse_absent(name: str, keeper: "Keeper") -> None:
    """Raise SettingsError when nothing of the stack runs: there is nothing to look at."""
    away = ("not running", "no container", "not deployed")
    running = keeper.running()
    if all(part.words in away for part in running.values()):
        raise SettingsError(f"stack {name}: nothing of it runs (make up {stacks.argument(name)}brings it up)")


@judging
def doctor(
    stack: StackName = "local",
    check: Annotated[str, typer.Option(help="Checks by name, with commas; none: all of them.")] = "",
    send: Annotated[bool, typer.Option(help="Tell every receiver of a test alert, for real.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines, on stdout.")] = False,
) -> None:
    """Look at a live stack from end to end. Exit status 0: nothing failed, 1: something did, 2: it was not looked."""
    # Only here, since other commands need none of it.
    from tools.doctor import report

    names = _chosen(check)
    if send and "alerting" not in names:
        raise SettingsError("SEND=1: needs the check alerting (accepted: CHECK=alerting, or no CHECK at all)")
    began = time.monotonic()
    results, hint = asyncio.run(_looked(stack, names, send=send))
    if as_json:
        print(json.dumps(report.value(stack, results), indent=2, ensure_ascii=False))  # noqa: T201 - for machines
    else:
        console.print(report.line(stack, results, time.monotonic() - began), style="bold", highlight=False)
        console.print(report.table(results))
        if hint:
            warn(hint)
    if any(result.level == "fail" for result in results):
        raise typer.Exit(1)


async def _looked(name: str, names: list[str], *, send: bool) -> "tuple[list[Result], str]":
    """What was found, and what has to run before anything can be asked; empty: nothing."""
    from tools.doctor.opening import opened
    from tools.doctor.running import run

    declared = stacks.runnable(name)
    with stacks.keeper(name, declared) as keeper, errors.status(f"looking at stack {name}") as shown:
        await asyncio.to_thread(_refuse_absent, name, keeper)
        waiting = dict.fromkeys(names)

        def done(result: "Result") -> None:
            waiting.pop(result.check)
            shown.update(f"looking at stack {name}: {', '.join(waiting)}")

        async with opened(name, declared, keeper, send=send) as live:
            hint = keeper.forwarding() if stacks.on(declared, RuntimeKind.DOCKER) else ""
            return await run(live, names, done), hint
