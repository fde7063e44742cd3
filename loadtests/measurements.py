"""What a load test measured, and whether that is good enough."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rich.table import Table

P95_MS = 500
ERROR_SHARE = 0.001
THROUGHPUT = 1000
"""Requests a second."""
FAILED_FROM = 400
"""Statuses from here on are failures."""
EVERY_ENDPOINT = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Requests of one endpoint, or of all."""

    method: str
    endpoint: str
    count: int
    failures: int
    """Those without an answer, or with a status of 400 and more."""
    min_ms: float | None
    """Times are none when there was no request."""
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    requests_per_second: float
    statuses: dict[str, int]
    """How many of each status; `none` is no answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether one criterion is kept."""

    criterion: str
    endpoint: str
    figure: float | None
    """None: nothing was measured."""
    limit: float
    unit: str
    passed: bool


@dataclass(frozen=True, slots=True)
class _Samples:
    milliseconds: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: Counter[str] = field(default_factory=Counter[str])


class Measurements:
    """Every request of a run: figures are exact, not estimates from buckets."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], _Samples] = {}

    def add(self, method: str, endpoint: str, milliseconds: float, status: int) -> bool:
        """Count a request; status 0 is no answer. Whether it went well."""
        samples = self._samples.setdefault((method, endpoint), _Samples())
        samples.milliseconds.append(milliseconds)
        samples.statuses[str(status) if status else "none"] += 1
        return 0 < status < FAILED_FROM

    def endpoints(self, seconds: float) -> list[Summary]:
        """A summary of each endpoint, of a run that took `seconds`."""
        return [
            _summary(method, endpoint, samples, seconds)
            for (method, endpoint), samples in sorted(self._samples.items(), key=lambda item: item[0][::-1])
        ]

    def together(self, seconds: float) -> Summary:
        """A summary of all requests, of a run that took `seconds`."""
        everything = _Samples()
        for samples in self._samples.values():
            everything.milliseconds.extend(samples.milliseconds)
            everything.statuses.update(samples.statuses)
        return _summary("", EVERY_ENDPOINT, everything, seconds)


def _summary(method: str, endpoint: str, samples: _Samples, seconds: float) -> Summary:
    ordered = sorted(samples.milliseconds)
    count = len(ordered)

    def at(percent: int) -> float | None:
        # Nearest rank: a time that a request really took.
        return round(ordered[math.ceil(count * percent / 100) - 1], 3) if ordered else None

    return Summary(
        method=method,
        endpoint=endpoint,
        count=count,
        failures=sum(
            number for status, number in samples.statuses.items() if status == "none" or int(status) >= FAILED_FROM
        ),
        min_ms=round(ordered[0], 3) if ordered else None,
        mean_ms=round(sum(ordered) / count, 3) if ordered else None,
        p50_ms=at(50),
        p95_ms=at(95),
        p99_ms=at(99),
        max_ms=round(ordered[-1], 3) if ordered else None,
        requests_per_second=round(count / seconds, 3) if seconds > 0 else 0.0,
        statuses=dict(sorted(samples.statuses.items())),
    )


def answers(summary: Summary) -> list[Verdict]:
    """Whether answers came fast enough, and without errors. Where nothing was asked, nothing is proved."""
    share = summary.failures / summary.count if summary.count else None
    return [
        Verdict(
            criterion="p95",
            endpoint=summary.endpoint,
            figure=summary.p95_ms,
            limit=P95_MS,
            unit="ms",
            passed=summary.p95_ms is not None and summary.p95_ms < P95_MS,
        ),
        Verdict(
            criterion="error rate",
            endpoint=summary.endpoint,
            figure=share,
            limit=ERROR_SHARE,
            unit="share",
            passed=share is not None and share < ERROR_SHARE,
        ),
    ]


def throughput(summary: Summary, scale: float) -> Verdict:
    """Whether enough was answered, for a run that is `scale` of the whole."""
    return Verdict(
        criterion="throughput",
        endpoint=summary.endpoint,
        figure=summary.requests_per_second,
        limit=THROUGHPUT * scale,
        unit="req/s",
        passed=summary.requests_per_second > THROUGHPUT * scale,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A run as it is written down."""

    target: str
    app: str
    shape: str
    scale: float
    started: str
    """RFC 3339."""
    seconds: float
    complete: bool
    """Whether all was done that was planned: what was ended early has not passed."""
    users: int
    """The most at a time."""
    endpoints: Sequence[Summary]
    criteria: Sequence[Verdict]

    @property
    def passed(self) -> bool:
        """Whether all was done, and every criterion kept."""
        return self.complete and all(verdict.passed for verdict in self.criteria)

    def as_json(self) -> dict[str, object]:
        """The report as JSON has it."""
        return {**asdict(self), "passed": self.passed}

    def tables(self) -> tuple[Table, Table]:
        """Endpoints with their figures, and criteria with their verdicts."""
        return self._endpoints(), self._criteria()

    def _endpoints(self) -> Table:
        made = _table(f"{self.app} at {self.target}, {self.shape}, {self.seconds:.1f} s")
        made.add_column("endpoint", overflow="fold", min_width=16)
        for name in ("count", "failed", "p50", "p95", "p99", "max ms", "req/s"):
            made.add_column(name, justify="right", no_wrap=True)
        made.add_column("statuses", overflow="fold")
        for each in self.endpoints:
            times = (each.p50_ms, each.p95_ms, each.p99_ms, each.max_ms)
            made.add_row(
                f"{each.method} {each.endpoint}",
                str(each.count),
                str(each.failures),
                *("" if time is None else f"{time:.1f}" for time in times),
                f"{each.requests_per_second:.1f}",
                ", ".join(f"{status}: {number}" for status, number in each.statuses.items()),
            )
        return made

    def _criteria(self) -> Table:
        notes = [
            *(["ended early: not passed"] if not self.complete else []),
            *([f"scale {self.scale:g}: so is the throughput wanted"] if self.scale < 1 else []),
        ]
        made = _table(", ".join(notes))
        for name in ("criterion", "endpoint"):
            made.add_column(name, overflow="fold")
        for name in ("figure", "wanted"):
            made.add_column(name, justify="right", no_wrap=True)
        made.add_column("verdict")
        for each in self.criteria:
            sign = ">" if each.criterion == "throughput" else "<"
            made.add_row(
                each.criterion,
                each.endpoint,
                _shown(each.figure, each.unit),
                f"{sign} {_shown(each.limit, each.unit)}",
                "[green]passed[/]" if each.passed else "[red]missed[/]",
            )
        return made


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")


def _shown(figure: float | None, unit: str) -> str:
    if figure is None:
        return "none"
    return f"{figure * 100:.4g} %" if unit == "share" else f"{figure:.4g} {unit}"
