"""Signals: a metric defined once, as what is measured. Alerts, objectives, recording rules and panels all come from it."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from specs.model import Duration, LabelName, Model, Templated, seconds

BASE = ("app", "environment", "service")
"""Labels that every aggregate keeps: who is it about."""

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", examples=["http_requests_total"])]


def _matcher(value: str) -> str:
    if '"' in value or "\\" in value:
        raise ValueError(f"{value!r} has a quote or a backslash (accepted: a regular expression without them)")
    if _NOT_RE2.search(value):
        raise ValueError(
            f'"{value}" is no regular expression of Prometheus, which looks neither ahead nor behind (accepted: like 5..)'
        )
    try:
        re.compile(value.removeprefix("!"))
    except re.error as problem:
        raise ValueError(f'"{value}" is no regular expression: {problem} (accepted: like 5..)') from None
    return value


_NOT_RE2 = re.compile(r"\(\?(?!i\)|s\)|m\)|[ims]+:|:|P<)|[*+?}]\+")
"""What Python has and RE2 has not: looking around, backreferences by name, possessive quantifiers."""

Matcher = Annotated[str, AfterValidator(_matcher), Field(examples=["5.."])]
"""A regular expression that a label's whole value matches; `!` before it: does not match."""


class Unit(StrEnum):
    """What a number counts."""

    COUNT = "count"
    """Things."""
    RATIO = "ratio"
    """A share from 0 to 1."""
    PERCENT = "percent"
    """A share from 0 to 100."""
    SECONDS = "seconds"
    """Time."""
    MILLISECONDS = "milliseconds"
    """Time, where a system measures it so."""
    BYTES = "bytes"
    """Storage."""
    BYTES_PER_SECOND = "bytes per second"
    """Throughput."""
    PER_SECOND = "per second"
    """Events."""
    PER_MINUTE = "per minute"
    """Events, where a second is too short to think in."""
    USD = "usd"
    """Money."""
    STATE = "state"
    """1 is well, 0 is not."""


SPOKEN: Mapping[Unit, tuple[str, str]] = {
    Unit.COUNT: ("{{ $value | humanize }}", ""),
    Unit.RATIO: ("{{ $value | humanizePercentage }}", ""),
    Unit.PERCENT: ("{{ $value | humanize }} %", " %"),
    Unit.SECONDS: ("{{ $value | humanizeDuration }}", " s"),
    Unit.MILLISECONDS: ("{{ $value | humanize }} ms", " ms"),
    Unit.BYTES: ("{{ $value | humanize1024 }}B", " bytes"),
    Unit.BYTES_PER_SECOND: ("{{ $value | humanize1024 }}B/s", " bytes a second"),
    Unit.PER_SECOND: ("{{ $value | humanize }} a second", " a second"),
    Unit.PER_MINUTE: ("{{ $value | humanize }} a minute", " a minute"),
    Unit.USD: ('{{ $value | printf "%.2f" }} USD', " USD"),
    Unit.STATE: ("{{ $value }}", ""),
}
"""How an alert says a value, and what follows its limit."""

KINDS = ("value", "rate", "increase", "quantile", "mean", "share", "part", "ratio", "growth", "promql")


class Signal(Model):
    """Something measured. Exactly one of the kinds says how: value, rate, increase, quantile, mean, share, part, ratio,
    growth or promql."""

    title: Templated
    """What people call it; the title of its panel."""
    description: str = ""
    """What it says, for those who read the panel the first time."""
    unit: Unit = Unit.COUNT
    """What the number counts."""
    value: MetricName | None = None
    """A gauge, as it is."""
    combine: Literal["sum", "avg", "max", "min"] = "sum"
    """How several series of a gauge become one."""
    rate: MetricName | None = None
    """A counter's growth in each `per`."""
    per: Duration = "1s"
    """Length of time that a rate is told for."""
    increase: MetricName | None = None
    """A counter's growth during `window`."""
    quantile: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Of the histogram `of`: 0.95 for the time that 95 of 100 stay under."""
    of: MetricName | None = None
    """The histogram of a quantile."""
    mean: MetricName | None = None
    """A histogram's or summary's mean."""
    share: MetricName | None = None
    """Of a counter's growth, the share that `where` selects."""
    part: MetricName | None = None
    """Of the growth of two counters, the first one's share; the second is `rest`."""
    rest: MetricName | None = None
    """The other counter beside `part`."""
    ratio: MetricName | None = None
    """A gauge divided by the gauge `to`."""
    to: MetricName | None = None
    """What `ratio` is divided by."""
    growth: MetricName | None = None
    """How much a gauge grew in the slowest quarter of the last hour: above nought it grows all the time."""
    promql: str | None = None
    """PromQL for what no other kind can say; `$scope` stands for matchers, `$by` for labels, `$window` for the window."""
    where: Mapping[LabelName, Matcher] = Field(default_factory=dict[str, str])
    """Selects series by label."""
    window: Duration = "5m"
    """How far back is looked."""
    by: tuple[LabelName, ...] = ()
    """Labels that are told apart, beside app, environment and service."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"a signal is of one kind, not {found} (accepted: one of {', '.join(KINDS)})")
        for kind, partner in (("quantile", "of"), ("part", "rest"), ("ratio", "to")):
            if (getattr(self, kind) is None) != (getattr(self, partner) is None):
                raise ValueError(f"{kind} and {partner} go together (accepted: both, or neither)")
        if self.promql is not None and not ("$scope" in self.promql and "$by" in self.promql):
            raise ValueError("promql without $scope or $by is about every system at once (accepted: with both)")
        if self.share and not self.where:
            raise ValueError("a share needs where (accepted: the labels of what is counted)")
        return self

    @property
    def kind(self) -> str:
        """Which of KINDS it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def counted(self) -> tuple[str, ...]:
        """The counters whose growth says how much was measured: empty where a value needs no traffic to mean
        something."""
        match self.kind:
            case "quantile":
                return (f"{self.of}_count",)
            case "mean":
                return (f"{self.mean}_count",)
            case "share":
                return (str(self.share),)
            case "part":
                return (str(self.part), str(self.rest))
            case _:
                return ()

    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that it is made of, as applications declare them; none of promql."""
        named = (self.value, self.rate, self.increase, self.of, self.mean, self.share, self.part, self.rest)
        return tuple(name for name in (*named, self.ratio, self.to, self.growth) if name)

    def expr(self, scope: str, *, keep: tuple[str, ...] = BASE, by: tuple[str, ...] = (), window: str = "") -> str:  # noqa: C901, PLR0911 - a table of kinds
        """PromQL of the signal for the series that the matchers `scope` select, by `keep`, `by` and its own labels."""
        labels = ", ".join(dict.fromkeys((*keep, *by, *self.by)))
        during = window or self.window
        chosen = ", ".join((scope, *map(_match, self.where.items()))) if self.where else scope

        def total(metric: str, inside: str = scope, also: str = "") -> str:
            return f"sum by ({labels}{also}) (rate({metric}{{{inside}}}[{during}]))"

        match self.kind:
            case "value":
                return f"{self.combine} by ({labels}) ({self.value}{{{chosen}}})"
            case "rate":
                factor = "" if self.per == "1s" else f" * {seconds(self.per):g}"
                found = total(str(self.rate), chosen) + factor
                # What was never counted is nought, as long as something else of the counter was.
                return f"({found} or 0 * {total(str(self.rate))})" if self.where else found
            case "increase":
                return f"sum by ({labels}) (increase({self.increase}{{{chosen}}}[{during}]))"
            case "quantile":
                return f"histogram_quantile({self.quantile}, {total(f'{self.of}_bucket', chosen, ', le')})"
            case "mean":
                return f"{total(f'{self.mean}_sum', chosen)} / ({total(f'{self.mean}_count', chosen)} > 0)"
            case "share":
                whole = total(str(self.share))
                return f"({total(str(self.share), chosen)} or 0 * {whole}) / ({whole} > 0)"
            case "part":
                part = total(str(self.part), chosen)
                return f"{part} / ({part} + {total(str(self.rest), chosen)} > 0)"
            case "ratio":
                whole = f"sum by ({labels}) ({self.to}{{{chosen}}})"
                return f"sum by ({labels}) ({self.ratio}{{{chosen}}}) / ({whole} > 0)"
            case "growth":
                # A quarter's growth, at each of the last four quarters: the least of them, once there are four.
                grown = f"(max by ({labels}) (delta({self.growth}{{{chosen}}}[15m])))[1h:15m]"
                return f"(min_over_time({grown}) and count_over_time({grown}) >= 4)"
            case _:
                given = str(self.promql)
                return given.replace("$scope", chosen).replace("$by", labels).replace("$window", during)

    def buckets(self, scope: str, *, window: str) -> str:
        """PromQL of the growth of each bucket of its histogram, a second; empty when it is not of a histogram."""
        histogram = self.of or self.mean
        chosen = ", ".join((scope, *map(_match, self.where.items())))
        return f"sum by (le) (rate({histogram}_bucket{{{chosen}}}[{window}]))" if histogram else ""

    def traffic(self, scope: str, *, keep: tuple[str, ...] = BASE) -> str:
        """PromQL of how much was measured, a second; empty where that does not matter."""
        chosen = scope
        if self.kind != "share" and self.where:
            chosen = ", ".join((scope, *map(_match, self.where.items())))
        labels = ", ".join(dict.fromkeys((*keep, *self.by)))
        return " + ".join(f"sum by ({labels}) (rate({name}{{{chosen}}}[{self.window}]))" for name in self.counted)


def _match(entry: tuple[str, str]) -> str:
    label, wanted = entry
    return f'{label}!~"{wanted[1:]}"' if wanted.startswith("!") else f'{label}=~"{wanted}"'
