"""What a stack tells the applications that read its outputs: a contract with a version."""

from typing import Any

from specs import alertmanager, collector, grafana, inbox, jaeger, loki, prometheus
from specs.part import Context
from specs.settings import RuntimeKind
from specs.workload import REGISTRY

CONTRACT_VERSION = 1
"""Grows when an output is removed or changes its meaning."""


def outputs(context: Context, *, home: str, names: frozenset[str]) -> dict[str, Any]:
    """The stack's outputs. `home` is the directory of a process stack (empty elsewhere), `names` the workloads that run."""
    outside = context.addresses.outside
    settings = context.settings

    def url(workload: str, port: int) -> str | None:
        return f"http://{outside(workload, port)}" if workload in names else None

    urls = {
        prometheus.NAME: url(prometheus.NAME, prometheus.PORT),
        alertmanager.NAME: url(alertmanager.NAME, alertmanager.PORT),
        grafana.NAME: url(grafana.NAME, grafana.PORT),
        loki.NAME: url(loki.NAME, loki.PORT),
        jaeger.NAME: url(jaeger.NAME, jaeger.UI),
        inbox.NAME: url(inbox.NAME, inbox.PORT),
    }
    otlp_http = f"http://{outside(collector.NAME, collector.OTLP_HTTP)}"
    registry = f"{home}/{REGISTRY.rpartition('/')[2]}" if home else ""
    return {
        "contract_version": CONTRACT_VERSION,
        "environment": settings.environment,
        "cluster": settings.cluster,
        "urls": {name: found for name, found in urls.items() if found},
        "otlp": {"grpc": f"http://{outside(collector.NAME, collector.OTLP_GRPC)}", "http": otlp_http},
        "loki": {
            "push_url": f"http://{outside(loki.NAME, loki.PORT)}/loki/api/v1/push",
            "otlp_url": f"http://{outside(loki.NAME, loki.PORT)}/otlp/v1/logs",
        },
        "metrics": {
            "remote_write_url": f"http://{outside(prometheus.NAME, prometheus.PORT)}/api/v1/write",
            "otlp_url": f"http://{outside(prometheus.NAME, prometheus.PORT)}/api/v1/otlp/v1/metrics",
        },
        "otel_env": {
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={settings.environment},environment={settings.environment}",
            "OTEL_PROPAGATORS": "tracecontext,baggage",
        },
        "scrape": _scrape(context, registry),
        "logs": {
            "directory": f"{registry}/logs" if registry else None,
            "json": "<app>/<service>.json",
            "text": "<app>/<service>.log",
        },
    }


def _scrape(context: Context, registry: str) -> dict[str, Any]:
    """How an application registers to be scraped on this runtime."""
    labels = {"environment": context.settings.environment}
    if context.settings.runtime is RuntimeKind.KUBERNETES:
        return {
            "kind": "annotations",
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "<port>",
                "prometheus.io/path": "/metrics",
            },
            "labels": labels,
        }
    return {"kind": "files", "directory": f"{registry}/scrape" if registry else None, "labels": labels}
