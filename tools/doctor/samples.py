"""Alerts that stand for all that a stack tells somebody of: one for each receiver."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from specs import alertmanager, cluster, inbox, routing
from specs.routing import DEAD_MANS_SWITCH, WATCHDOG, Tree
from specs.stack import Stack

TEST = "DoctorTest"
_NAMES = (TEST, f"Alertmanager{TEST}")
"""Names of a test alert: for routes that ask for no name, and for those of alerts about alerting itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Labels of an alert that a receiver is told of."""

    receiver: str
    labels: Mapping[str, str]
    told: tuple[str, ...]
    """Everybody whom the model tells of it."""


def tree(stack: Stack) -> Tree:
    """The routes of the stack; what its inbox would be is told by any address."""
    own = f"http://{inbox.NAME}" if inbox.NAME in stack.names else None
    return alertmanager.tree(stack.context, own, {each.name: each.profile.routes for each in stack.systems})


def samples(stack: Stack) -> list[Sample]:
    """A test alert for each receiver that some declared alert reaches; the dead man's switch left out."""
    who = tree(stack)
    systems = [each.name for each in stack.systems]
    alerts = [alert for group in (*stack.groups, *stack.log_groups) for alert in group.alerts]
    apps = (*cluster.apps(stack.context), *systems)
    found: dict[str, Sample] = {}
    for real in routing.occurrences(alerts, apps=apps, services=who.services):
        if real["alertname"] == WATCHDOG:
            continue
        wanted = set(routing.told(who.root, real)) - found.keys() - {DEAD_MANS_SWITCH}
        for receiver in wanted:
            for name in (*_NAMES, real["alertname"]):
                labels = {**real, "alertname": name, "environment": stack.context.settings.environment}
                told = routing.told(who.root, labels)
                if receiver in told:
                    found[receiver] = Sample(receiver=receiver, labels=labels, told=told)
                    break
    return [found[name] for name in sorted(found)]


def few(every: Sequence[Sample]) -> list[Sample]:
    """Some of `every` that tell all of their receivers: those that tell many first, so that nobody hears of many."""
    chosen: list[Sample] = []
    covered: set[str] = set()
    for sample in sorted(every, key=lambda sample: -len(sample.told)):
        if sample.receiver not in covered:
            chosen.append(sample)
            covered.update(sample.told)
    return chosen
