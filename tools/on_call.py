"""The page of who is on duty: every alert by its urgency, what it says, who is told, and its runbook."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from specs import alertmanager, cluster
from specs.model import seconds
from specs.routing import Tree, occurrences, told
from specs.settings import Severity
from specs.stack import Stack
from tools.runbooks import Rule

_URGENCY: Mapping[Severity, tuple[str, str]] = {
    Severity.CRITICAL: ("Now", "Somebody is hurt by it, or will be within the hour. It wakes people."),
    Severity.WARNING: ("Today", "It becomes worse when nobody looks. It can wait for the morning."),
    Severity.INFO: ("Good to know", "Nothing to do by itself; it explains others, and stands in Alertmanager."),
}
_HEAD = """# On call

Every alert there is, by how soon somebody has to look, with its runbook. *Told* is who hears of it in production,
by the routes of `Pulumi.prod.yaml` ([routing](../routing.md)): *by system* is in the table of systems, *not there* says
that production does not have what it is about.

1. Open the alert's runbook: what it means, and what to do first. Notes of those before you stand at its end.
2. `make doctor STACK=prod` says whether the stack itself can be believed ([doctor](../doctor.md)).
3. What is known and being worked on is silenced, with a comment that says who and why: in Alertmanager, or
   `amtool silence add alertname=… --duration=2h --comment=…`.
4. Afterwards, write what helped under *Notes* of the runbook; it is kept when pages are written anew.
"""
_BY_SYSTEM = "[by system](#systems)"
_FEW = 4
"""Receivers that one row can name."""


def _tree(stack: Stack) -> Tree:
    return alertmanager.tree(stack.context, None, {each.name: each.profile.routes for each in stack.systems})


def _receivers(tree: Tree, labels: Mapping[str, str]) -> set[str]:
    return {name for name in told(tree.root, labels) if name not in tree.silent}


def _words(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nobody"


def _told(stack: Stack) -> Mapping[tuple[str, str], str]:
    """Who is told of an alert, by its name and severity."""
    tree = _tree(stack)
    alerts = [alert for group in (*stack.groups, *stack.log_groups) for alert in group.alerts]
    apps = (*cluster.apps(stack.context), *(each.name for each in stack.systems))
    found: dict[tuple[str, str], set[str]] = {}
    for labels in occurrences(alerts, apps=apps, services=tree.services):
        found.setdefault((labels["alertname"], labels["severity"]), set()).update(_receivers(tree, labels))
    return {key: _words(names) if len(names) <= _FEW else _BY_SYSTEM for key, names in found.items()}


def _systems(stack: Stack) -> Iterator[str]:
    """A row for each system: who is told of what is not one service's, or one alert's, own affair."""
    tree = _tree(stack)
    for app in ("", *(each.name for each in stack.systems)):
        rows = [
            _words(_receivers(tree, {"alertname": "", "app": app, "service": "", "severity": severity.value}))
            for severity in (Severity.CRITICAL, Severity.WARNING)
        ]
        yield f"| {f'`{app}`' if app else 'no system'} | {' | '.join(rows)} |"


def _rows(
    rules: Iterable[tuple[str, Sequence[Rule]]], severity: Severity, who: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    for name, every in rules:
        same = [rule for rule in every if rule.alert.severity is severity]
        if same:
            waits = sorted({rule.alert.for_ for rule in same}, key=seconds)
            cells = (
                f"[{name}](../runbooks/{name}.md)",
                ", ".join(dict.fromkeys(rule.of for rule in same)),
                waits[0] if len(waits) == 1 else f"{waits[0]} to {waits[-1]}",
                "; ".join(dict.fromkeys(rule.summary.replace("|", "\\|") for rule in same)),
                who.get((name, severity.value), "not there"),
            )
            yield f"| {' | '.join(cells)} |"


def page(rules: Mapping[str, Sequence[Rule]], production: Stack) -> str:
    """The page; `rules` are those of every alert there is, by its name."""
    who = _told(production)
    tables = {severity: list(_rows(rules.items(), severity, who)) for severity in _URGENCY}
    lines = [_HEAD, "| urgency | severity | alerts |", "|---|---|--:|"]
    for severity, (urgency, _) in _URGENCY.items():
        anchor = urgency.lower().replace(" ", "-")
        lines.append(f"| [{urgency}](#{anchor}) | `{severity.value}` | {len(tables[severity])} |")
    lines += ["", "## Systems", "", "Who is told of an alert of a system, unless its own routes say otherwise.", ""]
    lines += ["| system | critical | warning |", "|---|---|---|", *_systems(production)]
    for severity, (urgency, meaning) in _URGENCY.items():
        lines += [
            "",
            f"## {urgency}",
            "",
            meaning,
            "",
            "| alert | of | after | it says | told |",
            "|---|---|---|---|---|",
        ]
        lines += tables[severity]
    return "\n".join(lines) + "\n"
