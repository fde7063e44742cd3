"""What exporters tell of the things that a system stands on, as far as signals and alerts look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from specs.profile import Kind, Metric
from specs.signal import Signal, Unit

GIB: Final = 2**30
_DISK: Final = {"device": ("/dev/vda1",), "fstype": ("ext4",), "mountpoint": ("/", "/var/lib/postgresql")}
_DATABASE: Final = {"datname": ("app", "postgres")}
_TASK: Final = {"worker": ("celery@worker-1",), "task": ("sync", "send")}
_EVENT: Final = {"type": ("task-received", "task-started", "task-succeeded", "task-failed")}


def _gauge(healthy: float, **labels: tuple[str, ...]) -> Metric:
    return Metric(kind=Kind.GAUGE, labels=labels, healthy=healthy)


def _counter(healthy: float, **labels: tuple[str, ...]) -> Metric:
    return Metric(kind=Kind.COUNTER, labels=labels, healthy=healthy)


EXPORTED: Final[Mapping[str, Mapping[str, Metric]]] = {
    "node": {
        # Two cores: two seconds of CPU time a second, whatever they do.
        "node_cpu_seconds_total": _counter(2, cpu=("0", "1"), mode=("idle", "user", "system", "iowait")),
        "node_memory_MemTotal_bytes": _gauge(8 * GIB),
        "node_memory_MemAvailable_bytes": _gauge(5 * GIB),
        "node_filesystem_size_bytes": _gauge(100 * GIB, **_DISK),
        "node_filesystem_avail_bytes": _gauge(65 * GIB, **_DISK),
        "node_filesystem_files": _gauge(6_000_000, **_DISK),
        "node_filesystem_files_free": _gauge(5_000_000, **_DISK),
        "node_filesystem_readonly": _gauge(0, **_DISK),
        "node_disk_io_time_seconds_total": _counter(0.08, device=("vda",)),
        "node_disk_read_bytes_total": _counter(200_000, device=("vda",)),
        "node_disk_written_bytes_total": _counter(900_000, device=("vda",)),
        "node_network_receive_bytes_total": _counter(400_000, device=("eth0",)),
        "node_network_transmit_bytes_total": _counter(600_000, device=("eth0",)),
        "node_load1": _gauge(0.5),
    },
    "postgres": {
        "pg_up": _gauge(1),
        "pg_settings_max_connections": _gauge(300),
        "pg_stat_database_numbackends": _gauge(9, **_DATABASE),
        "pg_stat_database_xact_commit": _counter(40, **_DATABASE),
        "pg_stat_database_xact_rollback": _counter(0.1, **_DATABASE),
        "pg_stat_database_blks_hit": _counter(4000, **_DATABASE),
        "pg_stat_database_blks_read": _counter(20, **_DATABASE),
        "pg_stat_database_deadlocks": _counter(0, **_DATABASE),
        "pg_database_size_bytes": _gauge(3 * GIB, **_DATABASE),
        "pg_stat_statements_seconds_total": _counter(0.4, queryid=tuple(str(10_000 + each) for each in range(12))),
        "pg_stat_statements_calls_total": _counter(60, queryid=tuple(str(10_000 + each) for each in range(12))),
    },
    "redis": {
        "redis_up": _gauge(1),
        "redis_memory_used_bytes": _gauge(60_000_000),
        "redis_memory_max_bytes": _gauge(GIB),
        "redis_connected_clients": _gauge(12),
        "redis_blocked_clients": _gauge(0),
        "redis_keyspace_hits_total": _counter(95),
        "redis_keyspace_misses_total": _counter(4),
        "redis_evicted_keys_total": _counter(0),
        "redis_rejected_connections_total": _counter(0),
        "redis_commands_processed_total": _counter(120),
    },
    "nginx": {
        "nginx_up": _gauge(1),
        "nginx_connections_active": _gauge(30),
        "nginx_connections_reading": _gauge(1),
        "nginx_connections_writing": _gauge(4),
        "nginx_connections_waiting": _gauge(25),
        "nginx_connections_accepted": _counter(6),
        "nginx_connections_handled": _counter(6),
        "nginx_http_requests_total": _counter(20),
    },
    "celery": {
        "flower_worker_online": _gauge(1, worker=("celery@worker-1",)),
        "flower_worker_number_of_currently_executing_tasks": _gauge(1, worker=("celery@worker-1",)),
        "flower_worker_prefetched_tasks": _gauge(1, **_TASK),
        "flower_task_prefetch_time_seconds": _gauge(0.2, **_TASK),
        "flower_events_total": _counter(2, **_TASK, **_EVENT),
        "flower_task_runtime_seconds": Metric(kind=Kind.HISTOGRAM, labels=_TASK, healthy=0.4),
    },
}
"""By exporter: its metrics, with what is usual."""

CAPACITY: Final = frozenset({
    "node_memory_MemTotal_bytes",
    "node_filesystem_size_bytes",
    "node_filesystem_files",
    "redis_memory_max_bytes",
})  # fmt: skip
"""Gauges that never move."""

COMPLEMENTS: Final = frozenset({"host_memory", "host_disk"})
"""Named signals that are 1 less what EQUIVALENTS has for them."""


def _signal(**how: object) -> Signal:
    return Signal.model_validate({"title": "the same, by another kind", "unit": Unit.RATIO, **how})


EQUIVALENTS: Final[Mapping[str, Signal]] = {
    "host_cpu": _signal(share="node_cpu_seconds_total", where={"mode": "!idle"}),
    "host_memory": _signal(ratio="node_memory_MemAvailable_bytes", to="node_memory_MemTotal_bytes"),
    "host_memory_available": _signal(ratio="node_memory_MemAvailable_bytes", to="node_memory_MemTotal_bytes"),
    "host_disk": _signal(ratio="node_filesystem_avail_bytes", to="node_filesystem_size_bytes", by=("mountpoint",)),
    "host_disk_io": _signal(rate="node_disk_io_time_seconds_total", by=("device",)),
    "host_network_in": _signal(rate="node_network_receive_bytes_total", unit=Unit.BYTES_PER_SECOND),
    "host_network_out": _signal(rate="node_network_transmit_bytes_total", unit=Unit.BYTES_PER_SECOND),
    "postgres_connection_share": _signal(ratio="pg_stat_database_numbackends", to="pg_settings_max_connections"),
    "probe_p95": _signal(value="probe_duration_seconds", combine="max", by=("probe",), unit=Unit.SECONDS),
}
"""Named signals whose PromQL another kind of signal can say about one host, server or page."""
