"""`make policy`."""

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from specs.model import SettingsError
from tools import paths, stacks
from tools.terminal import StackName, console, judging

LEVELS = ("advisory", "mandatory")
_ADVISORY = frozenset({"local", "dev"})
"""Stacks where a violation is told and stops nothing, unless LEVEL says otherwise."""


@judging
def policy(
    stack: StackName = "local",
    level: Annotated[str, typer.Option(help="advisory or mandatory; none: mandatory but for local and dev.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines, on stdout.")] = False,
) -> None:
    """Check what a stack declares against the policy pack. Exit status 1: a mandatory rule is broken, 2: not tried."""
    if level and level not in LEVELS:
        raise SettingsError(f"LEVEL={level}: no such level (accepted: {', '.join(LEVELS)})")
    chosen = level or ("advisory" if stack in _ADVISORY else "mandatory")
    # Refused before Pulumi's SDK is imported, which takes a while.
    paths.stack_file(stack)
    from policy.rules import RULES, violations
    from tools.policy.recorded import resources

    declared = resources(stacks.declared(stack))
    found = violations(declared)
    if as_json:
        print(json.dumps(_value(stack, chosen, len(declared), found), indent=2))  # noqa: T201 - for machines
    else:
        table = Table("rule", "violations", "what has to be so", box=None, pad_edge=False)
        for rule in RULES:
            count = len(found[rule.name])
            table.add_row(rule.name, str(count) if count else "none", rule.title, style="red" if count else "")
        console.print(table)
        for rule in RULES:
            for each in found[rule.name]:
                about = f"{each.resource.title}: " if each.resource else ""
                console.print(f"{rule.name}: {about}{each.message}", highlight=False, soft_wrap=True, markup=False)
            if found[rule.name]:
                console.print(f"  {rule.remedy}", style="dim", highlight=False, soft_wrap=True, markup=False)
        console.print(f"{len(declared)} resources of stack {stack}, {chosen}", highlight=False)
    if any(found.values()) and chosen == "mandatory":
        raise typer.Exit(1)


def _value(stack: str, level: str, count: int, found: Any) -> dict[str, Any]:
    return {
        "stack": stack,
        "level": level,
        "resources": count,
        "violations": [
            {
                "rule": rule,
                "urn": each.resource.urn if each.resource else None,
                "resource": each.resource.title if each.resource else None,
                "message": each.message,
            }
            for rule, violations in found.items()
            for each in violations
        ],
    }
