"""What a stack tells the applications that read its outputs: a contract with a version."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from specs import alertmanager, apm, collector, elk, glitchtip, grafana, inbox, jaeger, links, loki, prometheus
from specs.part import Context
from specs.settings import Delivery, RuntimeKind
from specs.workload import REGISTRY, SecretRef

CONTRACT_VERSION = 1
"""Grows when an output is removed or changes its meaning."""
SCHEMA_VERSION = f"{CONTRACT_VERSION}.1"
"""`<major>.<minor>` of docs/outputs.schema.json: the contract's version, and what grows when an output is added."""


@dataclass(frozen=True, slots=True)
class Made:
    """The name of a secret that only a deployment makes: nobody configures it."""

    key: str


def secrets(value: object) -> Iterator[SecretRef]:
    """The secrets of the configuration that stand anywhere in some outputs."""
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, object]", value).values():
            yield from secrets(item)


def readable(value: object) -> Any:
    """Outputs as text for people: `<secret: KEY>` in the place of each secret."""
    if isinstance(value, SecretRef | Made):
        return f"<secret: {value.key}>"
    if isinstance(value, Mapping):
        return {key: readable(item) for key, item in cast("Mapping[str, object]", value).items()}
    return value


def outputs(context: Context, *, home: str, names: frozenset[str]) -> dict[str, Any]:
    """The stack's outputs. `home` is the directory of a process stack (empty elsewhere), `names` the workloads that run.

    Where a value is secret, its name stands: a SecretRef or Made.
    """
    outside = context.addresses.outside
    settings = context.settings

    def url(workload: str, port: int) -> str | None:
        if workload not in names:
            return None
        return links.public_url(context, workload) or f"http://{outside(workload, port)}"

    urls = {
        prometheus.NAME: links.public_url(context, prometheus.NAME) or url(*prometheus.query_address(context)),
        alertmanager.NAME: url(alertmanager.NAME, alertmanager.PORT),
        grafana.NAME: grafana.address(context) if _has_grafana(context, names) else None,
        loki.NAME: url(*loki.query_address(context)),
        jaeger.NAME: url(jaeger.NAME, jaeger.UI),
        inbox.NAME: url(inbox.NAME, inbox.PORT),
        **_elk_urls(context),
        glitchtip.NAME: url(glitchtip.NAME, glitchtip.PORT),
    }
    otlp_http = f"http://{outside(collector.NAME, collector.OTLP_HTTP)}"
    registry = f"{home}/{REGISTRY.rpartition('/')[2]}" if home else ""
    return {
        "contract_version": CONTRACT_VERSION,
        "schema_version": SCHEMA_VERSION,
        "environment": settings.environment,
        "cluster": settings.cluster,
        "urls": {name: found for name, found in urls.items() if found},
        "otlp": {"grpc": f"http://{outside(collector.NAME, collector.OTLP_GRPC)}", "http": otlp_http},
        "loki": {
            "push_url": f"http://{outside(*loki.push_address(context))}/loki/api/v1/push",
            "otlp_url": f"http://{outside(*loki.push_address(context))}/otlp/v1/logs",
        },
        "metrics": _metrics(context, otlp_http),
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
        "grafana": {"annotations": _annotations(context, names)},
        "logstash": outside(elk.LOGSTASH, elk.LOGSTASH_PORT) if settings.elk else None,
        "elastic_apm_env": _elastic_apm_env(context),
        "sentry_env": _sentry_env(context),
        "docker": _docker(context),
        "kubernetes": _kubernetes(context),
    }


def _docker(context: Context) -> dict[str, Any] | None:
    """How containers of applications reach the stack: published ports are on the host's loopback, which is not theirs."""
    if context.settings.runtime is not RuntimeKind.DOCKER:
        return None
    network = context.settings.docker.network
    name = f"{network}-{collector.NAME}"
    return {
        "network": network,
        "registry": f"{network}-registry",
        "otlp": {"grpc": f"http://{name}:{collector.OTLP_GRPC}", "http": f"http://{name}:{collector.OTLP_HTTP}"},
    }


def _kubernetes(context: Context) -> dict[str, Any] | None:
    """What a NetworkPolicy of an application's namespace names to let its pods send telemetry."""
    if not context.on_cluster:
        return None
    return {
        "namespace": context.settings.kubernetes.namespace,
        "collector": {"app.kubernetes.io/instance": collector.NAME},
        "ports": [collector.OTLP_GRPC, collector.OTLP_HTTP],
    }


def _metrics(context: Context, otlp_http: str) -> dict[str, Any]:
    """Where applications push samples: what one of several replicas takes, the others never hear of."""
    if len(prometheus.receivers(context)) > 1:
        # The collector hands each on to all of them.
        return {"remote_write_url": None, "otlp_url": f"{otlp_http}/v1/metrics"}
    at = f"http://{context.addresses.outside(prometheus.NAME, prometheus.PORT)}"
    return {"remote_write_url": f"{at}/api/v1/write", "otlp_url": f"{at}/api/v1/otlp/v1/metrics"}


def _has_grafana(context: Context, names: frozenset[str]) -> bool:
    return grafana.NAME in names or context.settings.grafana.url is not None


def _elk_urls(context: Context) -> dict[str, str]:
    outside = context.addresses.outside
    if context.settings.elk is None:
        return {}
    return {
        elk.ELASTICSEARCH: f"http://{outside(elk.ELASTICSEARCH, elk.ELASTICSEARCH_PORT)}",
        elk.KIBANA: f"http://{outside(elk.KIBANA, elk.KIBANA_PORT)}",
    }


def _annotations(context: Context, names: frozenset[str]) -> dict[str, Any]:
    """Where a deploy posts its annotation, and with which token: one that only Grafana's provider makes."""
    if not _has_grafana(context, names):
        return {"url": None, "token": None}
    made = grafana.delivery(context.settings) is Delivery.PROVIDER
    return {
        "url": f"{grafana.address(context)}/api/annotations",
        "token": Made(grafana.DEPLOYMENTS) if made else None,
    }


def _elastic_apm_env(context: Context) -> dict[str, Any] | None:
    """Environment block for Elastic's agents, all but the name of the service."""
    if not context.settings.apm:
        return None
    return {
        "ELASTIC_APM_SERVER_URL": f"http://{context.addresses.outside(apm.NAME, apm.PORT)}",
        "ELASTIC_APM_ENVIRONMENT": context.settings.environment,
        "ELASTIC_APM_SECRET_TOKEN": apm.TOKEN,
    }


def _sentry_env(context: Context) -> dict[str, Any] | None:
    """Environment block for Sentry's SDKs; switched off as long as no project, and so no DSN, is named."""
    errors = context.settings.errors
    if errors.to == "off":
        return None
    dsn = {"SENTRY_DSN": errors.dsn.ref} if errors.dsn else {}
    return {
        "ENABLE_SENTRY": "true" if dsn else "false",
        **dsn,
        "SENTRY_ENVIRONMENT": context.settings.environment,
        "SENTRY_TRACES_SAMPLE_RATE": str(errors.traces_sample_rate),
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
                "observability/app": "<app>",
                "observability/service": "<service>",
            },
            "labels": labels,
        }
    return {"kind": "files", "directory": f"{registry}/scrape" if registry else None, "labels": labels}
