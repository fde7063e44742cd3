"""A load on the stack, and what a unit of it takes: bytes of a sample, a series, a line, a span (docs/sizing.md)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from specs.model import seconds
from specs.monitoring import ScrapeJob
from specs.part import Context

KIB, MIB, GIB = 2**10, 2**20, 2**30

TARGET_SERIES = 500
"""Of an average target."""
SAMPLE_BYTES = 1.7
"""Of a sample in a block, its part of the index included."""
WAL_SAMPLE_BYTES = 7.0
"""Of a sample in the write-ahead log."""
WAL_SECONDS = 3 * 3600
"""How far back the write-ahead log reaches at most."""
SERIES_BYTES = 6 * KIB
"""Memory of a series in the head, with room for queries, churn and compactions."""
COMPACTED_SERIES_BYTES = 16 * KIB
"""Memory of an active series while Thanos compacts blocks of two weeks, with all that came and went in them."""
LEAST_SERIES_BYTES = 2 * KIB
"""Below this a head does not fit at all."""
COMPRESSION = 5.0
"""How much smaller log lines are in Loki's chunks."""
SPAN_BYTES = 512
"""Of a span in Jaeger's badger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """A load on the whole stack."""

    series: float
    interval: float
    """Seconds between two samples of a series."""
    lines: float
    """A second."""
    line_bytes: float
    spans: float
    """A second."""

    @property
    def samples(self) -> float:
        """A second."""
        return self.series / self.interval

    @property
    def log_bytes(self) -> float:
        """A second."""
        return self.lines * self.line_bytes


@dataclass(frozen=True, slots=True)
class _Preset:
    series: int
    lines: int
    spans: int


PRESETS: Mapping[str, _Preset] = MappingProxyType(
    {
        "small": _Preset(100_000, 100, 100),
        "medium": _Preset(500_000, 2_000, 1_000),
        "large": _Preset(2_000_000, 20_000, 10_000),
    }
)
"""The load that a size is for, where the stack file does not say it."""


def own_series(jobs: Sequence[ScrapeJob]) -> int:
    """About how many series the targets have that the stack knows by name: a probed one has few."""
    return sum(
        len(job.targets) * (TARGET_SERIES // 20 if job.through else TARGET_SERIES) or TARGET_SERIES for job in jobs
    )


def stated_series(context: Context) -> int | None:
    """Series that the stack file says; None when it does not."""
    load = context.settings.load
    return load.series if load.series or load.targets is None else load.targets * TARGET_SERIES


def demand(context: Context) -> Demand:
    """The load that the stack is sized for: what its file says, else what its size is for. What it is made to watch has
    no part in it, so that a further system never changes a volume."""
    load, preset = context.settings.load, PRESETS[context.settings.size]
    return Demand(
        series=stated_series(context) or preset.series,
        interval=seconds(context.settings.scrape_interval),
        lines=preset.lines if load.log_lines is None else load.log_lines,
        line_bytes=load.log_bytes,
        spans=preset.spans if load.spans is None else load.spans,
    )


def wal_bytes(samples: float) -> float:
    """Bytes of the write-ahead log of so many samples a second."""
    return samples * WAL_SECONDS * WAL_SAMPLE_BYTES


def blocks_bytes(samples: float, keep: float) -> float:
    """Bytes that Prometheus stores of so many samples a second over `keep` seconds, its write-ahead log included."""
    return samples * keep * SAMPLE_BYTES + wal_bytes(samples)


def log_store_bytes(wanted: Demand, keep: float) -> float:
    """Bytes that Loki stores of lines over `keep` seconds."""
    return wanted.log_bytes * keep / COMPRESSION


def kept_spans(context: Context, wanted: Demand) -> float:
    """Spans a second that reach Jaeger, once traces are sampled."""
    sampling = context.settings.traces.sampling
    # Slow and failed ones are kept as well.
    return wanted.spans if sampling is None else wanted.spans * min(1.0, sampling.percent / 100 + 0.05)


def span_store_bytes(context: Context, wanted: Demand) -> float:
    """Bytes that badger takes."""
    return kept_spans(context, wanted) * seconds(context.settings.retention.traces) * SPAN_BYTES


def _size(number: float, step: int, least: int) -> str:
    """`number` bytes in Kubernetes' form, up to a whole `step`, and `least` at least."""
    mebibytes = max(math.ceil(number / step) * step, least) // MIB
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def memory(number: float, least: int = 128 * MIB) -> str:
    """An amount of memory in Kubernetes' form."""
    return _size(number, 128 * MIB if number < 4 * GIB else 512 * MIB, least)


def volume(number: float, least: int = 10 * GIB) -> str:
    """A volume's size in Kubernetes' form: in few steps, since a volume's size is not changed lightly."""
    return _size(number, 10 * GIB if number < 100 * GIB else 50 * GIB, least)


def cores(number: float, least: float = 0.1) -> str:
    """A number of cores in Kubernetes' form."""
    return f"{max(math.ceil(round(number * 20, 6)) * 50, round(least * 1000))}m"
