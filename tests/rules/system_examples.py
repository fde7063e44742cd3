"""Examples of the alerts of the systems' profiles, made from what their signals mean: series at which a signal sits at
a given value, written down independently of the PromQL that finds it again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from specs.model import seconds
from specs.monitoring import THRESHOLD, Alert, number
from specs.objectives import BAD, BUDGET, EVENTS
from specs.profile import SystemAlert
from specs.settings import Severity
from specs.signal import Signal
from specs.system import System
from tests.rules.examples import ENVIRONMENT, Example, Firing, series
from tests.rules.spoken import spoken
from tests.rules.stack import STACK, alert_of

STEP = 30
"""Seconds between two samples."""
EVENTS_A_SECOND = 10.0
"""How much happens, where a share or a quantile is made of events."""
_SERVICES = {"pg": "postgres", "redis": "redis", "node": "node-exporter", "nginx": "nginx", "flower": "celery"}


@dataclass(frozen=True, kw_only=True)
class Level:
    """A series at one level: a gauge that sits at `at`, or a counter that grows by `at` a second."""

    name: str
    labels: Mapping[str, str]
    at: float
    counts: bool


def _carried(system: System, metric: str) -> dict[str, str]:
    """What a sample of the metric carries: labels of its target, and its own with an example of each."""
    declared = system.profile.metrics.get(metric)
    exporter = _SERVICES.get(metric.partition("_")[0]) if declared is None else None
    service = exporter or (declared.service if declared and declared.service else system.profile.first)
    target = {"app": system.name, "environment": ENVIRONMENT, "instance": "there:1", "job": "any", "service": service}
    own = {label: values[0] for label, values in declared.labels.items()} if declared else {}
    return target | own


def _matching(system: System, metric: str, label: str, wanted: str, *, others: bool = False) -> str:
    """An example of the label's value that the matcher takes, or one that it does not."""
    pattern, negated = (wanted[1:], True) if wanted.startswith("!") else (wanted, False)
    for value in system.profile.metrics[metric].labels[label]:
        if (re.fullmatch(pattern, value) is not None) is not (negated ^ others):
            return value
    raise AssertionError(f"{system.name}: {metric} has no example of {label} for {wanted}")


def levels(  # noqa: C901, PLR0911 - a table of kinds
    system: System, signal: Signal, value: float, *, events: float = EVENTS_A_SECOND
) -> list[Level]:
    """Series at which `signal` is `value`. `events` a second happen, where it is made of events."""

    def counter(metric: str, at: float, **labels: str) -> Level:
        base = re.sub(r"_(bucket|count|sum)$", "", metric) if metric not in system.profile.metrics else metric
        return Level(name=metric, labels={**_carried(system, base), **labels}, at=at, counts=True)

    def gauge(metric: str, at: float) -> Level:
        return Level(name=metric, labels=_carried(system, metric), at=at, counts=False)

    where = signal.where
    match signal.kind:
        case "value":
            return [gauge(str(signal.value), value)]
        case "rate":
            chosen = {label: _matching(system, str(signal.rate), label, wanted) for label, wanted in where.items()}
            found = [counter(str(signal.rate), value / seconds(signal.per), **chosen)]
            if where:
                rest = {
                    label: _matching(system, str(signal.rate), label, wanted, others=True)
                    for label, wanted in where.items()
                }
                found.append(counter(str(signal.rate), events, **rest))
            return found
        case "increase":
            return [counter(str(signal.increase), value / seconds(signal.window))]
        case "quantile":
            # Just the quantile's share of them is at the value or below, and a hair more, since sums are floats.
            name, share = str(signal.of), float(signal.quantile or 0)
            return [
                counter(f"{name}_bucket", events * share * (1 + 1e-9), le=f"{value * (1 + 1e-8):.12g}"),
                counter(f"{name}_bucket", events, le="+Inf"),
                counter(f"{name}_count", events),
            ]
        case "share":
            name = str(signal.share)
            of = {label: _matching(system, name, label, wanted) for label, wanted in where.items()}
            rest = {label: _matching(system, name, label, wanted, others=True) for label, wanted in where.items()}
            return [counter(name, events * value, **of), counter(name, events * (1 - value), **rest)]
        case "part":
            return [
                counter(str(signal.part), events * value),
                counter(str(signal.rest), events * (1 - value)),
            ]
        case "ratio":
            return [gauge(str(signal.ratio), 50 * value), gauge(str(signal.to), 50)]
        case kind:
            raise AssertionError(f"no series are known for a signal of kind {kind}")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Some time at one level."""

    levels: Sequence[Level]
    steps: int


def timeline(phases: Sequence[Phase]) -> dict[str, str]:
    """Series through the phases, in promtool's notation."""
    found: dict[str, list[str]] = {}
    reached: dict[str, float] = {}
    before = 0
    for phase in phases:
        for level in phase.levels:
            name = series(level.name, level.labels)
            values = found.setdefault(name, ["_"] * before)
            if level.counts:
                start = reached.get(name, 0.0)
                values += [f"{start + level.at * STEP * step:.12g}" for step in range(1, phase.steps + 1)]
                reached[name] = start + level.at * STEP * phase.steps
            else:
                values += [f"{level.at:.12g}"] * phase.steps
        before += phase.steps
        for values in found.values():
            # A series that this phase does not name stands still, as a counter does.
            values.extend([values[-1]] * (before - len(values)))
    return {name: " ".join(values) for name, values in found.items()}


def _beyond(spec: SystemAlert, signal: Signal) -> float:
    """A value at which the alert fires, that its unit can have."""
    if spec.below is not None:
        return spec.below * 0.5 if signal.unit.value != "state" else 0.0
    limit = float(spec.above or 0)
    return min(limit * 1.5, 1.0) if signal.unit.value == "ratio" else limit * 1.5


def _well(system: System, spec: SystemAlert) -> float:
    """A value at which no level of the alert fires."""
    same = [each for each in system.profile.alerts if each.name == spec.name]
    if spec.below is None:
        return min(float(each.above or 0) for each in same) * 0.5
    limit = max(float(each.below or 0) for each in same)
    return min(limit * 1.2, 1.0) if limit <= 1 else limit * 1.2


def _traffic(system: System, spec: SystemAlert, events: float) -> list[Level]:
    if spec.traffic_of is None:
        return []
    return [Level(name=spec.traffic_of, labels=_carried(system, spec.traffic_of), at=events, counts=True)]


def _firing(system: System, spec: SystemAlert, shown: Level, value: float) -> Firing:
    alert, signal = alert_of(system.name, spec.name, spec.severity), system.signals[spec.signal]
    kept = ("app", "environment", *(("service",) if spec.service is None else ()), *signal.by)
    labels = {label: shown.labels[label] for label in kept if label in shown.labels}
    labels |= {"severity": alert.severity.value}
    labels |= {"app": system.name, **({"service": alert.service} if alert.service else {})}
    threshold = "" if alert.threshold is None else number(alert.threshold)
    return Firing(
        labels=labels,
        summary=spoken(alert.summary.replace(THRESHOLD, threshold), labels, value),
        description=spoken(alert.description.replace(THRESHOLD, threshold), labels, value),
    )


def _minutes(steps: int) -> str:
    return f"{steps * STEP}s"


def _firings(system: System, spec: SystemAlert, value: float, shown: Level, minutes: float) -> tuple[Firing, ...]:
    """Every level of the alert that fires at `value` after `minutes`: who is beyond the higher limit is beyond the
    lower one too."""
    found: list[Firing] = []
    for each in system.profile.alerts:
        beyond = value > (each.above or 0) if each.below is None else value < each.below
        if each.name == spec.name and beyond and minutes * 60 >= seconds(each.for_):
            found.append(_firing(system, each, shown, value))
    return tuple(found)


def of_alert(system: System, spec: SystemAlert) -> Iterator[Example]:
    """Fires and resolves, stays quiet at its limit, and without traffic."""
    signal = system.signals[spec.signal]
    alert = alert_of(system.name, spec.name, spec.severity)
    who = f"{system.name}, {spec.severity.value}"
    window, wait = (max(1, round(seconds(length) / STEP)) for length in (signal.window, alert.for_))
    if signal.kind in {"value", "ratio"} and spec.traffic_of is None:
        window = 1
    value, well = _beyond(spec, signal), _well(system, spec)
    limit = float(alert.threshold or 0)

    def at(level: float, events: float = EVENTS_A_SECOND) -> list[Level]:
        return [*levels(system, signal, level, events=events), *_traffic(system, spec, events)]

    calm, bad = window + 4, window + wait + 4
    shown = at(value)[0]
    yield Example(
        alert=spec.name,
        of=system.name,
        says=f"{who}: {signal.title} is {value:g}, then {well:g}",
        series=timeline(
            [
                Phase(levels=at(well), steps=calm),
                Phase(levels=at(value), steps=bad),
                Phase(levels=at(well), steps=window + 4),
            ]
        ),
        step=f"{STEP}s",
        at=_minutes(calm + bad - 1),
        quiet_at=_minutes(calm + wait - 1) if wait > 1 else "",
        resolved_at=_minutes(calm + bad + window + 3),
        fires=_firings(system, spec, value, shown, (window + wait + 2) * STEP / 60),
    )
    counts = any(level.counts for level in levels(system, signal, limit))
    hair = limit * (1 - 1e-6 if spec.below is None else 1 + 1e-6) if counts else limit
    yield Example(
        alert=spec.name,
        of=system.name,
        says=f"{who}: {'a hair below the limit' if counts else 'exactly the limit'}, seen from its quiet side",
        series=timeline([Phase(levels=at(hair), steps=window + wait + 8)]),
        step=f"{STEP}s",
        at=_minutes(window + wait + 7),
        fires=_firings(system, spec, hair, shown, (window + wait + 6) * STEP / 60),
    )
    if (signal.counted or spec.traffic_of) and spec.traffic:
        yield Example(
            alert=spec.name,
            of=system.name,
            says=f"{who}: next to nothing happens",
            series=timeline([Phase(levels=at(value, spec.traffic * 0.5), steps=window + wait + 8)]),
            step=f"{STEP}s",
            at=_minutes(window + wait + 7),
        )
    if signal.counted and signal.by and spec.traffic:
        # What hardly happens is bad, and beside it what often happens is well.
        label = signal.by[0]
        values = system.profile.metrics[re.sub(r"_count$", "", signal.counted[0])].labels[label]
        if len(values) < 2:
            return
        other = values[1]
        rare = [replace(level, labels={**level.labels, label: other}) for level in at(value, spec.traffic * 0.5)]
        yield Example(
            alert=spec.name,
            of=system.name,
            says=f"{who}: next to nothing happens to one, much to another",
            series=timeline([Phase(levels=[*at(well), *rare], steps=window + wait + 8)]),
            step=f"{STEP}s",
            at=_minutes(window + wait + 7),
        )


def _node(metric: str, at: float) -> Level:
    labels = {"app": "roadtrip", "environment": ENVIRONMENT, "instance": "there:9100", "job": "node"}
    return Level(name=metric, labels={**labels, "service": "node-exporter"}, at=at, counts=False)


def _of(name: str, alert: Alert, labels: Mapping[str, str], value: float) -> Firing:
    threshold = number(float(alert.threshold or 0))
    told = {**labels, "severity": alert.severity.value}
    return Firing(
        labels=told,
        summary=spoken(alert.summary.replace(THRESHOLD, threshold), {**told, "app": name}, value),
        description=spoken(alert.description.replace(THRESHOLD, threshold), told, value),
    )


def _low_memory() -> Iterator[Example]:
    alert = alert_of("roadtrip", "LowMemory", Severity.WARNING)
    labels = {label: _node("", 0).labels[label] for label in ("app", "environment", "service", "instance")}

    def memory(share: float) -> list[Level]:
        return [
            _node("node_memory_MemTotal_bytes", 1000),
            _node("node_memory_MemAvailable_bytes", 1000 * share),
        ]

    phases = [Phase(levels=memory(share), steps=steps) for share, steps in ((0.5, 10), (0.1, 15), (0.5, 5))]
    yield Example(
        alert="LowMemory", of="roadtrip", says="a tenth of the memory is left, then half", series=timeline(phases),
        step=f"{STEP}s", quiet_at=_minutes(19), at=_minutes(22), resolved_at=_minutes(28),
        fires=(_of("roadtrip", alert, labels, 0.1),),
    )  # fmt: skip
    yield Example(
        alert="LowMemory", of="roadtrip", says="exactly the limit", at=_minutes(25), step=f"{STEP}s",
        series=timeline([Phase(levels=memory(0.15), steps=30)]),
    )  # fmt: skip


def _memory_leak() -> Iterator[Example]:
    alert = alert_of("roadtrip", "MemoryLeak", Severity.INFO)
    labels = {"app": "roadtrip", "environment": ENVIRONMENT, "service": "api", "instance": "there:1"}
    name = series("process_resident_memory_bytes", {**labels, "job": "any"})
    hour = 3600 // STEP

    def grown(pace: float, steps: int, start: float) -> str:
        return f"{start:g}{pace:+.12g}x{steps - 1}"

    leak = 1500000 / (900 / STEP)
    yield Example(
        alert="MemoryLeak", of="roadtrip", says="1.5 MB more in each quarter of an hour, then no more", step=f"{STEP}s",
        series={name: f"{grown(leak, 2 * hour, 1e8)} {grown(0, hour, 1e8 + leak * (2 * hour - 1))}"},
        at=_minutes(2 * hour - 2), resolved_at=_minutes(3 * hour - 2), fires=(_of("roadtrip", alert, labels, 1500000),),
    )  # fmt: skip
    yield Example(
        alert="MemoryLeak", of="roadtrip", says="has just begun", step=f"{STEP}s", at=_minutes(hour * 2 // 3),
        series={name: grown(leak, 2 * hour, 1e8)},
    )  # fmt: skip
    for says, pace in (("a hair below the limit", 999999), ("sits where it is", 0)):
        yield Example(
            alert="MemoryLeak", of="roadtrip", says=says, step=f"{STEP}s", at=_minutes(2 * hour - 2),
            series={name: grown(pace / (900 / STEP), 2 * hour, 1e8)},
        )  # fmt: skip
    yield Example(
        alert="MemoryLeak", of="roadtrip", says="grows and is given back", step=f"{STEP}s", at=_minutes(2 * hour - 2),
        series={name: " ".join([grown(5 * leak, hour // 2, 1e8)] * 4)},
    )  # fmt: skip


def _ai_budget() -> Iterator[Example]:
    alert = alert_of("narra-forge", "AIBudgetExceeded", Severity.WARNING)
    labels = {"app": "narra-forge", "environment": ENVIRONMENT, "service": "backend"}
    names = [
        series("ai_api_cost_usd_total", {**labels, "instance": "there:1", "job": "any", "model": model})
        for model in ("large", "small")
    ]
    # Ten days at 30 and 25 USD a day; what is paid in the days after that falls out of the 30 days again.
    days = 10
    values = [f"0+{daily}x{days} {daily * days}x45" for daily in (30, 25)]
    yield Example(
        alert="AIBudgetExceeded", of="narra-forge", says="550 USD within 30 days, nothing in 30 more", step="1d",
        series=dict(zip(names, values, strict=True)), quiet_at=f"{days - 2}d", at=f"{days + 4}d", resolved_at="50d",
        fires=(_of("narra-forge", alert, labels, 550),),
    )  # fmt: skip
    yield Example(
        alert="AIBudgetExceeded", of="narra-forge", says="a hair below the limit", step="1d", at="14d",
        series={names[0]: "0+62.375x8 499x20"},
    )  # fmt: skip


def _page_slow() -> Iterator[Example]:
    alert = alert_of("narra-forge", "PageSlow", Severity.WARNING)
    labels = {"app": "narra-forge", "environment": ENVIRONMENT, "service": "web", "probe": "narra-forge-page"}
    name = series("probe_duration_seconds", {**labels, "instance": "http://there/", "job": "probe"})
    yield Example(
        alert="PageSlow", of="narra-forge", says="3 s for an hour, then half a second", step=f"{STEP}s",
        series={name: "0.5x70 3x119 0.5x120"}, quiet_at=_minutes(90), at=_minutes(180), resolved_at=_minutes(290),
        fires=(_of("narra-forge", alert, labels, 3),),
    )  # fmt: skip
    yield Example(
        alert="PageSlow", of="narra-forge", says="exactly the limit", step=f"{STEP}s", at=_minutes(180),
        series={name: "2x200"},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Burn:
    """A pair of windows: when it fires, said again without PromQL."""

    long: int
    """Steps of the long window."""
    short: int
    """Steps of the short window."""
    factor: float
    wait: int
    """Steps that it must last."""
    severity: str
    level: str

    def ratio(self, bad: Sequence[float], at: int, window: int) -> float:
        """Share of bad events in the window that ends with step `at`; each step has as many events as the others."""
        seen = bad[max(0, at - window + 1) : at + 1]
        return sum(seen) / len(seen)

    def burns(self, bad: Sequence[float], at: int) -> bool:
        """Whether both windows are beyond the limit at a step."""
        return all(self.ratio(bad, at, window) > self.factor * ALLOWED for window in (self.long, self.short))

    def fires(self, bad: Sequence[float], at: int) -> bool:
        """Whether it burns at a step, and has done for long enough."""
        return at >= self.wait and all(self.burns(bad, step) for step in range(at - self.wait, at + 1))


SLOW_STEP = 300
"""Seconds between two samples of objectives."""
ALLOWED = 0.01
"""The error budget of an objective of 99%."""
BURNS = tuple(
    Burn(
        long=round(seconds(long) / SLOW_STEP),
        short=round(seconds(short) / SLOW_STEP),
        factor=factor,
        # A wait that is no whole number of steps ends with the next one.
        wait=-(-int(seconds(wait)) // SLOW_STEP),
        severity=severity,
        level=long,
    )
    for long, short, factor, wait, severity in (
        ("1h", "5m", 14.4, "2m", "critical"),
        ("6h", "30m", 6, "15m", "critical"),
        ("1d", "2h", 3, "1h", "warning"),
        ("3d", "6h", 1, "3h", "warning"),
    )
)
OBJECTIVE = {"app": "shop", "environment": ENVIRONMENT, "service": "web", "slo": "availability"}
GONE = {"1h": "two days", "6h": "five days", "1d": "ten days", "3d": "30 days"}


def _objective(bad: Sequence[float], events: float) -> dict[str, str]:
    """The series of an objective through steps with these shares of bad events."""
    page = {**OBJECTIVE, "page": "true", "objective": "99% of the requests"}
    return {
        series(EVENTS, OBJECTIVE): f"{events:g}x{len(bad) - 1}",
        series(BAD, OBJECTIVE): " ".join(f"{events * share:.12g}" for share in bad),
        series(BUDGET, page): f"{ALLOWED}x{len(bad) - 1}",
    }


def _burning(bad: Sequence[float], at: int) -> tuple[Firing, ...]:
    """What the model says is told at a step."""
    found: list[Firing] = []
    for burn in BURNS:
        if not burn.fires(bad, at):
            continue
        share = f"{burn.ratio(bad, at, burn.long) * 100:.4g}%"
        found.append(
            Firing(
                labels={
                    **OBJECTIVE,
                    "severity": burn.severity,
                    "level": burn.level,
                    "objective": "99% of the requests",
                },
                summary="shop burns the error budget of availability",
                description=(
                    f"{share} of the events of {burn.level} were not good (99% of the requests); at this pace the"
                    f" budget of 30 days is gone within {GONE[burn.level]}."
                ),
            )
        )
    return tuple(found)


def _budget() -> Iterator[Example]:
    for burn in BURNS:
        share = min(1.0, burn.factor * ALLOWED * 1.57)
        calm, burning = 12, burn.long + burn.wait + 4
        bad = [*[0.0] * calm, *[share] * burning, *[0.0] * 84]
        at = calm + burning - 1
        pending = next(step for step in range(len(bad)) if _burning(bad, step)) - 1
        well = next(step for step in range(at, len(bad)) if not _burning(bad, step))
        who = f"the windows of {burn.level}"
        alert, step = "ErrorBudgetBurn", f"{SLOW_STEP}s"
        yield Example(
            alert=alert, severity=burn.severity, step=step, series=_objective(bad, 1), fires=_burning(bad, at),
            says=f"{who}: burns 1.57 times too fast, then not at all",
            quiet_at=f"{pending * SLOW_STEP}s", at=f"{at * SLOW_STEP}s", resolved_at=f"{well * SLOW_STEP}s",
        )  # fmt: skip
        hair = [burn.factor * ALLOWED * (1 - 1e-6)] * burning
        yield Example(
            alert=alert, severity=burn.severity, step=step, series=_objective(hair, 1),
            says=f"{who}: a hair below the limit",
            at=f"{(burning - 1) * SLOW_STEP}s", fires=_burning(hair, burning - 1),
        )  # fmt: skip
        yield Example(
            alert=alert, severity=burn.severity, step=step, series=_objective([share] * burning, 0.009),
            says=f"{who}: next to nothing happens", at=f"{(burning - 1) * SLOW_STEP}s",
        )  # fmt: skip


def _unmeasured() -> Iterator[Example]:
    told = {**OBJECTIVE, "severity": "warning"}
    fires = Firing(
        labels=told,
        summary="Nothing says which events of shop are bad for availability",
        description=(
            "10 events a second are counted for availability, and none can be told good from bad: its error budget"
            " cannot burn."
        ),
    )
    yield Example(
        alert="ObjectiveUnmeasured", says="no bucket ends at the objective, then one does", step="60s",
        series={series(EVENTS, OBJECTIVE): "10x60", series(BAD, OBJECTIVE): "_x30 0x30"},
        quiet_at="14m", at="16m", resolved_at="40m", fires=(fires,),
    )  # fmt: skip
    yield Example(
        alert="ObjectiveUnmeasured", says="nothing bad happens", step="60s", at="40m",
        series={series(EVENTS, OBJECTIVE): "10x60", series(BAD, OBJECTIVE): "0x60"},
    )  # fmt: skip


OF_SYSTEMS = (
    *(
        example
        for system in STACK.systems
        for spec in system.profile.alerts
        if system.signals[spec.signal].kind not in {"promql", "growth"}
        for example in of_alert(system, spec)
    ),
    *_low_memory(),
    *_memory_leak(),
    *_ai_budget(),
    *_page_slow(),
    *_budget(),
    *_unmeasured(),
)
