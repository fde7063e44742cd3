"""cAdvisor: the containers of the Docker engine that the stack runs on."""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import seconds
from specs.monitoring import Alert, RuleGroup
from specs.part import Context, Monitoring
from specs.programs import CADVISOR
from specs.settings import RuntimeKind, Severity
from specs.workload import HostPaths, KernelLog, Port, Probe, Resources, Workload

NAME = "cadvisor"
DASHBOARD = "exporter-cadvisor"
BY = "by (app, environment, service, instance, name)"
NAMED = 'name!=""'
"""The engine's containers; what has no name is the host as a whole."""
METRICS = ("cpu", "memory", "network", "diskIO", "oom_event")
"""Kinds of metrics, of the twenty that it knows: others walk through filesystems, or are a series for each process."""
LABELS = ("com.docker.compose.project", "com.docker.compose.service")
"""Labels of containers that become labels of their samples; each other one would be a label of every series."""

Path = Annotated[str, Field(pattern=r"^/[^:]+$", examples=["/var/lib/docker"])]
"""An absolute path on the engine's host."""


class CadvisorSettings(ExporterSettings):
    """Settings of `exporters.cadvisor`."""

    socket: Path = "/var/run/docker.sock"
    """The engine's socket on its host; the whole directory is seen, since containerd's lies beside it."""
    data_root: Path = "/var/lib/docker"
    """The engine's directory on its host (`docker info`: Docker Root Dir)."""
    kernel_log: bool = True
    """Whether it reads the kernel's log, which tells of out-of-memory kills; not every engine's host has one to read."""


def _alerts() -> tuple[Alert, ...]:
    periods = f"rate(container_cpu_cfs_{{}}_total{{{{{NAMED}}}}}[5m])"
    alerts = (
        Alert(
            name="ContainerMemoryNearlyFull",
            expr=f"""
max {BY} (container_memory_working_set_bytes{{{NAMED}}})
/ (max {BY} (container_spec_memory_limit_bytes{{{NAMED}}}) > 0)
> $threshold""",
            threshold=0.9,
            for_="10m",
            severity=Severity.WARNING,
            summary="Container {{ $labels.name }} nearly fills its memory",
            description="{{ $value | humanizePercentage }} of its limit is in use (limit $threshold); beyond it the kernel kills it.",
            action="See on its dashboard whether it grows all the time (a leak) or came with load. Then mend it, or raise its limit.",
        ),
        Alert(
            name="ContainerOutOfMemoryKill",
            expr=f"sum {BY} (increase(container_oom_events_total{{{NAMED}}}[10m])) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="The kernel killed a process of container {{ $labels.name }} for want of memory",
            description="{{ $value | humanize }} processes were killed in 10 minutes.",
            action="docker inspect shows OOMKilled and the limit. See that it came back; then find what took the memory, or raise the limit.",
        ),
        Alert(
            name="ContainerThrottled",
            # A container that hardly runs is throttled in half of very few periods: that says nothing.
            expr=f"""
sum {BY} ({periods.format("throttled_periods")})
/ (sum {BY} ({periods.format("periods")}) > 1)
> $threshold""",
            threshold=0.5,
            for_="15m",
            severity=Severity.WARNING,
            summary="Container {{ $labels.name }} waits for its share of the CPU",
            description="It was held back in {{ $value | humanizePercentage }} of the periods in which it ran (limit $threshold).",
            action="Find what it computes; when it should, give it more processors (cpus).",
        ),
        Alert(
            name="ContainerRestarting",
            expr=f"max {BY} (changes(container_start_time_seconds{{{NAMED}}}[15m])) > $threshold",
            threshold=2,
            severity=Severity.WARNING,
            summary="Container {{ $labels.name }} is started again and again",
            description="It was started {{ $value }} times in 15 minutes (limit $threshold).",
            action="docker logs tells what it said before it ended, docker inspect with which status.",
        ),
        Alert(
            name="ContainerUnhealthy",
            expr=f"max {BY} (container_health_state{{{NAMED}}}) == 0",
            for_="10m",
            severity=Severity.WARNING,
            summary="Container {{ $labels.name }} says of itself that it is not healthy",
            description="Its health check has not succeeded for 10 minutes (state is {{ $value }}).",
            action="docker inspect shows what the last checks answered (State.Health.Log); then read its log.",
        ),
        Alert(
            name="ContainersUnknown",
            expr="container_scrape_error > $threshold",
            threshold=0,
            for_="5m",
            severity=Severity.WARNING,
            summary="cAdvisor cannot say which containers there are",
            description="Its last look at the containers failed (error is {{ $value }}): alerts on containers are blind.",
            action="Its log says why: most often the engine's socket, which its settings name.",
        ),
    )
    return tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts)


def _paths(settings: CadvisorSettings) -> HostPaths:
    # Below /rootfs is where it looks for what is its host's and not its own; with /rootfs/proc it does so.
    sockets = str(PurePosixPath(settings.socket).parent)
    return HostPaths(
        (
            (sockets, sockets),
            ("/sys", "/sys"),
            ("/proc", "/rootfs/proc"),
            (settings.data_root, f"/rootfs{settings.data_root}"),
        )
    )


def build(context: Context, settings: CadvisorSettings) -> Exporting:
    """One workload for the engine's containers, of this stack or not."""
    port = settings.port or EXPORTER.port
    workload = Workload(
        name=NAME,
        program=context.program(CADVISOR),
        summary="metrics of the containers",
        ports=(Port(name="http", number=port),),
        args=(
            f"--listen_ip={context.addresses.host()}",
            f"--port={port}",
            f"--docker=unix://{settings.socket}",
            "--docker_only=true",
            f"--enable_metrics={','.join(METRICS)}",
            "--store_container_labels=false",
            f"--whitelisted_container_labels={','.join(LABELS)}",
            # It looks at each container as often as Prometheus asks, and not every second.
            f"--housekeeping_interval={seconds(context.settings.scrape_interval):g}s",
            "--storage_duration=1m",
            "--v=0",
        ),
        probe=Probe(port="http", path="/healthz"),
        resources=Resources(memory="128Mi", cpu="100m"),
        extras=(_paths(settings), *((KernelLog(),) if settings.kernel_log else ())),
        page="/metrics",
    )
    return Exporting(
        workloads=(workload,),
        monitoring=Monitoring(jobs=(context.job(NAME, port),), groups=(RuleGroup(name="cadvisor", alerts=_alerts()),)),
    )


EXPORTER = Exporter(
    name="cadvisor",
    summary="containers of the Docker engine: CPU, memory, network, restarts",
    port=8080,
    settings=CadvisorSettings,
    build=build,
    runtimes=frozenset({RuntimeKind.DOCKER}),
)
