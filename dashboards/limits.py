"""Limits of alerts, as panels show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from grafana_foundation_sdk.models import dashboard as models

from specs.monitoring import Alert

WELL, ILL = "green", "red"
SEVERITIES = {"info": "blue", "warning": "orange", "critical": ILL}
"""Colours beyond the limits of alerts, by severity, the worst last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A limit of an alert, as a panel shows it."""

    value: float
    severity: str
    below: bool = False
    """Whether what is below it is bad."""

    @property
    def step(self) -> float:
        """Where its colour begins: Grafana's do so at the value itself, and nought is well where more is not."""
        return self.value or (0.0 if self.below else 1e-9)

    def broken_by(self, value: float) -> bool:
        """Whether the alert is about `value`."""
        return value < self.value if self.below else value > self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits of the alerts that are not of one system, as the stack wants them."""

    alerts: tuple[Alert, ...] = ()

    def of(self, name: str, *, level: str = "", below: bool = False, rest: bool = False) -> tuple[Limit, ...]:
        """Limits of the alerts `name`, or of the one at `level`; `rest`: the panel shows what is left of one."""
        return tuple(
            Limit(value=1 - alert.threshold if rest else alert.threshold, severity=alert.severity.value, below=below)
            for alert in self.alerts
            if alert.name == name and alert.threshold is not None and level in {"", alert.level}
        )


def steps(limits: Iterable[Limit]) -> list[models.Threshold]:
    """Colours from one limit to the next, each the worst of the alerts that fire there."""
    limits = tuple(limits)
    edges = sorted({limit.step for limit in limits})
    severities = list(SEVERITIES)

    def colour(value: float) -> str:
        broken = [limit.severity for limit in limits if limit.broken_by(value)]
        return SEVERITIES[max(broken, key=severities.index)] if broken else WELL

    inside = (
        [
            edges[0] - 1,
            *((low + high) / 2 for low, high in pairwise(edges)),
            edges[-1] + 1,
        ]
        if edges
        else [0.0]
    )
    return [
        models.Threshold(color=colour(value), value=edge) for edge, value in zip([None, *edges], inside, strict=True)
    ]
