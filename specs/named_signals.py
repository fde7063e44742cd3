"""The named signals: what most systems share, defined once. Profiles refer to them by name."""

from collections.abc import Mapping

from specs.exporters.node import REAL
from specs.profile import Http, Profile
from specs.signal import Signal, Unit


def _http(http: Http) -> dict[str, Signal]:
    failed = {http.status: "5.."}

    def latency(quantile: float) -> Signal:
        return Signal(
            title=f"Response Time (p{quantile * 100:g})",
            description=f"{quantile:.0%} of the answers take no longer.",
            unit=Unit.SECONDS,
            quantile=quantile,
            of=http.duration,
        )

    return {
        "http_rate": Signal(
            title="Request Rate", description="Requests answered.", unit=Unit.PER_SECOND, rate=http.requests
        ),
        "http_errors": Signal(
            title="Server Errors",
            description="Answers with a status of 500 to 599.",
            unit=Unit.PER_SECOND,
            rate=http.requests,
            where=failed,
        ),
        "http_error_share": Signal(
            title="Error Rate",
            description="Share of the requests that end in a status of 500 to 599.",
            unit=Unit.RATIO,
            share=http.requests,
            where=failed,
        ),
        "http_p50": latency(0.5),
        "http_p95": latency(0.95),
        "http_p99": latency(0.99),
    }


_ALWAYS = {
    "targets_up": Signal(
        title="Targets Up",
        description="1 while every target of the service answers Prometheus.",
        unit=Unit.STATE,
        value="up",
        combine="min",
    ),
    "process_cpu": Signal(
        title="Process CPU", description="CPU cores that the processes use.", rate="process_cpu_seconds_total"
    ),
    "process_memory": Signal(
        title="Process Memory",
        description="Resident memory of the processes.",
        unit=Unit.BYTES,
        value="process_resident_memory_bytes",
    ),
    "memory_growth": Signal(
        title="Memory Growth",
        description="How much resident memory grew in the slowest quarter of the last hour.",
        unit=Unit.BYTES,
        growth="process_resident_memory_bytes",
        by=("instance",),
    ),
    "probe_success": Signal(
        title="Health Checks",
        description="1 while the page answers a knock from outside.",
        unit=Unit.STATE,
        value="probe_success",
        combine="min",
        by=("probe",),
    ),
    "probe_duration": Signal(
        title="Health Check Duration",
        description="How long the page takes to answer a knock from outside.",
        unit=Unit.SECONDS,
        value="probe_duration_seconds",
        combine="max",
        by=("probe",),
    ),
    "probe_p95": Signal(
        title="Page Load (p95)",
        description="95% of the knocks of the last half hour were answered faster.",
        unit=Unit.SECONDS,
        promql="max by ($by) (quantile_over_time(0.95, probe_duration_seconds{$scope}[$window]))",
        window="30m",
        by=("probe",),
    ),
    "certificate_days": Signal(
        title="Certificate Days Left",
        description="Days until the first certificate of the chain ends.",
        promql="min by ($by) ((probe_ssl_earliest_cert_expiry{$scope} - time()) / 86400)",
        by=("probe",),
    ),
}

BY_EXPORTER: Mapping[str, Mapping[str, Signal]] = {
    "node": {
        "host_cpu": Signal(
            title="CPU Usage",
            description="Share of the CPU time that is not idle.",
            unit=Unit.RATIO,
            promql='avg by ($by) (1 - rate(node_cpu_seconds_total{mode="idle", $scope}[$window]))',
            by=("instance",),
        ),
        "host_memory": Signal(
            title="Memory Usage",
            description="Share of the memory that is not available.",
            unit=Unit.RATIO,
            promql="max by ($by) (1 - node_memory_MemAvailable_bytes{$scope} / node_memory_MemTotal_bytes{$scope})",
            by=("instance",),
        ),
        "host_memory_available": Signal(
            title="Memory Available",
            description="Share of the memory that programs can still get.",
            unit=Unit.RATIO,
            promql="min by ($by) (node_memory_MemAvailable_bytes{$scope} / node_memory_MemTotal_bytes{$scope})",
            by=("instance",),
        ),
        "host_disk": Signal(
            title="Disk Usage",
            description="Share of each real filesystem that is taken.",
            unit=Unit.RATIO,
            promql=(
                f"max by ($by) (1 - node_filesystem_avail_bytes{{{REAL}, $scope}}"
                f" / node_filesystem_size_bytes{{{REAL}, $scope}})"
            ),
            by=("instance", "mountpoint"),
        ),
        "host_disk_io": Signal(
            title="Disk I/O",
            description="Share of the time that a disk is busy.",
            unit=Unit.RATIO,
            promql="max by ($by) (rate(node_disk_io_time_seconds_total{$scope}[$window]))",
            by=("instance", "device"),
        ),
        "host_network_in": Signal(
            title="Network Received",
            description="Bytes that reach the host, without the loopback.",
            unit=Unit.BYTES_PER_SECOND,
            promql='sum by ($by) (rate(node_network_receive_bytes_total{device!="lo", $scope}[$window]))',
            by=("instance",),
        ),
        "host_network_out": Signal(
            title="Network Sent",
            description="Bytes that leave the host, without the loopback.",
            unit=Unit.BYTES_PER_SECOND,
            promql='sum by ($by) (rate(node_network_transmit_bytes_total{device!="lo", $scope}[$window]))',
            by=("instance",),
        ),
    },
    "postgres": {
        "postgres_connections": Signal(
            title="Database Connections",
            description="Connections to all databases of a server.",
            value="pg_stat_database_numbackends",
            by=("instance",),
        ),
        "postgres_connection_share": Signal(
            title="Connections in Use",
            description="Share of max_connections that is taken.",
            unit=Unit.RATIO,
            promql=(
                "sum by ($by) (pg_stat_database_numbackends{$scope}) / max by ($by) (pg_settings_max_connections{$scope})"
            ),
            by=("instance",),
        ),
        "postgres_transactions": Signal(
            title="Transactions",
            description="Transactions committed.",
            unit=Unit.PER_SECOND,
            rate="pg_stat_database_xact_commit",
        ),
        "postgres_cache_hit_ratio": Signal(
            title="Database Cache Hit Rate",
            description="Share of the blocks that PostgreSQL found in its own cache.",
            unit=Unit.RATIO,
            part="pg_stat_database_blks_hit",
            rest="pg_stat_database_blks_read",
        ),
        "postgres_slow_statements": Signal(
            title="Top Slow Queries",
            description="Seconds a second that the ten costliest statements take.",
            unit=Unit.SECONDS,
            promql="topk(10, sum by ($by) (rate(pg_stat_statements_seconds_total{$scope}[$window])))",
            by=("queryid",),
        ),
    },
    "redis": {
        "cache_hit_ratio": Signal(
            title="Cache Hit Rate",
            description="Share of the lookups that found their key.",
            unit=Unit.RATIO,
            part="redis_keyspace_hits_total",
            rest="redis_keyspace_misses_total",
        ),
        "redis_memory": Signal(
            title="Cache Memory",
            description="Memory that Redis uses.",
            unit=Unit.BYTES,
            value="redis_memory_used_bytes",
        ),
        "redis_evictions": Signal(
            title="Cache Evictions",
            description="Keys thrown out to make room.",
            unit=Unit.PER_SECOND,
            rate="redis_evicted_keys_total",
        ),
        "redis_clients": Signal(
            title="Cache Clients", description="Connected clients.", value="redis_connected_clients"
        ),
        "redis_up": Signal(
            title="Redis PING",
            description="1 while Redis answers its exporter.",
            unit=Unit.STATE,
            value="redis_up",
            combine="min",
        ),
    },
    "nginx": {
        "nginx_requests": Signal(
            title="nginx Requests",
            description="Requests that nginx took.",
            unit=Unit.PER_SECOND,
            rate="nginx_http_requests_total",
        ),
        "nginx_connections": Signal(
            title="nginx Connections", description="Connections open now.", value="nginx_connections_active"
        ),
    },
    "celery": {
        "celery_workers": Signal(
            title="Worker Health",
            description="1 while the worker sends its heartbeat.",
            unit=Unit.STATE,
            value="flower_worker_online",
            combine="min",
            by=("worker",),
        ),
        "celery_tasks": Signal(
            title="Tasks",
            description="Tasks by what became of them.",
            unit=Unit.PER_SECOND,
            rate="flower_events_total",
            by=("type",),
        ),
        "celery_failures": Signal(
            title="Failed Tasks",
            description="Tasks that ended in an exception.",
            unit=Unit.PER_SECOND,
            rate="flower_events_total",
            where={"type": "task-failed"},
        ),
        "celery_runtime_p95": Signal(
            title="Task Runtime (p95)",
            description="95% of the tasks take no longer, as flower sees them.",
            unit=Unit.SECONDS,
            quantile=0.95,
            of="flower_task_runtime_seconds",
        ),
        "celery_prefetched": Signal(
            title="Tasks Waiting at Workers",
            description="Tasks that a worker holds and has not begun.",
            value="flower_worker_prefetched_tasks",
        ),
    },
}
"""By what a system stands on."""


def named(profile: Profile) -> dict[str, Signal]:
    """The named signals that the system has, by what it declares it stands on."""
    found = dict(_ALWAYS)
    if profile.http is not None:
        found |= _http(profile.http)
    for exporter in profile.exporters:
        found |= BY_EXPORTER[exporter]
    return found


def signals(profile: Profile) -> dict[str, Signal]:
    """Every signal that the profile may refer to: its own, and the named ones."""
    return {**named(profile), **profile.signals}
