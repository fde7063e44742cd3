"""Hosts, as node_exporter sees them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic, link_to
from dashboards.limits import Limits
from dashboards.panels import bars, graph, number, shown
from specs.exporters.node import DISKS, LINKS, REAL
from specs.named_signals import BY_EXPORTER

FOLDER = "exporters"
_HOST = BY_EXPORTER["node"]
_RATE = "[$__rate_interval]"
_NAME = "{{app}} {{instance}}"


def _by(*labels: str) -> str:
    return f"by ({', '.join(('app', 'instance', *labels))})"


def dashboard(limits: Limits) -> Dashboard:
    """CPU, memory, disks, network, then what goes wrong quietly."""
    disk = _HOST["host_disk"]
    onto = board(
        "Node Exporter", description="Hosts: CPU, memory, disks, network and clock.", tags=["exporter", "hosts"]
    )
    return fill(
        generic(onto, "node_boot_time_seconds").link(link_to("All hosts", "/d/system-overview")),
        [
            number(
                "Uptime",
                description="Since when the host runs; the least of those that are chosen.",
                unit="s",
                expr=f"min(time() - node_boot_time_seconds{{{EACH}}})",
            ),
            number(
                "Hosts",
                description="Hosts that are chosen.",
                unit="short",
                expr=f"count(node_boot_time_seconds{{{EACH}}})",
            ),
            number(
                "CPU Cores",
                description="Cores of all hosts together.",
                unit="short",
                expr=f'count(node_cpu_seconds_total{{mode="idle", {EACH}}})',
            ),
            number(
                "Memory",
                description="Memory of all hosts together.",
                unit="bytes",
                expr=f"sum(node_memory_MemTotal_bytes{{{EACH}}})",
            ),
            number(
                "Clock Offset",
                description="How far the clock is off, of the host where it is worst.",
                unit="s",
                expr=f"max(abs(node_timex_offset_seconds{{{EACH}}}))",
                limits=limits.of("HostClockSkewed"),
            ),
            number(
                "Out-of-Memory Kills",
                description="Processes that the kernel killed for their memory in the last hour.",
                unit="short",
                expr=f"sum(increase(node_vmstat_oom_kill{{{EACH}}}[1h]))",
                limits=limits.of("HostOutOfMemoryKill"),
            ),
            "CPU",
            shown(_HOST["host_cpu"], limits=limits.of("HighCPUUsage")),
            graph(
                "CPU by Mode",
                description="What the cores of all chosen hosts do, as a share of their time.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f'sum by (mode) (rate(node_cpu_seconds_total{{mode!="idle", {EACH}}}{_RATE}))'
                            f' / scalar(count(node_cpu_seconds_total{{mode="idle", {EACH}}}))'
                        ),
                        "{{mode}}",
                    )
                ],
                stacked=True,
            ),
            graph(
                "Load",
                description="Processes that run or wait to, in the last five minutes, for each core.",
                unit="none",
                queries=[
                    (
                        (
                            f"sum {_by()} (node_load5{{{EACH}}})"
                            f' / count {_by()} (node_cpu_seconds_total{{mode="idle", {EACH}}})'
                        ),
                        _NAME,
                    )
                ],
            ),
            graph(
                "Processes",
                description="Processes that run, and those that wait for a disk.",
                unit="short",
                queries=[
                    (f"sum {_by()} (node_procs_running{{{EACH}}})", f"{_NAME} running"),
                    (f"sum {_by()} (node_procs_blocked{{{EACH}}})", f"{_NAME} blocked"),
                ],
            ),
            "Memory",
            shown(_HOST["host_memory"], limits=limits.of("HighMemoryUsage")),
            graph(
                "Memory by Use",
                description="What the memory of all chosen hosts is used for.",
                unit="bytes",
                queries=[
                    (
                        f"sum(node_memory_MemTotal_bytes{{{EACH}}} - node_memory_MemAvailable_bytes{{{EACH}}})",
                        "programs",
                    ),
                    (f"sum(node_memory_Cached_bytes{{{EACH}}} + node_memory_Buffers_bytes{{{EACH}}})", "cache"),
                    (f"sum(node_memory_MemFree_bytes{{{EACH}}})", "free"),
                ],
            ),
            graph(
                "Swapping",
                description="Pages that go to the disk and come back.",
                unit="suffix:/s",
                queries=[
                    (f"sum {_by()} (rate(node_vmstat_pswpin{{{EACH}}}{_RATE}))", f"{_NAME} in"),
                    (f"sum {_by()} (rate(node_vmstat_pswpout{{{EACH}}}{_RATE}))", f"{_NAME} out"),
                ],
                limits=limits.of("HostSwapping"),
            ),
            graph(
                "Open Files",
                description="Share of the file descriptors of the host that are taken.",
                unit="percentunit",
                queries=[
                    (
                        f"sum {_by()} (node_filefd_allocated{{{EACH}}}) / sum {_by()} (node_filefd_maximum{{{EACH}}})",
                        _NAME,
                    )
                ],
                limits=limits.of("HostFileDescriptorsLow"),
            ),
            "Disks",
            bars(
                disk.title,
                description=disk.description,
                unit="percentunit",
                queries=[(disk.expr(EACH, keep=("app", "environment")), f"{_NAME} {{{{mountpoint}}}}")],
                limits=limits.of("DiskSpaceLow", rest=True),
                highest=1,
                width=12,
            ),
            graph(
                "Inodes Left",
                description="Share of the inodes that are free.",
                unit="percentunit",
                queries=[
                    (
                        (
                            f"min {_by('mountpoint')} (node_filesystem_files_free{{{REAL}, {EACH}}}"
                            f" / (node_filesystem_files{{{REAL}, {EACH}}} > 0))"
                        ),
                        f"{_NAME} {{{{mountpoint}}}}",
                    )
                ],
                limits=limits.of("HostInodesLow", below=True),
            ),
            shown(_HOST["host_disk_io"], limits=limits.of("HostDiskSaturated")),
            graph(
                "Disk Throughput",
                description="Bytes that are read and written.",
                unit="binBps",
                queries=[
                    (f"sum {_by()} (rate(node_disk_{what}_bytes_total{{{DISKS}, {EACH}}}{_RATE}))", f"{_NAME} {what}")
                    for what in ("read", "written")
                ],
            ),
            "Network",
            graph(
                "Network Traffic",
                description="Bytes that reach and leave the host.",
                unit="binBps",
                queries=[
                    (
                        f"sum {_by()} (rate(node_network_{what}_bytes_total{{{LINKS}, {EACH}}}{_RATE}))",
                        f"{_NAME} {what}",
                    )
                    for what in ("receive", "transmit")
                ],
            ),
            graph(
                "Network Errors",
                description="Packets that were damaged, in both directions.",
                unit="suffix:/s",
                queries=[
                    (f"sum {_by()} (rate(node_network_{what}_errs_total{{{LINKS}, {EACH}}}{_RATE}))", f"{_NAME} {what}")
                    for what in ("receive", "transmit")
                ],
            ),
            graph(
                "TCP Connections",
                description="Connections that are open.",
                unit="short",
                queries=[(f"sum {_by()} (node_netstat_Tcp_CurrEstab{{{EACH}}})", _NAME)],
            ),
            graph(
                "Clock Offset over Time",
                description="How far the clock is off.",
                unit="s",
                queries=[(f"max {_by()} (abs(node_timex_offset_seconds{{{EACH}}}))", _NAME)],
                limits=limits.of("HostClockSkewed"),
            ),
        ],
    )
