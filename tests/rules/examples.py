"""What an example of an alert is, and the labels that samples carry."""

from collections.abc import Mapping
from dataclasses import dataclass

ENVIRONMENT = "test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Firing:
    """An alert as it reaches Alertmanager."""

    labels: Mapping[str, str]
    """Without `alertname`."""
    summary: str
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """Series, and what an alert makes of them."""

    alert: str
    says: str
    """A sentence, in a few words."""
    series: Mapping[str, str]
    """Series → samples, one every `step`, in promtool's notation."""
    at: str
    """When it is looked at."""
    fires: tuple[Firing, ...] = ()
    quiet_at: str = ""
    """An earlier moment at which nothing fires: it is pending only."""
    step: str = "15s"

    @property
    def name(self) -> str:
        """One of a kind."""
        return f"{self.alert}: {self.says}"


def labels(
    service: str, *, app: str = "observability", job: str = "", instance: str = "here:1", **more: str
) -> dict[str, str]:
    """What a sample of a target carries."""
    return {
        "app": app,
        "environment": ENVIRONMENT,
        "instance": instance,
        "job": job or service,
        "service": service,
        **more,
    }


def series(metric: str, carried: Mapping[str, str], **more: str) -> str:
    """A series as promtool writes it."""
    inside = ", ".join(f'{name}="{value}"' for name, value in {**carried, **more}.items())
    return f"{metric}{{{inside}}}"


def without(carried: Mapping[str, str], *names: str) -> dict[str, str]:
    """`carried` less some labels."""
    return {name: value for name, value in carried.items() if name not in names}
