"""What an example of an alert is, the labels that samples carry, and the examples that every alert with a limit has."""

from collections.abc import Mapping
from dataclasses import dataclass

from specs.model import seconds
from specs.monitoring import Alert

ENVIRONMENT = "test"
BOUNDARY = "exactly the limit"
HAIR = "a hair below the limit"
NO_LIMIT = "everything is well"
CRITICAL = {"severity": "critical"}
WARNING = {"severity": "warning"}
INFO = {"severity": "info"}


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
    resolved_at: str = ""
    """A later moment at which nothing fires any more."""
    step: str = "15s"
    severity: str = ""
    """Which of several alerts of one name this is about, by severity or level; empty: whichever fires."""
    of: str = ""
    """System whose profile the alert is from; empty: it is from none."""

    @property
    def name(self) -> str:
        """One of a kind."""
        level = f"@{self.severity}" if self.severity else ""
        return f"{self.of}/{self.alert}{level}: {self.says}".removeprefix("/")

    def about(self, alert: Alert) -> bool:
        """Whether this is an example of that very alert, and not of another one of its name."""
        levels = {"", alert.severity.value, alert.level}
        return (self.of, self.alert) == (alert.of, alert.name) and self.severity in levels

    def shows_firing(self, alert: Alert) -> bool:
        """Whether that very alert fires."""
        level = (alert.severity.value, alert.level)
        return any((firing.labels["severity"], firing.labels.get("level", "")) == level for firing in self.fires)


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


@dataclass(frozen=True, slots=True)
class Course:
    """How a series goes: a gauge's values, or a counter's growth with each sample."""

    bad: float
    limit: float
    well: float
    counts: bool

    def turning(self, bad: int, well: int) -> str:
        """Bad for so many steps, then well for so many."""
        if not self.counts:
            return f"{self.bad:.12g}x{bad} {self.well:.12g}x{well}"
        return f"0+{self.bad:.12g}x{bad} {self.bad * bad + self.well:.12g}+{self.well:.12g}x{well}"

    def bordering(self, steps: int) -> str:
        """At the limit, all the time."""
        return f"{'0+' if self.counts else ''}{self.limit:.12g}x{steps}"


def gauge(bad: float, limit: float | None = None, well: float | None = None) -> Course:
    """A gauge's values: beyond the limit, at it, and when all is well again; one value only: always that."""
    limit = bad if limit is None else limit
    return Course(bad, limit, limit if well is None else well, counts=False)


def counter(bad: float, limit: float | None = None, well: float | None = None) -> Course:
    """A counter's growth with each sample, told as a gauge's values are."""
    limit = bad if limit is None else limit
    return Course(bad, limit, limit if well is None else well, counts=True)


def tried(  # noqa: PLR0913 - what tells one alert from another
    alert: str,
    courses: Mapping[str, Course],
    firing: Firing,
    *,
    wait: str = "0s",
    window: str = "0s",
    step: str = "15s",
    border: str = BOUNDARY,
    beside: tuple[Firing, ...] = (),
    leveled: bool = False,
) -> tuple[Example, ...]:
    """The examples of an alert that follow from its series: it is pending, fires and resolves; and at its limit it is
    quiet, where `beside` is what another alert of the same name makes of it.

    `wait` is how long the condition must hold, `window` how far back its expression looks.
    """
    every, waiting, looking = int(seconds(step)), int(seconds(wait)), int(seconds(window))
    fires = waiting + looking + (every if looking else 0)
    bad = fires // every
    # Once nothing that is bad is left in the window, and one evaluation later.
    resolved = (bad + 2) * every + looking
    severity = firing.labels["severity"] if leveled else ""
    return (
        Example(
            alert=alert,
            says="it fires, and resolves",
            series={name: course.turning(bad, looking // every + 4) for name, course in courses.items()},
            at=f"{fires}s",
            fires=(firing,),
            quiet_at=f"{waiting - every}s" if waiting else "",
            resolved_at=f"{resolved}s",
            step=step,
            severity=severity,
        ),
        Example(
            alert=alert,
            says=border,
            series={name: course.bordering(resolved // every) for name, course in courses.items()},
            at=f"{resolved}s",
            fires=beside,
            step=step,
            severity=severity,
        ),
    )
