"""The profile of a monitored system: what stands in `systems/<name>.yaml`."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from specs.model import (
    URL_PATH,
    Duration,
    HttpPath,
    LabelName,
    Model,
    Name,
    Pause,
    SettingsError,
    Templated,
    parse,
    plain,
    problem_at,
    seconds,
)
from specs.routing import SystemRoutes
from specs.settings import Glob, LogFormat, Severity, read_yaml
from specs.signal import MetricName, Signal, Unit

SYSTEMS = Path(__file__).resolve().parent.parent / "systems"
"""Where the profiles stand."""

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", examples=["api"])]
"""A name that may have underscores: the word of a label."""
SignalName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", examples=["failed_logins"])]
AlertName = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", examples=["HighErrorRate"])]


class Kind(StrEnum):
    """What a metric is, in Prometheus' words."""

    COUNTER = "counter"
    """Only grows."""
    GAUGE = "gauge"
    """Goes up and down."""
    HISTOGRAM = "histogram"
    """Observations in buckets."""


BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0)


class Metric(Model):
    """A metric that the system exposes itself."""

    kind: Kind
    """`counter`, `gauge` or `histogram`."""
    help: str = ""
    """What it counts."""
    labels: Mapping[LabelName, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """Labels that it has beside those of its target, each with values as examples."""
    buckets: tuple[float, ...] = BUCKETS
    """Upper bounds of a histogram's buckets."""
    healthy: float | None = None
    """What is usual: a gauge's value, a counter's growth in a second, a histogram's typical observation."""
    service: Word | None = None
    """Which of the services exposes it; none: the first."""


class Service(Model):
    """A program of the system. Its addresses stand in the stack file."""

    metrics: HttpPath | None = "/metrics"
    """Path of its metrics; none: it exposes no metrics itself."""
    job: Annotated[str | None, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]*$")] = None
    """Scrape job; none: `<system>-<service>`."""
    interval: Duration | None = None
    """How often it is scraped; none: like everything of the stack."""


class Http(Model):
    """How the system names what HTTP servers measure."""

    requests: MetricName = "http_requests_total"
    """Counter of requests."""
    duration: MetricName = "http_request_duration_seconds"
    """Histogram of response times."""
    status: LabelName = "status"
    """Label with the status code."""
    route: LabelName = "endpoint"
    """Label with the route."""


class SystemAlert(Model):
    """A condition somebody is told of: a signal beyond a limit."""

    name: AlertName
    """Name of the alert; several of one name are levels of it."""
    signal: SignalName
    """What is measured: a signal of the profile, or one of the named ones."""
    above: float | None = None
    """It fires above this."""
    below: float | None = None
    """It fires below this."""
    for_: Annotated[Pause, Field(alias="for")] = "5m"
    """How long the condition must hold."""
    severity: Severity
    """How much of a hurry it is in."""
    service: Word | None = None
    """Label `service`, where it is not the target's own: `security` tells the security team."""
    group: Word = "alerts"
    """Group of rules that it is evaluated in."""
    traffic: Annotated[float, Field(ge=0)] = 0.1
    """Below this many events a second a share, a quantile or a mean says nothing."""
    traffic_of: MetricName | None = None
    """Counter of those events, where the signal is not made of events itself."""
    summary: Templated | None = None
    """One line; none: made from the signal."""
    action: Templated = (
        "Open the dashboard, find since when and for which part it is so, and look at what was deployed then."
    )
    """What the person who is told does first."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("an alert has one limit (accepted: either above or below)")
        return self


class Objective(Model):
    """A share of good events that the system promises, told by how fast its error budget burns."""

    title: str
    """What people call it."""
    percent: Annotated[float, Field(gt=0, lt=100)]
    """How many of a hundred events are good."""
    under: Duration | None = None
    """Good is an observation that took no longer than this; none: good is an answer without a server error."""
    of: MetricName | None = None
    """Histogram that `under` is about; none: the response times."""
    signal: SignalName | None = None
    """Good is every minute in which this signal keeps its limit."""
    above: float | None = None
    """The signal's limit: good is at least this."""
    below: float | None = None
    """The signal's limit: good is at most this."""
    service: Word | None = None
    """Label `service`; none: the first service."""
    page: bool = True
    """Whether a fast burn is worth waking somebody; a slow one never is."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.signal and (self.under or self.of):
            raise ValueError("an objective is about events or about a signal (accepted: under and of, or signal)")
        if (self.signal is not None) != ((self.above is None) != (self.below is None)):
            raise ValueError("a signal's objective has one limit (accepted: signal with either above or below)")
        return self


class Kpi(Model):
    """A figure that people look at beside its target; it alerts nobody."""

    title: str
    """What people call it."""
    signal: SignalName
    """What is measured."""
    target: float
    """What it should be."""


class SystemProbe(Model):
    """A page that is knocked at from outside."""

    service: Word
    """Which service is asked."""
    path: str = Field(default="/", pattern=URL_PATH)
    """Path of the page."""
    every: Duration = "30s"
    """Time between two knocks."""
    timeout: Duration = "10s"
    """How long an answer may take."""

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if seconds(self.timeout) > seconds(self.every):
            raise problem_at(f"{self.timeout} is longer than every {self.every} (accepted: at most that)", "timeout")
        return self


class JsonPage(Model):
    """A page of JSON that is turned into metrics."""

    service: Word
    """Which service is asked."""
    path: str = Field(pattern=URL_PATH)
    """Path of the page."""
    metrics: Mapping[MetricName, str] = Field(min_length=1)
    """Name of a metric → JSONPath of its value, with braces."""


class LogSource(Model):
    """Log lines of the system."""

    service: Word
    """Label `service_name`, unless a JSON line names its own."""
    format: LogFormat = "json"
    """How a line is written."""
    path: Glob | None = None
    """Glob of its files on the system's host; none: the application hands its lines on itself."""
    durations: Literal["s", "ms"] = "ms"
    """Unit of `duration` in its JSON lines."""


class Panel(Model):
    """A panel of a dashboard."""

    title: str
    """Title of the panel."""
    description: str | None = None
    """For those who see it the first time; none: the signal's."""
    signals: tuple[SignalName, ...] = ()
    """What it shows."""
    kind: Literal[
        "graph", "number", "gauge", "bars", "heatmap", "table", "top", "state", "logs", "alerts", "events"
    ] = "graph"
    """How it shows it."""
    by: tuple[LabelName, ...] = ()
    """Labels that are told apart."""
    logs: str | None = None
    """LogQL that follows the selector of the system's streams, for `logs` and for `graph`s of log lines."""

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if self.kind != "alerts" and not self.signals and self.logs is None:
            raise ValueError("a panel shows something (accepted: signals, or logs)")
        of_logs = {"logs", "events"}
        if (self.kind in of_logs) != (self.logs is not None) and not (self.kind == "graph" and self.logs is not None):
            raise ValueError(
                "logs go with kind logs, events or graph (accepted: logs, which may be empty, or another kind)"
            )
        return self


class Board(Model):
    """A dashboard of the system."""

    title: str
    """Title of the dashboard."""
    uid: Annotated[str | None, Field(pattern=r"^[a-z0-9-]{1,40}$")] = None
    """Its place in links; none: `<system>-<title>` in small letters."""
    description: str = ""
    """What it is for."""
    panels: tuple[Panel, ...] = Field(min_length=1)
    """In the order that people read."""


EXPORTERS = ("node", "postgres", "redis", "nginx", "celery")
"""Exporters that watch what a system stands on; their addresses stand in the stack file."""


class Profile(Model):
    """One monitored system."""

    owner: str
    """Who answers for it."""
    description: str = ""
    """What it is."""
    services: Mapping[Word, Service] = Field(min_length=1)
    """Its programs; the first is the one that users meet."""
    exporters: tuple[Literal["node", "postgres", "redis", "nginx", "celery"], ...] = ()
    """What it stands on."""
    http: Http | None = Http()
    """How it names what HTTP servers measure; `null`: it serves no HTTP."""
    metrics: Mapping[MetricName, Metric] = Field(default_factory=dict[str, Metric])
    """What it exposes itself."""
    signals: Mapping[SignalName, Signal] = Field(default_factory=dict[str, Signal])
    """What is measured, beside the named signals."""
    alerts: tuple[SystemAlert, ...] = ()
    """Who is told of what."""
    objectives: Mapping[Name, Objective] = Field(default_factory=dict[str, Objective])
    """What it promises."""
    kpis: tuple[Kpi, ...] = ()
    """Figures beside their targets."""
    probes: Mapping[Word, SystemProbe] = Field(default_factory=dict[str, SystemProbe])
    """Pages that are knocked at."""
    json_pages: Mapping[Word, JsonPage] = Field(default_factory=dict[str, JsonPage])
    """Pages of JSON that are turned into metrics."""
    logs: tuple[LogSource, ...] = ()
    """Its log lines."""
    dashboards: tuple[Board, ...] = ()
    """Its dashboards; none: an overview of the usual signals."""
    routes: SystemRoutes = SystemRoutes()
    """Who is told, where that is not what the stack says."""

    @property
    def first(self) -> str:
        """The service that users meet."""
        return next(iter(self.services))

    @model_validator(mode="after")
    def _services_exist(self) -> Self:
        named: Iterator[tuple[str | None, tuple[str | int, ...]]] = (
            *((probe.service, ("probes", name, "service")) for name, probe in self.probes.items()),
            *((page.service, ("json_pages", name, "service")) for name, page in self.json_pages.items()),
            *((metric.service, ("metrics", name, "service")) for name, metric in self.metrics.items()),
        ).__iter__()
        for service, at in named:
            if service is not None and service not in self.services:
                raise problem_at(f'"{service}" is not a service (accepted: {", ".join(self.services)})', *at)
        return self


@cache
def read(path: Path) -> Profile:
    """The profile that stands in `path`.

    Raises SettingsError naming file and key.
    """
    return parse(Profile, read_yaml(path), file=path.name, key="")


def known() -> tuple[str, ...]:
    """Names of the profiles that come with the project."""
    return tuple(sorted(path.stem for path in SYSTEMS.glob("*.yaml")))


def find(name: str, path: str | None, *, file: str, key: str) -> Profile:
    """The profile of the system `name`, at `path` below the project or among the project's own.

    Raises SettingsError when there is none.
    """
    place = SYSTEMS / f"{name}.yaml" if path is None else SYSTEMS.parent / path
    try:
        there = place.is_file()
    except (OSError, ValueError):
        # No path at all: too long, or with a character that none has.
        there = False
    if not there:
        what = f"{key}: no profile systems/{name}.yaml" if path is None else f"{key}.profile: no file {plain(path)}"
        raise SettingsError(f"{file}: {what} (accepted: {', '.join(known())}, or profile: a path of your own)")
    return read(place)


__all__ = [
    "BUCKETS",
    "Board",
    "Http",
    "Kind",
    "Metric",
    "Objective",
    "Panel",
    "Profile",
    "Unit",
    "find",
    "known",
    "read",
]
