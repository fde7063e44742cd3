"""What programs that are built on the OpenTelemetry Collector have in common: Jaeger and the collectors themselves."""

from collections.abc import Mapping
from typing import Any

from specs.addresses import Addresses
from specs.part import Context

FOREVER = {"max_elapsed_time": "0s"}
"""Retries of a receiver of files or an exporter: what it has is handed on whenever that is possible again."""


def own(addresses: Addresses, port: int, resource: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`service.telemetry`: warnings to the log, metrics to be scraped at `port`. `resource` is what the program says of
    itself."""
    exporter = {"prometheus": {"host": addresses.host(), "port": addresses.port(port)}}
    return {
        **({"resource": dict(resource)} if resource else {}),
        "logs": {"level": "warn"},
        "metrics": {"level": "normal", "readers": [{"pull": {"exporter": exporter}}]},
    }


def takes(context: Context, port: int) -> dict[str, Any]:
    """A gRPC server at `port`. On a cluster a connection to a Service stays with the replica that it met first, so
    clients are asked to dial anew now and then: else a replica that comes back would have nothing to do."""
    spread: dict[str, Any] = {
        "keepalive": {"server_parameters": {"max_connection_age": "1m", "max_connection_age_grace": "30s"}}
    }
    return {"endpoint": context.addresses.listen(port), **(spread if context.on_cluster else {})}
