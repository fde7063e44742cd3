"""Where Jaeger keeps spans: a volume of its own, or a store that exists elsewhere and takes several of it."""

from collections.abc import Mapping
from typing import Any

from specs.model import seconds
from specs.settings import Settings, Traces
from specs.workload import CONFIG, SecretRef

_PASSWORD = "secrets/traces-password"  # noqa: S105 - where it is
_KEYSPACE = "jaeger"


def backend(settings: Settings) -> dict[str, Any]:
    """An entry of `jaeger_storage.backends`."""
    traces = settings.traces
    # Go's durations end at hours.
    hours = f"{max(1, round(seconds(settings.retention.traces) / 3600))}h"
    match traces.store:
        case "badger":
            return {
                "badger": {
                    "directories": {"keys": "keys", "values": "values"},
                    "ephemeral": False,
                    "ttl": {"spans": hours},
                }
            }
        case "elasticsearch" | "opensearch":
            return {traces.store: _search(traces, hours)}
        case "cassandra":
            return {"cassandra": _cassandra(traces, hours)}
        case "clickhouse":
            return {"clickhouse": _clickhouse(traces, hours)}


def secrets(settings: Settings) -> Mapping[str, SecretRef]:
    """The file with the password that Jaeger logs in with, where there is one."""
    password = settings.traces.password
    return {_PASSWORD: password.ref} if password else {}


def _login(traces: Traces, password: Mapping[str, str]) -> dict[str, Any]:
    return {"auth": {"basic": {"username": traces.username, **password}}} if traces.username else {}


def _search(traces: Traces, hours: str) -> dict[str, Any]:
    """An index for each day, which Jaeger makes and never deletes (docs/traces.md)."""
    return {
        "server_urls": list(traces.servers),
        **_login(traces, {"password_file": f"{CONFIG}/{_PASSWORD}"}),
        **({"indices": {"index_prefix": traces.database}} if traces.database else {}),
        "max_span_age": hours,
    }


def _cassandra(traces: Traces, hours: str) -> dict[str, Any]:
    return {
        "schema": {
            "keyspace": traces.database or _KEYSPACE,
            "create": True,
            "datacenter": traces.datacenter,
            "replication_factor": min(3, len(traces.servers)),
            "trace_ttl": hours,
            "dependencies_ttl": hours,
        },
        "connection": {
            "servers": list(traces.servers),
            **_login(traces, {"password": f"${{file:{CONFIG}/{_PASSWORD}}}"}),
            "tls": {} if traces.tls else {"insecure": True},
        },
    }


def _clickhouse(traces: Traces, hours: str) -> dict[str, Any]:
    return {
        "addresses": list(traces.servers),
        "database": traces.database or _KEYSPACE,
        **_login(traces, {"password": f"${{file:{CONFIG}/{_PASSWORD}}}"}),
        **({"tls": {}} if traces.tls else {}),
        "create_schema": True,
        "ttl": hours,
    }
