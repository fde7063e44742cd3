"""What each part needs: an expected load in, memory, cores and volumes out. docs/sizing.md has every formula's source."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from specs.load import (
    COMPACTED_SERIES_BYTES,
    COMPRESSION,
    GIB,
    KIB,
    MIB,
    SAMPLE_BYTES,
    SERIES_BYTES,
    Demand,
    blocks_bytes,
    cores,
    demand,
    kept_spans,
    log_store_bytes,
    memory,
    span_store_bytes,
    volume,
)
from specs.model import SettingsError, seconds, size_bytes
from specs.part import Context
from specs.settings import KEY, Share
from specs.workload import EveryNode, HostView, Resources, Volume, Workload

BLOCKS_OF_VOLUME = 0.8
"""Part of Prometheus' volume that its blocks may take."""
SPARE = 1.5
"""What replicas can bear beyond their part of the load: one may be away, and load has peaks."""


def metrics_volume(context: Context) -> str:
    """Size of the volume of each Prometheus."""
    settings = context.settings
    if (asked := asked_volume(context, "prometheus")) is not None:
        return asked
    if settings.retention.metrics_size is not None:
        return f"{-(-size_bytes(settings.retention.metrics_size) * 5 // 4 // MIB)}Mi"
    samples = demand(context).samples / context.scale.shards
    return volume(blocks_bytes(samples, seconds(settings.retention.metrics)) / BLOCKS_OF_VOLUME, 20 * GIB)


def asked_volume(context: Context, *names: str) -> str | None:
    """What the stack file says of the volume that goes by one of `names`, the narrowest first."""
    return next((context.settings.volumes[name] for name in names if name in context.settings.volumes), None)


def metrics_size(context: Context) -> int | None:
    """Bytes that Prometheus' blocks may take: as the stack file says, else most of its volume; None: any number."""
    settings = context.settings
    if settings.retention.metrics_size is not None:
        return size_bytes(settings.retention.metrics_size)
    return int(size_bytes(metrics_volume(context)) * BLOCKS_OF_VOLUME) if context.on_cluster else None


def _prometheus(context: Context, wanted: Demand, workload: Workload) -> Workload:
    series, samples = wanted.series / context.scale.shards, wanted.samples / context.scale.shards
    return _with(
        workload,
        memory=memory(256 * MIB + series * SERIES_BYTES, GIB),
        cpu=cores(0.1 + samples / 50_000, 0.25),
        volume=metrics_volume(context),
    )


_LOKI = MappingProxyType({"loki-write": (0.75, 0.58), "loki-read": (0.40, 0.35), "loki-backend": (0.55, 0.17)})
"""GiB and cores for each MB of lines a second, by target; all three together do what one program of everything does."""


def loki_bytes(context: Context, wanted: Demand, replicas: int) -> float:
    """Bytes of log lines on the volume of each of so many replicas of Loki."""
    if context.settings.object_storage is None:
        return log_store_bytes(wanted, seconds(context.settings.retention.log_archive))
    # What is not in object storage yet: chunks of two hours, and what was written since the last checkpoint.
    return wanted.log_bytes * min(3, replicas) / replicas * (2 * 3600 / COMPRESSION + 900)


def _loki(context: Context, wanted: Demand, workload: Workload) -> Workload:
    gibibytes, processors = _LOKI.get(
        workload.name, (sum(each[0] for each in _LOKI.values()), sum(each[1] for each in _LOKI.values()))
    )
    share = wanted.log_bytes / 1e6 * _part(workload.replicas)
    stored = loki_bytes(context, wanted, workload.replicas)
    # What has the index has no lines.
    lines = workload.volume and workload.name != "loki-backend"
    kept = volume(stored * 1.25, size_bytes(workload.volume.size)) if lines and workload.volume else None
    return _with(
        workload,
        memory=memory(256 * MIB + share * gibibytes * GIB, 512 * MIB),
        cpu=cores(share * processors, 0.2),
        volume=kept,
    )


def _ceiling(context: Context, workload: Workload) -> tuple[str, ...]:
    """How much Loki holds of what it wrote ahead before it flushes: by default more than its container may have."""
    if not context.on_cluster or workload.program.name != "loki":
        return ()
    return (f"-ingester.wal-replay-memory-ceiling={size_bytes(workload.resources.memory) // 2 // MIB}MB",)


def _jaeger(context: Context, wanted: Demand, workload: Workload) -> Workload:
    spans = kept_spans(context, wanted)
    share = spans * _part(workload.replicas)
    on_volume = context.settings.traces.store == "badger"
    return _with(
        workload,
        memory=memory((512 if on_volume else 256) * MIB + share * 512 * KIB, 512 * MIB),
        cpu=cores(share / 5_000),
        volume=volume(span_store_bytes(context, wanted) * 1.25) if on_volume and workload.volume else None,
    )


def collector_memory(context: Context, name: str, usual: str) -> str:
    """Memory of the collector called `name`: `usual` at least, and on a cluster what its load asks for."""
    if (share := context.settings.resources.get(name)) and share.memory:
        return share.memory
    if not context.on_cluster or name not in _COLLECTORS:
        return usual
    wanted, part, sampling = demand(context), _part(context.scale.collector), context.settings.traces.sampling
    # What samples has the spans of whole traces, until they are decided; what does not, has lines and metrics too.
    waiting = wanted.spans * seconds(sampling.wait) * 4 * KIB * part if sampling and name == "sampler" else 0
    return memory(384 * MIB + _collector_cores(wanted) * part * 2 * GIB + waiting, size_bytes(usual))


_COLLECTORS = ("collector", "sampler")


def _part(replicas: int) -> float:
    """Part of a load that each replica has to bear."""
    return (SPARE if replicas > 1 else 1) / replicas


def _collector_cores(wanted: Demand) -> float:
    return wanted.spans / 15_000 + wanted.lines / 10_000


def limiter(memory: str) -> dict[str, Any]:
    """The `memory_limiter` of a collector that has so much memory: it refuses before it is killed."""
    limit = size_bytes(memory) * 25 // 32 // MIB
    return {"check_interval": "1s", "limit_mib": limit, "spike_limit_mib": limit // 4}


def _collector(context: Context, wanted: Demand, workload: Workload) -> Workload:
    return _with(
        workload,
        memory=collector_memory(context, workload.name, workload.resources.memory),
        cpu=cores(_collector_cores(wanted) * _part(workload.replicas)),
    )


def compactor_bytes(context: Context, wanted: Demand) -> float:
    """Bytes of Thanos' longest blocks, two weeks of one Prometheus: they are read, and written anew beside that."""
    return wanted.samples / context.scale.shards * 14 * 86400 * SAMPLE_BYTES * 2


def _compactor(context: Context, wanted: Demand, workload: Workload) -> Workload:
    least = size_bytes(workload.volume.size) if workload.volume else 0
    return _with(
        workload,
        memory=memory(GIB + wanted.series / context.scale.shards * COMPACTED_SERIES_BYTES, 2 * GIB),
        volume=volume(compactor_bytes(context, wanted) * 1.25, least),
    )


_BY_PROGRAM: Mapping[str, Callable[[Context, Demand, Workload], Workload]] = MappingProxyType(
    {"prometheus": _prometheus, "loki": _loki, "jaeger": _jaeger, "collector": _collector}
)
_BY_NAME: Mapping[str, Callable[[Context, Demand, Workload], Workload]] = MappingProxyType(
    {"thanos-compactor": _compactor}
)


def keys(workload: Workload) -> tuple[str, ...]:
    """Names that the stack file can call `workload` by, the narrowest first. Shards of Prometheus are alike."""
    match workload.program.name:
        case "prometheus" as program:
            return (program,)
        case "loki" | "thanos" as program:
            return tuple(dict.fromkeys((workload.name, program)))
        case _:
            return (workload.name,)


def on_every_node(workload: Workload) -> bool:
    """Whether a cluster has as many of it as nodes."""
    return any(isinstance(extra, EveryNode | HostView) for extra in workload.extras)


def _with(workload: Workload, *, memory: str = "", cpu: str = "", volume: str | None = None) -> Workload:
    made = workload.resources
    resources = replace(made, memory=memory or made.memory, cpu=cpu or made.cpu)
    return replace(workload, resources=resources, volume=Volume(volume) if volume else workload.volume)


def _asked(resources: Resources, share: Share) -> Resources:
    cpu = share.cpu or resources.cpu
    processors = resources.processors
    if share.cpu:
        processors = int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    return replace(resources, memory=share.memory or resources.memory, cpu=cpu, processors=processors)


def _sized(context: Context, wanted: Demand, workload: Workload) -> Workload:
    """`workload` with what its load asks for, on a cluster, and then with what the stack file says."""
    if context.on_cluster and not on_every_node(workload):
        fit = _BY_NAME.get(workload.name) or _BY_PROGRAM.get(workload.program.name)
        workload = fit(context, wanted, workload) if fit else workload
    names = keys(workload)
    if share := next((context.settings.resources[name] for name in names if name in context.settings.resources), None):
        workload = replace(workload, resources=_asked(workload.resources, share))
    if workload.volume and (asked := asked_volume(context, *names)):
        workload = replace(workload, volume=Volume(asked))
    beside = tuple(_sized(context, wanted, each) for each in workload.beside)
    return replace(
        workload,
        args=(*workload.args, *_ceiling(context, workload)),
        beside=beside,
        environment={**_heap(context, workload), **workload.environment},
    )


def _heap(context: Context, workload: Workload) -> Mapping[str, str]:
    """What tells a program in Go how much it has: without it, it lets garbage lie until it is killed. Prometheus reads
    it off its container."""
    if not context.on_cluster or workload.program.name not in _UNAWARE:
        return {}
    return {"GOMEMLIMIT": f"{size_bytes(workload.resources.memory) * 4 // 5 // MIB}MiB"}


_UNAWARE = frozenset({"collector", "jaeger", "loki", "thanos"})


def apply(context: Context, workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """`workloads` with the resources and volumes that they need; on one machine, as they are but for what the stack file
    says of them.

    Raises SettingsError for what the stack file says of a workload that there is not.
    """
    _refuse_unknown(context, workloads)
    wanted = demand(context)
    return tuple(_sized(context, wanted, workload) for workload in workloads)


def _refuse_unknown(context: Context, workloads: Sequence[Workload]) -> None:
    settings = context.settings
    every = [each for workload in workloads for each in (workload, *workload.beside)]
    for key, asked, known in (
        ("resources", settings.resources, every),
        ("volumes", settings.volumes, [workload for workload in every if workload.volume]),
    ):
        names = {name for workload in known for name in keys(workload)}
        for name in asked:
            if name not in names:
                what = "workload" if key == "resources" else "workload with a volume"
                raise SettingsError(
                    f"{context.file}: {KEY}.{key}.{name}: no such {what} (accepted: {', '.join(sorted(names))})"
                )
