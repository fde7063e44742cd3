"""What tests of routing share: the shipped stacks, who is told there, and the alerts that can come."""

from functools import cache

from specs import alertmanager, cluster, inbox
from specs.routing import SystemRoutes, Tree, occurrences
from specs.stack import Stack
from tests.specs.support import committed

STACKS = ("local", "dev", "prod")


@cache
def made(name: str) -> Stack:
    """The shipped stack `name`."""
    return committed(name)


def inbox_of(stack: Stack) -> str | None:
    """Where a stack without receivers delivers."""
    return f"http://{stack.context.addresses.dial(inbox.NAME, inbox.PORT)}" if inbox.NAME in stack.names else None


def routes_of(stack: Stack) -> dict[str, SystemRoutes]:
    """The routes of every system of `stack`."""
    return {system.name: system.profile.routes for system in stack.systems}


@cache
def tree_of(name: str) -> Tree:
    """Who is told on the stack `name`."""
    stack = made(name)
    return alertmanager.tree(stack.context, inbox_of(stack), routes_of(stack))


@cache
def alerts_of(name: str) -> tuple[dict[str, str], ...]:
    """Labels of every alert of the stack `name`, of every system that it can be about."""
    stack = made(name)
    alerts = [alert for group in (*stack.groups, *stack.log_groups) for alert in group.alerts]
    found = occurrences(alerts, apps=(*cluster.apps(stack.context), *routes_of(stack)), services=tree_of(name).services)
    return tuple({tuple(labels.items()): labels for labels in found}.values())
