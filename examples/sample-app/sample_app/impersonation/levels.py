"""How high everything stands that a system measures: well, or with chosen alerts driven beyond their limits.

A profile says what is usual; its alerts and objectives say what is still well. Levels are worked out from both, so
nothing here knows a system by name.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean
from typing import Final

from sample_app.impersonation.exported import CAPACITY, COMPLEMENTS, EQUIVALENTS, EXPORTED
from specs.model import SettingsError, seconds
from specs.named_signals import signals
from specs.profile import Http, Kind, Metric, Profile, SystemAlert
from specs.signal import Signal, Unit

SPREAD: Final = 0.42
"""Of the logarithm of a duration: 95 of 100 take less than twice the median, 99 less than 2.7 times."""
MEAN: Final = math.exp(SPREAD**2 / 2)
"""Mean of durations whose median is 1."""
PROBE: Final = "probe_success"
"""Gauge of whether a page answers a knock from outside."""
PROBE_FAILED: Final = "ProbeFailed"
"""Alert on that gauge, which every system with probes has."""
BURST: Final = 240.0
"""Seconds in which a counter that is summed up over weeks reaches its failing level."""
_CALM: Final = 0.4
"""Of an upper limit: where what is well stays below."""
_OUTCOME: Final = re.compile(r"(?i)error|fail|lost|denied")
_SERVER_ERRORS: Final = 0.0001
_STATUSES: Final = ("200", "404", "500")
_QUARTER: Final = 900


@dataclass
class Stream:
    """One series of a metric."""

    labels: tuple[tuple[str, str], ...]
    level: float
    """A gauge's value; else what is counted in a second."""
    middle: float = 0.0
    """A histogram's median."""
    slope: float = 0.0
    """A gauge's growth in a second."""
    burst: float = 0.0
    """What a counter grows by in its first seconds, beside its level."""


@dataclass
class Exposed:
    """A metric with all its series."""

    metric: Metric
    streams: list[Stream]
    steady: bool = False
    """Neither the time of day nor noise moves it."""


@dataclass(frozen=True)
class Levels:
    """Everything that a system and its exporters expose."""

    metrics: Mapping[str, Exposed]
    pages: Mapping[tuple[str, str], tuple[str, ...]]
    """Names of the metrics on each page: ("service", its name) or ("exporter", its name)."""


@dataclass(frozen=True)
class _Group:
    """Series that become one value: what is `chosen`, and beside it what a share or a ratio also needs."""

    chosen: list[Stream]
    rest: list[Stream] = field(default_factory=list[Stream])


def of(profile: Profile, fail: Iterable[str] = (), *, rate: float = 1.0) -> Levels:
    """Levels of the system: well, but for the alerts named in `fail`, as `Name` or `Name@severity`.

    Raises SettingsError for an alert that the profile has not got, or whose signal cannot be driven.
    """
    made = _Plan(profile, rate)
    made.calm()
    for name in fail:
        made.drive(name)
    return Levels(metrics=made.metrics, pages=made.pages)


def drivable(profile: Profile) -> tuple[str, ...]:
    """Names of the alerts that `fail` accepts."""
    known = signals(profile)
    own = dict.fromkeys(alert.name for alert in profile.alerts if _equivalent(alert.signal, known) is not None)
    return (*own, *((PROBE_FAILED,) if profile.probes and PROBE_FAILED not in own else ()))


class _Plan:
    """Levels in the making."""

    def __init__(self, profile: Profile, rate: float) -> None:
        self._profile = profile
        self._signals = signals(profile)
        self._rate = rate
        self.metrics: dict[str, Exposed] = {}
        self.pages: dict[tuple[str, str], tuple[str, ...]] = {}
        self._expose()

    def _expose(self) -> None:
        profile = self._profile
        declared = {**_http(profile.http), **profile.metrics}
        by_service: dict[tuple[str, str], list[str]] = {
            ("service", name): [] for name, service in profile.services.items() if service.metrics is not None
        }
        for name, metric in declared.items():
            by_service.setdefault(("service", metric.service or profile.first), []).append(name)
            self._add(name, metric)
        self.pages.update({page: tuple(names) for page, names in by_service.items()})
        for exporter in profile.exporters:
            self._page(exporter, EXPORTED[exporter])
        self._page("json", self._json())
        if profile.probes:
            self._page("blackbox", _probed(tuple(profile.probes)))
        self._observe()

    def _page(self, exporter: str, metrics: Mapping[str, Metric]) -> None:
        for name, metric in metrics.items():
            if name not in self.metrics:
                self._add(name, metric)
        if metrics:
            self.pages["exporter", exporter] = tuple(metrics)

    def _json(self) -> dict[str, Metric]:
        """What the JSON pages tell: what the system exposes itself is the same there."""
        states = {signal.value for signal in self._signals.values() if signal.unit is Unit.STATE}
        return {
            name: self._profile.metrics.get(name)
            or Metric(kind=Kind.GAUGE, help="Out of a page of JSON.", healthy=1 if name in states else 5)
            for page in self._profile.json_pages.values()
            for name in page.metrics
        }

    def _add(self, name: str, metric: Metric) -> None:
        usual = metric.healthy
        if usual is None:
            usual = {Kind.COUNTER: 0.1, Kind.GAUGE: 1.0, Kind.HISTOGRAM: 0.05}[metric.kind]
        # Time passes as quickly under any load.
        faster = self._rate if metric.kind is Kind.COUNTER and not name.endswith("_seconds_total") else 1
        streams: list[Stream] = []
        for labels, share in _combinations(metric):
            match metric.kind:
                case Kind.COUNTER:
                    streams.append(Stream(labels, usual * share * faster))
                case Kind.GAUGE:
                    streams.append(Stream(labels, usual))
                case Kind.HISTOGRAM:
                    streams.append(Stream(labels, share, middle=usual))
        steady = name in CAPACITY or name.endswith(("_seconds_total", "_status_code"))
        self.metrics[name] = Exposed(metric, streams, steady)

    def _observe(self) -> None:
        """A histogram is observed as often as the counter beside it counts, else half as often as requests come."""
        http = self._profile.http
        requests = self._rate_of(http.requests) if http else 2.0 * self._rate
        for name, exposed in self.metrics.items():
            if exposed.metric.kind is not Kind.HISTOGRAM:
                continue
            stem = name.removesuffix("_duration_seconds")
            beside = [
                other
                for other, found in self.metrics.items()
                if found.metric.kind is Kind.COUNTER and re.fullmatch(rf"{stem}s?(_total|_runs_total|_status)", other)
            ]
            often = self._rate_of(beside[0]) if beside else requests / 2
            if http and name == http.duration:
                often = requests
            for stream in exposed.streams:
                stream.level *= often

    def _rate_of(self, name: str) -> float:
        return sum(stream.level for stream in self.metrics[name].streams)

    def calm(self) -> None:
        """Bring everything well within the limits of alerts and objectives."""
        http = self._profile.http
        for name, above, below in self._limits():
            self._settle(name, above, below)
        for name, exposed in self.metrics.items():
            if name == self._signals["memory_growth"].growth:
                exposed.steady = True
        for objective in self._profile.objectives.values():
            allowed = 0.1 * (1 - objective.percent / 100)
            if objective.under is not None:
                histogram = objective.of or (http.duration if http else "")
                most = seconds(objective.under) / _quantile(1 - allowed)
                for stream in self.metrics[histogram].streams:
                    stream.middle = min(stream.middle, most)
            elif objective.signal is None:
                self._bound("http_error_share", most=allowed)
        for alert in self._profile.alerts:
            self._frequent(alert)

    def _limits(self) -> Iterator[tuple[str, float | None, float | None]]:
        for alert in self._profile.alerts:
            yield alert.signal, alert.above, alert.below
        for objective in self._profile.objectives.values():
            if objective.signal is not None:
                # Turned round: an alert fires above what an objective calls good at most.
                yield objective.signal, objective.below, objective.above

    def _settle(self, signal: str, above: float | None, below: float | None) -> None:
        if above is not None:
            self._bound(signal, most=_CALM * above)
        elif below is not None:
            self._bound(signal, least=_well_above(below, self._signals[signal].unit))

    def _bound(self, name: str, *, most: float = math.inf, least: float = -math.inf) -> None:
        signal = _equivalent(name, self._signals)
        if signal is None:
            return
        if name in COMPLEMENTS:
            most, least = 1 - least, 1 - most
        for group in self._groups(signal):
            found = _measured(signal, group)
            if not least <= found <= most:
                _put(signal, group, most if found > most else least)

    def _frequent(self, alert: SystemAlert) -> None:
        """What counts only with traffic gets some."""
        counted = (alert.traffic_of,) if alert.traffic_of else self._signals[alert.signal].counted
        for name in counted:
            exposed = self._exposed(str(name))
            labels = self._signals[alert.signal].by
            for streams in _grouped(exposed.streams if exposed else [], labels).values():
                often = sum(stream.level for stream in streams)
                if 0 < often < 2.5 * alert.traffic:
                    for stream in streams:
                        stream.level *= 2.5 * alert.traffic / often

    def drive(self, wanted: str) -> None:
        """Push an alert's signal beyond its limit: twice as high, or half as low."""
        name, _, severity = wanted.partition("@")
        if name == PROBE_FAILED and PROBE in self.metrics:
            self.metrics[PROBE].streams[0].level = 0
            return
        alerts = [
            alert
            for alert in self._profile.alerts
            if alert.name == name and (not severity or alert.severity.value == severity)
        ]
        if name not in drivable(self._profile) or not alerts:
            raise SettingsError(f"{wanted}: no such alert (accepted: {', '.join(drivable(self._profile))})")
        for told in dict.fromkeys(alert.signal for alert in alerts):
            limits = [_limit(alert) for alert in alerts if alert.signal == told]
            self._drive(told, limits, lower=any(alert.below is not None for alert in alerts))

    def _drive(self, told: str, limits: Sequence[float], *, lower: bool) -> None:
        unit = self._signals[told].unit
        others = [_limit(alert) for alert in self._profile.alerts if alert.signal == told]
        if lower:
            limit = min(limits)
            value = 0.0 if unit is Unit.STATE else limit / 2
            further = max((other for other in others if value <= other < limit), default=None)
        else:
            limit = max(limits)
            value = min(2 * limit, (limit + _most(unit)) / 2)
            further = min((other for other in others if limit < other <= value), default=None)
        if further is not None:
            # Another level of the alert begins here: stay between the two.
            value = math.sqrt(limit * further)
        signal = _equivalent(told, self._signals)
        if signal is None:
            raise SettingsError(f"{told}: a signal that cannot be driven")
        # One of several is enough: one queue that is full, one provider that is slow.
        group = next(iter(self._groups(signal)), None)
        if group is not None:
            _put(signal, group, 1 - value if told in COMPLEMENTS else value)

    def _exposed(self, name: str) -> Exposed | None:
        return self.metrics.get(name) or self.metrics.get(name.removesuffix("_count"))

    def _groups(self, signal: Signal) -> list[_Group]:
        """The series of a signal, those together that become one value."""
        first, *others = signal.metrics() or ("",)
        exposed, beside = self._exposed(first), self._exposed(others[0]) if others else None
        if exposed is None:
            return []
        chosen = [stream for stream in exposed.streams if _matches(signal, stream)]
        rest = list(beside.streams) if beside else []
        if signal.kind == "share":
            rest = [stream for stream in exposed.streams if not _matches(signal, stream)]
        by = _grouped(rest, signal.by)
        return [_Group(streams, by.get(key, [])) for key, streams in _grouped(chosen, signal.by).items()]


def _http(http: Http | None) -> dict[str, Metric]:
    """What every HTTP server measures, where the profile leaves it out."""
    if http is None:
        return {}
    labels = {"method": ("GET", "POST"), http.route: ("/", "/items", "/items/{id}")}
    return {
        http.requests: Metric(
            kind=Kind.COUNTER, help="Requests answered.", labels={**labels, http.status: _STATUSES}, healthy=10
        ),
        http.duration: Metric(kind=Kind.HISTOGRAM, help="Time to answer.", labels=labels, healthy=0.1),
    }


def _probed(names: tuple[str, ...]) -> dict[str, Metric]:
    def gauge(healthy: float) -> Metric:
        return Metric(kind=Kind.GAUGE, labels={"probe": names}, healthy=healthy)

    return {
        PROBE: gauge(1),
        "probe_duration_seconds": gauge(0.05),
        "probe_http_status_code": gauge(200),
    }


def _combinations(metric: Metric) -> Iterator[tuple[tuple[tuple[str, str], ...], float]]:
    """Labels of each series, and its share of the whole."""
    weights = {name: _weights(values) for name, values in metric.labels.items()}
    for values in itertools.product(*metric.labels.values()):
        labels = tuple(zip(metric.labels, values, strict=True))
        yield labels, math.prod(weights[name][value] for name, value in labels)


def _weights(values: Sequence[str]) -> dict[str, float]:
    found = {value: _weight(value, place) for place, value in enumerate(values)}
    return {value: weight / sum(found.values()) for value, weight in found.items()}


def _weight(value: str, place: int) -> float:
    if re.fullmatch(r"[1-5]\d\d", value):
        return {"5": _SERVER_ERRORS, "4": 0.01}.get(value[0], 1.0)
    if _OUTCOME.search(value):
        return 0.001
    if value == "idle":
        return 10
    if value.startswith("task-"):
        # What is received is done.
        return 1.0
    return 0.02 if value.lower().startswith("warn") else 1 / (1 + place)


def _grouped(streams: Iterable[Stream], by: Sequence[str]) -> dict[tuple[str, ...], list[Stream]]:
    found: dict[tuple[str, ...], list[Stream]] = {}
    for stream in streams:
        labels = dict(stream.labels)
        found.setdefault(tuple(labels.get(name, "") for name in by), []).append(stream)
    return found


def _matches(signal: Signal, stream: Stream) -> bool:
    labels = dict(stream.labels)
    return all(
        (re.fullmatch(wanted.removeprefix("!"), labels.get(label, "")) is not None) != wanted.startswith("!")
        for label, wanted in signal.where.items()
    )


def _equivalent(name: str, known: Mapping[str, Signal]) -> Signal | None:
    """The signal by a kind that says how it is measured; none for PromQL that nothing else can say."""
    if name in EQUIVALENTS:
        return EQUIVALENTS[name]
    signal = known[name]
    if signal.promql is None:
        return signal
    summed = re.fullmatch(r"sum by \(\$by\) \(increase\((\w+)\{\$scope\}\[(\w+)\]\)\)", signal.promql.strip())
    if summed is None:
        return None
    return Signal(title=signal.title, unit=signal.unit, increase=summed[1], window=summed[2], by=signal.by)


def _limit(alert: SystemAlert) -> float:
    return float(alert.above if alert.below is None else alert.below)  # type: ignore[arg-type] # it has one of the two


def _most(unit: Unit) -> float:
    return {Unit.RATIO: 1.0, Unit.PERCENT: 100.0}.get(unit, math.inf)


def _well_above(limit: float, unit: Unit) -> float:
    """Where what must stay above `limit` is well: twice as high, if there is room."""
    most = 1.0 if unit is Unit.STATE else _most(unit)
    return 2 * limit if 2 * limit < most else most - (most - limit) * 0.1


def _quantile(share: float) -> float:
    """What that share of durations with the median 1 stays under."""
    return math.exp(SPREAD * NormalDist().inv_cdf(share))


def _summed(streams: Iterable[Stream]) -> float:
    return sum(stream.level for stream in streams)


def _scale(streams: Sequence[Stream], total: float) -> None:
    """Give the series together `total`, in the proportions that they have."""
    have = _summed(streams)
    for stream in streams:
        stream.level = stream.level * total / have if have else total / len(streams)


_COMBINED: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {"sum": sum, "avg": fmean, "max": max, "min": min}


def _measured(signal: Signal, group: _Group) -> float:  # noqa: PLR0911 - one for each kind
    """What the signal would be."""
    chosen = _summed(group.chosen)
    whole = chosen + _summed(group.rest)
    match signal.kind:
        case "value":
            return _COMBINED[signal.combine]([stream.level for stream in group.chosen])
        case "rate":
            return chosen * seconds(signal.per)
        case "increase":
            return chosen * seconds(signal.window)
        case "quantile":
            return max(stream.middle for stream in group.chosen) * _quantile(signal.quantile or 0.5)
        case "mean":
            return max(stream.middle for stream in group.chosen) * MEAN
        case "ratio":
            return chosen / _summed(group.rest) if group.rest else 0.0
        case "growth":
            return max(stream.slope for stream in group.chosen) * _QUARTER
        case _:
            return chosen / whole if whole else 0.0


def _put(signal: Signal, group: _Group, value: float) -> None:  # noqa: C901 - a table of kinds
    """Bring the signal to `value`."""
    factor = MEAN if signal.kind == "mean" else _quantile(signal.quantile or 0.5)
    whole = _summed(group.chosen) + _summed(group.rest)
    match signal.kind:
        case "quantile" | "mean":
            for stream in group.chosen:
                stream.middle = value / factor
        case "growth":
            for stream in group.chosen:
                stream.slope = value / _QUARTER
        case "value":
            each = value / len(group.chosen) if signal.combine == "sum" else value
            for stream in group.chosen:
                stream.level = each
        case "rate" | "increase":
            _scale(group.chosen, value / seconds(signal.per if signal.kind == "rate" else signal.window))
        case "ratio":
            _scale(group.chosen, value * _summed(group.rest))
        case _:
            _scale(group.chosen, value * whole)
            _scale(group.rest, (1 - value) * whole)
    if signal.kind == "increase":
        for stream in group.chosen:
            # Nobody waits for weeks: most of it comes at once.
            stream.burst = stream.level * max(0.0, seconds(signal.window) - BURST)
