"""node_exporter: the host."""

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.monitoring import Alert, RuleGroup
from specs.part import Context, Monitoring
from specs.programs import NODE_EXPORTER
from specs.settings import Severity
from specs.workload import HostView, Port, Probe, Resources, Workload

NAME = "node-exporter"
REAL = 'fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.*|nsfs", mountpoint!~"/(run|sys|proc|dev)($|/.*)"'
"""Filesystems with a disk below them."""


class NodeSettings(ExporterSettings):
    """Settings of `exporters.node`."""


def _alerts() -> tuple[Alert, ...]:
    busy = 'avg by (app, environment, service, instance) (1 - rate(node_cpu_seconds_total{mode="idle"}[5m]))'
    free = f"node_filesystem_avail_bytes{{{REAL}}} / node_filesystem_size_bytes{{{REAL}}}"
    return (
        Alert(
            name="HostCPUSaturated",
            expr=f"{busy} > $threshold",
            threshold=0.9,
            for_="10m",
            severity=Severity.WARNING,
            summary="CPU of {{ $labels.instance }} is nearly used up",
            description="{{ $value | humanizePercentage }} of the CPU time was not idle (limit $threshold).",
            action="Find the process that takes it (top); decide whether it should, or the host is too small.",
        ),
        Alert(
            name="HostMemoryLow",
            expr="1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > $threshold",
            threshold=0.9,
            for_="10m",
            severity=Severity.WARNING,
            summary="Memory of {{ $labels.instance }} is nearly used up",
            description="{{ $value | humanizePercentage }} of the memory is not available (limit $threshold).",
            action="Find the process that holds it before the kernel chooses one to kill.",
        ),
        Alert(
            name="HostDiskFull",
            expr=f"{free} < $threshold",
            threshold=0.1,
            for_="5m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full",
            description="{{ $value | humanizePercentage }} is free (limit $threshold).",
            action="Find what grows (du -x) and free it, or enlarge the filesystem; databases stop writing when it is full.",
        ),
        Alert(
            name="HostDiskWillFill",
            expr=f"predict_linear(node_filesystem_avail_bytes{{{REAL}}}[1h], 4 * 3600) < 0 and {free} < $threshold",
            threshold=0.4,
            for_="30m",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} of {{ $labels.instance }} fills within four hours",
            description="At the pace of the last hour there would be {{ $value | humanize1024 }}B left in four hours.",
            action="Find what grows (du -x) while there is still time.",
        ),
    )


def build(context: Context, settings: NodeSettings) -> Exporting:
    """One workload: the host it runs on."""
    port = settings.port or EXPORTER.port
    workload = Workload(
        name=NAME,
        program=context.program(NODE_EXPORTER),
        summary="metrics of the host",
        ports=(Port(name="http", number=port),),
        args=(
            f"--web.listen-address={context.addresses.listen(port)}",
            *(() if context.on_one_machine else ("--path.rootfs=/host",)),
        ),
        probe=Probe(port="http", path="/"),
        resources=Resources(memory="64Mi", cpu="50m"),
        extras=(HostView(),),
        page="/metrics",
    )
    return Exporting(
        workloads=(workload,),
        monitoring=Monitoring(jobs=(context.job(NAME, port),), groups=(RuleGroup(name="node", alerts=_alerts()),)),
    )


EXPORTER = Exporter(
    name="node", summary="the host: CPU, memory, disks, network", port=9100, settings=NodeSettings, build=build
)
