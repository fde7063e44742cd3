"""What a stack takes in all, and refusals of what cannot fit: retention times rate against volumes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from specs import load, sizing
from specs.model import SettingsError, seconds, size_bytes
from specs.monitoring import ScrapeJob
from specs.part import Context
from specs.settings import KEY
from specs.thanos.names import COMPACTOR
from specs.workload import Workload

_DAY = 86400
_LEAST_BLOCKS = 0.85
"""Part of a volume beyond which Prometheus' blocks leave too little for what it writes first."""
_POINT_BYTES = 5 * load.SAMPLE_BYTES
"""Of a point of a thinned-out series in object storage: five numbers."""
_REMOTE_SPAN_BYTES = 1024
"""Of a span in Elasticsearch or the like, with a replica."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What the replicas of a workload take."""

    name: str
    replicas: int
    """0: one on every node."""
    memory: int
    """Bytes, of each."""
    cores: float
    """Of each."""
    volume: int
    """Bytes, of each; 0: none."""


@dataclass(frozen=True, slots=True)
class _Short:
    """A volume that is too small."""

    what: str
    """What takes how much."""
    enough: str
    """The least that would do, and what else would."""
    stated: bool
    """Whether the stack file says the load: what a size is merely meant for is no reason to refuse."""
    needed: float
    """Bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What a stack on a cluster takes."""

    demand: load.Demand
    rows: tuple[Row, ...]
    objects: tuple[tuple[str, float], ...]
    """What is stored outside of the cluster's volumes, and how many bytes of it once retention is reached."""
    notes: tuple[str, ...]
    """One line each for what is worth knowing before `up`."""

    @property
    def pods(self) -> int:
        """How many pods, those of nodes left out."""
        return sum(row.replicas for row in self.rows)

    @property
    def memory(self) -> int:
        """Bytes, nodes' pods left out."""
        return sum(row.replicas * row.memory for row in self.rows)

    @property
    def cores(self) -> float:
        """Requested, nodes' pods left out."""
        return sum(row.replicas * row.cores for row in self.rows)

    @property
    def volumes(self) -> int:
        """Bytes of all volumes."""
        return sum(row.replicas * row.volume for row in self.rows)

    @property
    def line(self) -> str:
        """All of it in one line."""
        wanted, node = self.demand, [row for row in self.rows if not row.replicas]
        what = f"{_count(wanted.series)} series, {_count(wanted.lines)} log lines/s, {_count(wanted.spans)} spans/s"
        parts = [
            (
                f"{self.pods} pods with {_bytes(self.memory)} of memory, {self.cores:.1f} cores and"
                f" {_bytes(self.volumes)} of volumes"
            )
        ]
        if node:
            memory, cores = sum(row.memory for row in node), sum(row.cores for row in node)
            parts.append(f"on each node {_bytes(memory)} and {cores:.2f} cores")
        parts += [f"{what} up to {_bytes(number)}" for what, number in self.objects]
        return f"sized for {what}: {'; '.join(parts)}"

    def table(self) -> list[tuple[str, str, str, str, str]]:
        """Workload, replicas, and memory, cores and volume of each, as text."""
        return [
            (
                row.name,
                str(row.replicas) if row.replicas else "each node",
                _bytes(row.memory),
                f"{row.cores:.2f}",
                _bytes(row.volume) if row.volume else "",
            )
            for row in self.rows
        ]


def _count(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")


def _bytes(number: float) -> str:
    for unit, size in (("Ti", 2**40), ("Gi", load.GIB), ("Mi", load.MIB)):
        if number >= size:
            shown = f"{number / size:.1f}"
            return f"{shown.removesuffix('.0')}{unit}"
    return "0"


def _cores(cpu: str) -> float:
    return int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)


def _row(workload: Workload) -> Row:
    every = (workload, *workload.beside)
    return Row(
        name=workload.name,
        replicas=0 if sizing.on_every_node(workload) else workload.replicas,
        memory=sum(size_bytes(each.resources.memory) for each in every),
        cores=sum(_cores(each.resources.cpu) for each in every),
        volume=size_bytes(workload.volume.size) if workload.volume else 0,
    )


def _objects(context: Context, wanted: load.Demand) -> tuple[tuple[str, float], ...]:
    settings, scale = context.settings, context.scale
    found: list[tuple[str, float]] = []
    if settings.thanos:
        raw = wanted.samples * seconds(settings.thanos.raw) * load.SAMPLE_BYTES
        thin = (seconds(settings.thanos.five_minutes) / 300 + seconds(settings.thanos.one_hour) / 3600) * wanted.series
        found.append(("metrics in object storage", (raw + thin * _POINT_BYTES) * scale.prometheus))
    if settings.object_storage and settings.object_storage.logs_bucket:
        # Replicas cut their chunks at moments of their own, so that each stores most lines itself.
        copies = min(3, scale.loki)
        stored = load.log_store_bytes(wanted, seconds(settings.retention.log_archive)) * copies
        found.append(("logs in object storage", stored))
    if settings.traces.store != "badger":
        stored = load.kept_spans(context, wanted) * seconds(settings.retention.traces) * _REMOTE_SPAN_BYTES
        found.append((f"spans in {settings.traces.store}", stored))
    return tuple(found)


def of(context: Context, workloads: Sequence[Workload], jobs: Sequence[ScrapeJob]) -> Capacity | None:
    """What the sized `workloads` take; None where nothing is sized, on one machine.

    Raises SettingsError, a line each, for what cannot fit: with the key, and the figure that would do.
    """
    refuse(context, workloads)
    if not context.on_cluster:
        return None
    wanted = load.demand(context)
    return Capacity(
        demand=wanted,
        rows=tuple(_row(workload) for workload in workloads),
        objects=_objects(context, wanted),
        notes=(
            *_notes(context, wanted, jobs),
            *(
                f"{each.what}, if the load is what size says (enough: at least {each.enough})"
                for each in _volumes(context, workloads)
            ),
        ),
    )


def refuse(context: Context, workloads: Sequence[Workload]) -> None:
    """Raises SettingsError, a line each, for what cannot fit.

    Only a load that the stack file says counts: what a size is merely meant for is no reason to refuse.
    """
    found = [
        *_metrics(context),
        *_memory(context, workloads),
        *(f"{each.what} (accepted: at least {each.enough})" for each in _volumes(context, workloads) if each.stated),
    ]
    if found:
        raise SettingsError("\n".join(f"{context.file}: {KEY}.{line}" for line in found))


def _notes(context: Context, wanted: load.Demand, jobs: Sequence[ScrapeJob]) -> list[str]:
    own, size = load.own_series(jobs), sizing.metrics_size(context)
    if own > wanted.series:
        return [f"the targets have about {_count(own)} series, more than load.series: {_count(wanted.series)}"]
    keep = _kept(context)
    samples = wanted.samples / context.scale.shards
    if size is not None and load.blocks_bytes(samples, keep) > size:
        days = _days_of(samples, size)
        return [
            (
                f"Prometheus' {_bytes(size)} hold {days} days of {_count(wanted.series)} series, not"
                f" {context.settings.retention.metrics}: say what there is by load.series, or give it more"
            )
        ]
    return []


def _kept(context: Context) -> float:
    """Seconds that Prometheus has to keep its samples: not for long where they are in object storage as well."""
    keep = seconds(context.settings.retention.metrics)
    return min(keep, _DAY) if context.settings.thanos else keep


def _days_of(samples: float, size: float) -> int:
    """Whole days of samples that fit on `size` bytes."""
    return max(0, math.floor((size - load.wal_bytes(samples)) / (samples * load.SAMPLE_BYTES) / _DAY))


def _metrics(context: Context) -> list[str]:
    settings, size = context.settings, sizing.metrics_size(context)
    if size is None:
        return []
    asked = sizing.asked_volume(context, "prometheus")
    if asked and size > size_bytes(asked) * _LEAST_BLOCKS:
        most, least = size_bytes(asked) * sizing.BLOCKS_OF_VOLUME, size / sizing.BLOCKS_OF_VOLUME
        return [
            (
                f"retention.metrics_size: {settings.retention.metrics_size} are too much for volumes.prometheus of {asked}"
                f" (accepted: at most {_down(most)}, or a volume of at least {_up(least)})"
            )
        ]
    known = load.stated_series(context)
    if known is None:
        return []
    samples = known / seconds(settings.scrape_interval) / context.scale.shards
    keep = _kept(context)
    needed = load.blocks_bytes(samples, keep)
    if needed <= size:
        return []
    key = "retention.metrics_size" if settings.retention.metrics_size else "volumes.prometheus"
    least = needed if settings.retention.metrics_size else needed / sizing.BLOCKS_OF_VOLUME
    days = _days_of(samples, size)
    each = f" in each of {context.scale.shards} shards" if context.scale.shards > 1 else ""
    return [
        f"{key}: {_count(known)} series every {settings.scrape_interval} take {_bytes(needed)} in"
        f" {'a day' if settings.thanos else settings.retention.metrics}{each} (accepted: at least {_up(least)}"
        + (f", or retention.metrics of at most {days}d" if days and not settings.thanos else "")
        + ")"
    ]


def _memory(context: Context, workloads: Sequence[Workload]) -> list[str]:
    series = load.stated_series(context)
    if series is None or not context.on_cluster:
        return []
    least = series / context.scale.shards * load.LEAST_SERIES_BYTES
    found = [
        f"resources.{sizing.keys(workload)[0]}.memory: {workload.resources.memory} cannot hold {_count(series)} series"
        f" (accepted: at least {load.memory(least)}, better none: then it is as much as docs/sizing.md says)"
        for workload in workloads
        if workload.program.name == "prometheus" and size_bytes(workload.resources.memory) < least
    ]
    return list(dict.fromkeys(found))


def _volumes(context: Context, workloads: Sequence[Workload]) -> Iterator[_Short]:
    """Volumes, those of Prometheus left out, that the stack file sizes for less than there will be on them."""
    settings, wanted = context.settings, load.demand(context)
    for workload in workloads:
        asked = sizing.asked_volume(context, *sizing.keys(workload)) if workload.volume else None
        if asked is None:
            continue
        key = next(f"volumes.{name}" for name in sizing.keys(workload) if name in settings.volumes)
        found: _Short | None = None
        # What has the index has no lines.
        if workload.program.name == "loki" and workload.name != "loki-backend":
            found = _logs(context, wanted, workload, asked)
        elif workload.name == "jaeger" and settings.traces.store == "badger":
            found = _spans(context, wanted, asked)
        elif workload.name == COMPACTOR:
            needed = sizing.compactor_bytes(context, wanted)
            what = f"{_count(wanted.series)} series take {_bytes(needed)} while blocks of two weeks are written anew"
            found = _Short(what, _up(needed), load.stated_series(context) is not None, needed)
        if found and found.needed > size_bytes(asked):
            yield replace(found, what=f"{key}: {found.what}")


def _logs(context: Context, wanted: load.Demand, workload: Workload, asked: str) -> _Short:
    settings, needed = context.settings, sizing.loki_bytes(context, wanted, workload.replicas)
    lines, stated = (
        f"{_count(wanted.lines)} log lines a second take {_bytes(needed)}",
        settings.load.log_lines is not None,
    )
    if settings.object_storage is not None:
        return _Short(f"{lines} before they are in object storage", _up(needed), stated, needed)
    days = math.floor(size_bytes(asked) * load.COMPRESSION / wanted.log_bytes / _DAY) if wanted.log_bytes else 0
    other = f", or retention.log_archive of at most {days}d" if days else ""
    return _Short(
        f"{lines} in {settings.retention.log_archive}", f"{_up(needed)}{other}, or object_storage", stated, needed
    )


def _spans(context: Context, wanted: load.Demand, asked: str) -> _Short:
    settings, needed = context.settings, load.span_store_bytes(context, wanted)
    kept = load.kept_spans(context, wanted)
    hours = math.floor(size_bytes(asked) / (kept * load.SPAN_BYTES) / 3600) if kept else 0
    other = f", or retention.traces of at most {hours}h" if hours else ""
    return _Short(
        f"{_count(kept)} spans a second take {_bytes(needed)} in {settings.retention.traces}",
        f"{_up(needed)}{other}, or traces.sampling",
        settings.load.spans is not None,
        needed,
    )


def _up(number: float) -> str:
    return f"{math.ceil(number / load.GIB)}Gi"


def _down(number: float) -> str:
    return f"{math.floor(number / load.GIB)}Gi" if number >= load.GIB else f"{math.floor(number / load.MIB)}Mi"
