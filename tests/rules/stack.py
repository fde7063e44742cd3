"""The stack that every rule is tried on: each exporter, each system of the project."""

from functools import cache

from specs.monitoring import Alert
from specs.settings import Severity
from specs.stack import Stack
from tools.documents import whole_stack

STACK: Stack = whole_stack()
ALERTS: tuple[Alert, ...] = tuple(alert for group in STACK.groups for alert in group.alerts)


@cache
def alert_of(system: str, name: str, severity: Severity) -> Alert:
    """The alert of a system's profile."""
    (found,) = (alert for alert in ALERTS if (alert.of, alert.name, alert.severity) == (system, name, severity))
    return found
