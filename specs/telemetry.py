"""The own telemetry of programs that are built on the OpenTelemetry Collector: Jaeger and the collector itself."""

from typing import Any

from specs.addresses import Addresses


def own(addresses: Addresses, port: int) -> dict[str, Any]:
    """`service.telemetry`: warnings to the log, metrics to be scraped at `port`."""
    exporter = {"prometheus": {"host": addresses.host(), "port": addresses.port(port)}}
    return {
        "logs": {"level": "warn"},
        "metrics": {"level": "normal", "readers": [{"pull": {"exporter": exporter}}]},
    }
