"""node_exporter: the host."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import Address, Model, Name
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import NODE_EXPORTER
from specs.settings import Severity
from specs.workload import HostView, Port, Probe, Resources, Workload

NAME = "node-exporter"
JOB = "node"
DASHBOARD = "exporter-node"
REAL = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs|fuse.*|nsfs", mountpoint!~"/(run|sys|proc|dev)($|/.*)"'
"""Filesystems with a disk below them, that may be written."""
DISKS = 'device!~"(loop|ram|zram|sr|fd)[0-9]+"'
"""Devices that something is stored on."""
LINKS = 'device!~"lo|veth.*|docker.*|br-.*|cali.*|cni.*|flannel.*"'
"""Network interfaces that lead out of the host."""
BY = "by (app, environment, service, instance)"


def _pattern(value: str) -> str:
    if '"' in value or "\\" in value:
        raise ValueError(f"{value!r} has a quote or a backslash (accepted: a regular expression without them)")
    try:
        re.compile(value)
    except re.error as wrong:
        raise ValueError(f"{value!r} is no regular expression: {wrong} (accepted: one in RE2's form)") from None
    return value


class NodeTarget(Model):
    """Another host, with a node_exporter that already runs."""

    address: Address
    """Where the exporter listens."""
    app: Name | None = None
    """System that owns the host; none: the stack's own label."""


class NodeSettings(ExporterSettings):
    """Settings of `exporters.node`."""

    targets: Mapping[Name, NodeTarget] = Field(default_factory=dict[str, NodeTarget])
    """Hosts beside the stack's own."""
    database_mounts: Annotated[str, AfterValidator(_pattern)] = "/var/lib/(postgresql|postgres).*|.*/pgdata.*"
    """Regular expression of the mount points that databases live on."""


def _alerts(database_mounts: str) -> tuple[Alert, ...]:
    busy = f'avg {BY} (1 - rate(node_cpu_seconds_total{{mode="idle"}}[5m]))'
    free = f"node_filesystem_avail_bytes{{{REAL}}} / (node_filesystem_size_bytes{{{REAL}}} > 0)"
    mounts = f'mountpoint=~"{database_mounts}"'

    def moved(direction: str, what: str) -> str:
        return f"rate(node_network_{direction}_{what}_total{{{LINKS}}}[5m])"

    packets = f"({moved('receive', 'packets')} + {moved('transmit', 'packets')})"
    cpu = Alert(
        name="HighCPUUsage",
        expr=f"{busy} > $threshold",
        threshold=0.8,
        for_="10m",
        severity=Severity.WARNING,
        summary="The CPU of {{ $labels.instance }} is busy",
        description="{{ $value | humanizePercentage }} of the CPU time was not idle (limit $threshold).",
        action="Find the process that takes it (top); decide whether it should, or the host is too small.",
    )
    alerts = (
        cpu,
        replace(
            cpu,
            threshold=0.9,
            for_="5m",
            severity=Severity.CRITICAL,
        ),
        Alert(
            name="HighMemoryUsage",
            expr="1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > $threshold",
            threshold=0.85,
            for_="10m",
            severity=Severity.WARNING,
            summary="The memory of {{ $labels.instance }} is nearly used up",
            description="{{ $value | humanizePercentage }} of the memory is not available (limit $threshold).",
            action="Find the process that holds it before the kernel chooses one to kill.",
        ),
        Alert(
            name="DiskSpaceLow",
            expr=f"{free} < $threshold",
            threshold=0.15,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full",
            description="{{ $value | humanizePercentage }} is free (limit $threshold).",
            action="Find what grows (du -x) and free it, or enlarge the filesystem.",
        ),
        Alert(
            name="DatabaseDiskFull",
            expr=f"node_filesystem_avail_bytes{{{mounts}}} / (node_filesystem_size_bytes{{{mounts}}} > 0) < $threshold",
            threshold=0.1,
            for_="5m",
            severity=Severity.CRITICAL,
            summary="The database's filesystem {{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full",
            description="{{ $value | humanizePercentage }} is free (limit $threshold); a database stops writing when nothing is.",
            action="Look for WAL that a dead replication slot or a failing archiver holds back, then for tables that grew; enlarge the filesystem rather than delete what you do not know.",
        ),
        Alert(
            name="DiskWillFill",
            expr=f"predict_linear(node_filesystem_avail_bytes{{{REAL}}}[1h], 4 * 3600) < 0 and {free} < $threshold",
            threshold=0.4,
            for_="30m",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} of {{ $labels.instance }} fills within four hours",
            description="At the pace of the last hour there would be {{ $value | humanize1024 }}B left in four hours.",
            action="Find what grows (du -x) while there is still time.",
        ),
        Alert(
            name="HostInodesLow",
            expr=f"node_filesystem_files_free{{{REAL}}} / (node_filesystem_files{{{REAL}}} > 0) < $threshold",
            threshold=0.1,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.mountpoint }} of {{ $labels.instance }} runs out of inodes",
            description="{{ $value | humanizePercentage }} of the inodes are free (limit $threshold), however much space is left.",
            action="Find the directory with very many small files (du --inodes -x): sessions, caches and mail queues are the usual ones.",
        ),
        Alert(
            name="HostFilesystemReadOnly",
            # Some are mounted read-only on purpose: only one that could be written within the last day is a fault.
            expr=f"node_filesystem_readonly{{{REAL}}} == 1 and min_over_time(node_filesystem_readonly{{{REAL}}}[1d]) == 0",
            for_="1m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.mountpoint }} of {{ $labels.instance }} became read-only",
            description="The filesystem could be written within the last day and cannot any more (readonly is {{ $value }}).",
            action="Read the kernel's log (dmesg): it names the error that made it so. Expect a failing disk, and copy what matters before a repair.",
        ),
        Alert(
            name="HostDiskSaturated",
            expr=f"rate(node_disk_io_time_seconds_total{{{DISKS}}}[5m]) > $threshold",
            threshold=0.7,
            for_="15m",
            severity=Severity.WARNING,
            summary="Disk {{ $labels.device }} of {{ $labels.instance }} is busy",
            description="It was busy {{ $value | humanizePercentage }} of the time (limit $threshold).",
            action="Find who reads or writes (iotop); a missing index, a backup and swapping look alike from here.",
        ),
        Alert(
            name="HostIOPressure",
            expr="rate(node_pressure_io_stalled_seconds_total[5m]) > $threshold",
            threshold=0.3,
            for_="15m",
            severity=Severity.WARNING,
            summary="Everything on {{ $labels.instance }} waits for its disks",
            description="Nothing could run but wait for disks in {{ $value | humanizePercentage }} of the time (limit $threshold).",
            action="See which disk is busy and with what (HostDiskSaturated names it); network filesystems do not show there.",
        ),
        Alert(
            name="HostMemoryPressure",
            expr="rate(node_pressure_memory_waiting_seconds_total[5m]) > $threshold",
            threshold=0.1,
            for_="10m",
            severity=Severity.WARNING,
            summary="Processes of {{ $labels.instance }} wait for memory",
            description="Something waited for memory in {{ $value | humanizePercentage }} of the time (limit $threshold).",
            action="The host is too small for what runs on it, or something leaks: look at what grew since it began.",
        ),
        Alert(
            name="HostSwapping",
            expr="rate(node_vmstat_pswpin[5m]) + rate(node_vmstat_pswpout[5m]) > $threshold",
            threshold=1000,
            for_="10m",
            severity=Severity.WARNING,
            summary="{{ $labels.instance }} swaps",
            description="{{ $value | humanize }} pages a second go to and from swap (limit $threshold).",
            action="Find the processes that do not fit into memory together (VmSwap in /proc/*/status).",
        ),
        Alert(
            name="HostOutOfMemoryKill",
            expr="increase(node_vmstat_oom_kill[10m]) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="The kernel of {{ $labels.instance }} killed a process for want of memory",
            description="{{ $value | humanize }} processes were killed in 10 minutes.",
            action="The kernel's log (dmesg) names the process and its size. See that it came back, then give it a limit or the host more memory.",
        ),
        Alert(
            name="HostNetworkErrors",
            expr=f"""
({moved("receive", "errs")} + {moved("transmit", "errs")})
/ ({packets} > 10)
> $threshold""",
            threshold=0.01,
            for_="10m",
            severity=Severity.WARNING,
            summary="Network interface {{ $labels.device }} of {{ $labels.instance }} has errors",
            description="{{ $value | humanizePercentage }} of its packets had an error (limit $threshold).",
            action="Look at the cable, the port of the switch and the duplex setting (ethtool -S); a virtual interface: at the host below.",
        ),
        Alert(
            name="HostConnectionTrackingNearlyFull",
            expr="node_nf_conntrack_entries / (node_nf_conntrack_entries_limit > 0) > $threshold",
            threshold=0.8,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.instance }} tracks nearly as many connections as it can",
            description="{{ $value | humanizePercentage }} of the table is taken (limit $threshold); new connections are dropped when it is full.",
            action="Find who opens so many (conntrack -S, ss -s); raise nf_conntrack_max when they are wanted.",
        ),
        Alert(
            name="HostFileDescriptorsLow",
            expr="node_filefd_allocated / (node_filefd_maximum > 0) > $threshold",
            threshold=0.8,
            for_="5m",
            severity=Severity.WARNING,
            summary="{{ $labels.instance }} runs out of file descriptors",
            description="{{ $value | humanizePercentage }} of the host's file descriptors are taken (limit $threshold).",
            action="Find the process that keeps so many open (lsof); it most likely leaks them.",
        ),
        Alert(
            name="HostClockSkewed",
            expr="abs(node_timex_offset_seconds) > $threshold",
            threshold=0.05,
            for_="10m",
            severity=Severity.WARNING,
            summary="The clock of {{ $labels.instance }} is wrong",
            description="It is {{ $value | humanizeDuration }} off (limit $threshold s): tokens, certificates and traces suffer first.",
            action="See whether its time service runs and reaches its servers (chronyc tracking, timedatectl).",
        ),
        Alert(
            name="HostClockNotSynchronised",
            # The kernel's own mark for a clock that nothing has set for long: 16 s of possible error. Hosts that get their
            # time from the machine below are so all the time: nobody is called for it, but HostClockSkewed calls.
            expr="node_timex_maxerror_seconds >= $threshold and node_timex_sync_status == 0",
            threshold=16,
            for_="10m",
            severity=Severity.INFO,
            summary="Nothing sets the clock of {{ $labels.instance }}",
            description="It may be {{ $value | humanizeDuration }} wrong, and drifts (limit $threshold s).",
            action="Start a time service, or mend its way to its servers (chronyc sources, timedatectl).",
        ),
        Alert(
            name="HostRebooted",
            # Clocks that are set move the time of the start a little.
            expr="node_boot_time_seconds - min_over_time(node_boot_time_seconds[30m]) > $threshold",
            threshold=60,
            severity=Severity.INFO,
            summary="{{ $labels.instance }} was started again",
            description="It started {{ $value | humanizeDuration }} later than the start that was known half an hour ago.",
            action="When nobody did it on purpose: the end of the journal before the start says why (journalctl -b -1 -e).",
        ),
        Alert(
            name="HostRaidDegraded",
            expr='node_md_disks{state="failed"} > $threshold',
            threshold=0,
            for_="1m",
            severity=Severity.CRITICAL,
            summary="RAID {{ $labels.device }} of {{ $labels.instance }} lost a disk",
            description="{{ $value }} of its disks failed: the next one may take the contents along.",
            action="Find the disk (cat /proc/mdstat, mdadm --detail), see that a backup is recent, replace it.",
        ),
        Alert(
            name="HostMemoryFaulty",
            expr="increase(node_edac_uncorrectable_errors_total[1h]) > $threshold",
            threshold=0,
            severity=Severity.CRITICAL,
            summary="The memory of {{ $labels.instance }} has errors that it cannot correct",
            description="{{ $value | humanize }} errors in an hour on controller {{ $labels.controller }}.",
            action="Take the host out of use: what it computes and stores may be wrong. Then replace the module.",
        ),
    )
    return tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts)


def _jobs(context: Context, port: int, others: tuple[Target, ...]) -> tuple[ScrapeJob, ...]:
    own = context.job(NAME, port, every_node=True)
    if own.discovery is None:
        return (replace(own, name=JOB, targets=(*own.targets, *others)),)
    # A job is either of pods or of addresses.
    return (own, *([ScrapeJob(name=JOB, targets=others)] if others else []))


def build(context: Context, settings: NodeSettings) -> Exporting:
    """One workload for the host it runs on; other hosts have theirs."""
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
    others = tuple(
        Target(address=target.address, labels=context.labels(app=target.app, service="node"))
        for target in settings.targets.values()
    )
    return Exporting(
        workloads=(workload,),
        monitoring=Monitoring(
            jobs=_jobs(context, port, others),
            groups=(RuleGroup(name="node", alerts=_alerts(settings.database_mounts)),),
        ),
    )


EXPORTER = Exporter(
    name="node", summary="the host: CPU, memory, disks, network", port=9100, settings=NodeSettings, build=build
)
