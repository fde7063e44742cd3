"""Containers of a Docker engine, as cAdvisor sees them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.boards import EACH, board, fill, generic
from dashboards.limits import Limits
from dashboards.panels import Column, graph, lights, table_of

FOLDER = "exporters"
_RATE = "[$__rate_interval]"
_NAME = "{{name}}"
_BY = "by (instance, name)"
# What has no name is the host as a whole.
_EACH = f'{EACH}, name!=""'


def _now(metric: str) -> str:
    return f"max {_BY} ({metric}{{{_EACH}}})"


def _rate(metric: str) -> str:
    return f"sum {_BY} (rate({metric}{{{_EACH}}}{_RATE}))"


def dashboard(limits: Limits) -> Dashboard:
    """What each container takes of what it may take, and whether it stays up."""
    onto = board("Containers", description="Containers of the Docker engine.", tags=["exporter", "hosts"])
    of_limit = f"{_now('container_memory_working_set_bytes')} / ({_now('container_spec_memory_limit_bytes')} > 0)"
    throttled = (
        f"{_rate('container_cpu_cfs_throttled_periods_total')} / ({_rate('container_cpu_cfs_periods_total')} > 1)"
    )
    restarts = f"max {_BY} (changes(container_start_time_seconds{{{_EACH}}}[1h]))"
    return fill(
        generic(onto, "container_start_time_seconds"),
        [
            lights(
                "Status",
                description="Whether cAdvisor itself can be scraped.",
                queries=[(f'up{{job="cadvisor", {EACH}}}', "{{instance}}")],
            ),
            table_of(
                "Containers",
                description="What each has now, what takes most memory first.",
                columns=[
                    Column(title="CPU cores", expr=_rate("container_cpu_usage_seconds_total")),
                    Column(title="Memory", expr=_now("container_memory_working_set_bytes"), unit="bytes"),
                    Column(
                        title="Of its limit",
                        expr=of_limit,
                        unit="percentunit",
                        limits=limits.of("ContainerMemoryNearlyFull"),
                    ),
                    Column(title="Starts in an hour", expr=restarts),
                    Column(title="Runs for", expr=f"time() - {_now('container_start_time_seconds')}", unit="s"),
                ],
                labels=["name"],
                hidden=["instance"],
                sort_by="Memory",
                width=24,
            ),
            graph(
                "Memory of the Limit",
                description="Memory in use that cannot be freed, as a part of what the container may take.",
                unit="percentunit",
                queries=[(of_limit, _NAME)],
                limits=limits.of("ContainerMemoryNearlyFull"),
            ),
            graph(
                "Memory",
                description="Memory in use that cannot be freed.",
                unit="bytes",
                queries=[(_now("container_memory_working_set_bytes"), _NAME)],
            ),
            graph(
                "CPU",
                description="Processors in use.",
                unit="short",
                queries=[(_rate("container_cpu_usage_seconds_total"), _NAME)],
            ),
            graph(
                "Held Back",
                description="Part of the periods in which the container wanted more CPU than it may have.",
                unit="percentunit",
                queries=[(throttled, _NAME)],
                limits=limits.of("ContainerThrottled"),
            ),
            graph(
                "Network",
                description="Bytes that came in, and that went out.",
                unit="binBps",
                queries=[
                    (_rate("container_network_receive_bytes_total"), f"{_NAME} in"),
                    (_rate("container_network_transmit_bytes_total"), f"{_NAME} out"),
                ],
            ),
            graph(
                "Disk",
                description="Bytes that were read, and that were written.",
                unit="binBps",
                queries=[
                    (_rate("container_fs_reads_bytes_total"), f"{_NAME} read"),
                    (_rate("container_fs_writes_bytes_total"), f"{_NAME} written"),
                ],
            ),
            graph(
                "Starts",
                description="How often each container was started in a quarter of an hour.",
                unit="short",
                queries=[(f"max {_BY} (changes(container_start_time_seconds{{{_EACH}}}[15m]))", _NAME)],
                limits=limits.of("ContainerRestarting"),
            ),
            graph(
                "Out-of-Memory Kills",
                description="Processes that the kernel killed in ten minutes, as its log tells.",
                unit="short",
                queries=[(f"sum {_BY} (increase(container_oom_events_total{{{_EACH}}}[10m]))", _NAME)],
                limits=limits.of("ContainerOutOfMemoryKill"),
            ),
        ],
    )
