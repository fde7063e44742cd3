"""Metrics that move with time: a system's own and those of its exporters, from its profile alone."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import UnknownMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from sample_app.impersonation import levels
from sample_app.impersonation.levels import BURST, MEAN, SPREAD, Exposed, Levels, Stream
from specs import profile as profiles
from specs.profile import Kind, Profile

_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
_NOISE: Final = 0.02
"""How far a gauge strays from its level."""
_TIDE: Final = 0.03
"""How far load strays from its mean."""
_TIDE_SECONDS: Final = 97.0
_STEP: Final = 15.0
"""Longest time that is passed at once: load changes meanwhile."""

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name and the labels of one of its series."""


@dataclass
class Counted:
    """What one series counted so far."""

    total: float = 0.0
    seconds: float = 0.0
    """Sum of a histogram's observations."""
    buckets: list[int] = field(default_factory=list[int])
    """By a histogram's bounds, the last without: observations in each."""
    owed: list[float] = field(default_factory=list[float])
    """Parts of an observation that each bucket has still to get."""
    exemplars: dict[int, Exemplar] = field(default_factory=dict[int, Exemplar])
    """By bucket: the last trace that was observed in it."""

    def observe(self, shares: Sequence[float]) -> None:
        """Put observations that became whole into buckets, and leave none of these far from its share: chance would
        make rare ones look like trouble."""
        self.buckets = self.buckets or [0] * len(shares)
        self.owed = self.owed or [0.0] * len(shares)
        new = math.floor(self.total) - sum(self.buckets)
        given = [math.floor(new * share) for share in shares]
        self.owed = [have + new * share - got for have, share, got in zip(self.owed, shares, given, strict=True)]
        for _ in range(new - sum(given)):
            place = self.owed.index(max(self.owed))
            self.owed[place] -= 1
            given[place] += 1
        self.buckets = [have + got for have, got in zip(self.buckets, given, strict=True)]


class Impersonation:
    """A monitored system without the system. Time passes only by `advance`, and the same calls give the same text."""

    def __init__(  # noqa: PLR0913 - one for each wish
        self,
        system: str,
        *,
        profile: Profile | None = None,
        fail: Iterable[str] = (),
        rate: float = 1.0,
        seed: int = 0,
        start: float = 0.0,
    ) -> None:
        """Impersonate `system`; none: its profile is the project's own. `start` is the time at which it begins.

        Raises SettingsError for an unknown system, or an alert in `fail` that it has not got.
        """
        self.system = system
        self.profile = profile or profiles.find(system, None, file="--system", key=system)
        self.elapsed = 0.0
        self._rate = rate
        self._seed = seed
        self._start = start
        self._since = 0.0
        self._counted: dict[Key, Counted] = {}
        self._levels = levels.of(self.profile, fail, rate=rate)

    @property
    def levels(self) -> Levels:
        """How high everything stands now."""
        return self._levels

    @property
    def now(self) -> float:
        """The time that it has become."""
        return self._start + self.elapsed

    def fail(self, *alerts: str) -> None:
        """From now on drive these alerts, and no others: none of them, and all is well again.

        Raises SettingsError for an alert that the system has not got.
        """
        self._levels = levels.of(self.profile, alerts, rate=self._rate)
        self._since = self.elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        while seconds > 0:
            step = min(seconds, _STEP)
            self._pass(step)
            self.elapsed += step
            seconds -= step

    def _pass(self, step: float) -> None:
        tide = 1 + _TIDE * math.sin(2 * math.pi * (self.elapsed + step / 2) / _TIDE_SECONDS)
        rushed = max(0.0, min(step, BURST - (self.elapsed - self._since)))
        for name, exposed in self._levels.metrics.items():
            if exposed.metric.kind is Kind.GAUGE:
                continue
            load = step if exposed.steady else step * tide
            for stream in exposed.streams:
                counted = self._counted.setdefault((name, stream.labels), Counted())
                grown = stream.level * load + stream.burst * rushed / BURST
                counted.total += grown
                if exposed.metric.kind is Kind.HISTOGRAM:
                    counted.seconds += grown * stream.middle * MEAN
                    counted.observe(spread(exposed.metric.buckets, stream.middle))

    def samples(self, page: tuple[str, str] | None = None) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Name, labels and value of every series of a page, as Prometheus would store them."""
        for family in self._families(page or ("service", self.profile.first), exemplars=False):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def exposition(self, service: str | None = None, *, openmetrics: bool = False) -> str:
        """The metrics page of one of its services; none: the first. Raises KeyError for one that has no page."""
        return self._text(("service", service or self.profile.first), openmetrics=openmetrics)

    def exporters(self, name: str, *, openmetrics: bool = False) -> str:
        """The page of one of its exporters: node, postgres, redis, nginx, celery, blackbox or json.

        Raises KeyError for one that it does not stand on.
        """
        return self._text(("exporter", name), openmetrics=openmetrics)

    def observed(self, metric: str, labels: Mapping[str, str], seconds: float, trace_id: str) -> None:
        """Remember a trace as the example of a duration; a series that does not exist has none."""
        exposed = self._levels.metrics.get(metric)
        counted = self._counted.get((metric, tuple(labels.items())))
        if exposed is None or counted is None:
            return
        bounds = exposed.metric.buckets
        place = next((index for index, bound in enumerate(bounds) if seconds <= bound), len(bounds))
        counted.exemplars[place] = Exemplar({"trace_id": trace_id}, seconds, self.now)

    def value(self, metric: str) -> float:
        """A gauge's value, a counter's total: all series together. Raises KeyError for an unknown metric."""
        exposed = self._levels.metrics[metric]
        if exposed.metric.kind is Kind.GAUGE:
            return sum(self._gauge(metric, exposed, stream) for stream in exposed.streams)
        return sum(self._counted.get((metric, stream.labels), Counted()).total for stream in exposed.streams)

    def _gauge(self, name: str, exposed: Exposed, stream: Stream) -> float:
        value = stream.level + stream.slope * (self.elapsed - self._since)
        if exposed.steady:
            return value
        phase = zlib.crc32(repr((self._seed, name, stream.labels)).encode()) % 1000 / 1000
        noisy = value * (1 + _NOISE * math.sin(2 * math.pi * (self.elapsed / (60 + 240 * phase) + phase)))
        # Things are counted in whole numbers, and a state is 0 or 1.
        return float(round(noisy)) if float(exposed.metric.healthy or 0).is_integer() else noisy

    def _text(self, page: tuple[str, str], *, openmetrics: bool) -> str:
        registry = CollectorRegistry()
        registry.register(_Page(list(self._families(page, exemplars=openmetrics))))
        encode, _ = choose_encoder(_OPENMETRICS if openmetrics else "")
        return encode(registry).decode()

    def _families(self, page: tuple[str, str], *, exemplars: bool) -> Iterator[Metric]:
        for name in self._levels.pages[page]:
            exposed = self._levels.metrics[name]
            say = exposed.metric.help or f"{name.replace('_', ' ')}."
            match exposed.metric.kind:
                case Kind.COUNTER if name.endswith("_total"):
                    family = Metric(name.removesuffix("_total"), say, "counter")
                case Kind.COUNTER:
                    # A counter of another name is what OpenMetrics has no type for.
                    family = UnknownMetricFamily(name, say)
                case kind:
                    family = Metric(name, say, kind.value)
            for stream in exposed.streams:
                labels = dict(stream.labels)
                counted = self._counted.get((name, stream.labels), Counted())
                if exposed.metric.kind is Kind.HISTOGRAM:
                    _histogram(family, exposed, labels, counted, exemplars=exemplars)
                else:
                    gauge = exposed.metric.kind is Kind.GAUGE
                    family.add_sample(name, labels, self._gauge(name, exposed, stream) if gauge else counted.total)
            yield family


def spread(bounds: tuple[float, ...], middle: float) -> list[float]:
    """The share of durations with the median `middle` in each bucket, the last without a bound."""
    normal = NormalDist()
    below = [0.0, *(normal.cdf(math.log(bound / middle) / SPREAD) for bound in bounds), 1.0]
    return [after - before for before, after in pairwise(below)]


def _histogram(family: Metric, exposed: Exposed, labels: dict[str, str], counted: Counted, *, exemplars: bool) -> None:
    bounds = (*exposed.metric.buckets, math.inf)
    reached = accumulate(counted.buckets or [0] * len(bounds))
    for place, (bound, total) in enumerate(zip(bounds, reached, strict=True)):
        family.add_sample(
            f"{family.name}_bucket",
            {**labels, "le": "+Inf" if bound == math.inf else str(float(bound))},
            total,
            exemplar=counted.exemplars.get(place) if exemplars else None,
        )
    family.add_sample(f"{family.name}_count", labels, sum(counted.buckets))
    family.add_sample(f"{family.name}_sum", labels, counted.seconds)


class _Page(Collector):
    """Families that are made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Hand them out."""
        return self._families
