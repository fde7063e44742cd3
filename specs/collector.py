"""The OpenTelemetry Collector: every span and log line passes through it."""

from collections.abc import Sequence
from typing import Any

from specs import collector_watch, history, jaeger, load, log_files, loki, prometheus, sampling, sizing, telemetry
from specs.elk import feed
from specs.log_formats import NORMAL
from specs.model import seconds
from specs.monitoring import to_yaml
from specs.part import Context, Monitoring
from specs.programs import COLLECTOR
from specs.workload import CONFIG, Check, Identity, Outward, Port, Probe, Registry, Resources, Volume, Workload

NAME = "collector"
OTLP_GRPC = 4317
OTLP_HTTP = 4318
THRIFT_COMPACT = 6831
THRIFT_BINARY = 6832
THRIFT_HTTP = 14268
JAEGER_GRPC = 14250
ZIPKIN = 9411
HEALTH = 13133
METRICS = 8888
MEMORY = "512Mi"
"""What it has at least; its limiter follows what it really has (docs/sizing.md)."""
WAITING = 256 * 1024**2
"""Bytes of log lines that wait on disk for Loki, about 800,000 lines."""
AGENT = "agent"
"""The collector on every node of a cluster (specs.agent)."""


def monitoring(context: Context) -> Monitoring:
    """How the collector is watched, and its kind with it."""
    kind = (AGENT, NAME, sampling.NAME) if context.on_cluster else (NAME,)
    return Monitoring(
        jobs=(context.job(NAME, METRICS),),
        groups=(collector_watch.group(NAME, kind, lines=_flood(context), window=_window(context)),),
    )


def _flood(context: Context) -> float:
    """Log lines a second that one collector is not sized for: ten times its part."""
    return max(1_000.0, 10 * load.demand(context).lines / context.scale.collector)


def _window(context: Context) -> str:
    """What a rate of a flood is taken over: as short as scrapes allow."""
    return f"{max(60, 4 * round(seconds(context.settings.scrape_interval)))}s"


def _transform(statements: Sequence[str]) -> dict[str, Any]:
    return {"error_mode": "silent", "log_statements": list(statements)}


def _events(context: Context) -> dict[str, Any]:
    """What takes the alert history in, and the pipeline that it goes through."""
    receiver = "file_log/alert_history" if context.on_one_machine else "webhookevent/alert_history"
    made = history.file_receiver() if context.on_one_machine else history.webhook_receiver(context)
    return {
        "receivers": {receiver: made},
        "processors": {"transform/alert_history": _transform(history.statements(context))},
        "service": {
            "pipelines": {
                "logs/alert_history": {
                    "receivers": [receiver],
                    "processors": ["memory_limiter", "transform/alert_history", "resource"],
                    "exporters": ["otlp_http/loki"],
                }
            }
        },
    }


_LOG_PROCESSORS = ("memory_limiter", "resource", "transform/logs")
_SPANS = ("otlp", "jaeger", "zipkin")
"""What takes spans in."""


def _elk(context: Context) -> dict[str, Any]:
    """`elk.yml` as a value."""
    return feed.configuration(context, ("otlp", *log_files.receivers(context)), _LOG_PROCESSORS)


def _to_prometheus(context: Context) -> dict[str, Any]:
    """Exporters to every replica of Prometheus, each with a queue of its own: one that is away holds up no other."""
    path = "/api/v1/otlp"
    if not context.on_cluster:
        return {
            "otlp_http/prometheus": {
                "endpoint": f"http://{context.addresses.dial(prometheus.NAME, prometheus.PORT)}{path}"
            }
        }
    each = prometheus.receivers(context)
    return {
        f"otlp_http/prometheus-{index}": {"endpoint": f"http://{address}{path}"} for index, address in enumerate(each)
    }


def _to_stores(context: Context) -> dict[str, Any]:
    """Exporters to whatever keeps spans, log lines and metrics."""
    return {
        **({} if sampling.apart(context) else {"otlp_grpc/jaeger": jaeger.exporter(context, storage="file_storage")}),
        "otlp_http/loki": {
            "endpoint": f"http://{context.addresses.dial(*loki.push_address(context))}/otlp",
            # What waits for Loki waits on disk. When there is no more room, nothing more is taken in, and files wait.
            "retry_on_failure": {**telemetry.FOREVER},
            "sending_queue": {
                "storage": "file_storage",
                "block_on_overflow": True,
                "sizer": "bytes",
                "queue_size": WAITING,
                "batch": {"flush_timeout": "1s", "min_size": 100_000, "max_size": 1_000_000},
            },
        },
        **_to_prometheus(context),
    }


def _of_traces(context: Context) -> dict[str, Any]:
    """Pipelines of spans. Where they are sampled, span metrics are made of all of them nevertheless."""
    whole = {"receivers": list(_SPANS), "processors": ["memory_limiter", "resource", "batch"]}
    if context.settings.traces.sampling is None:
        return {"traces": {**whole, "exporters": ["otlp_grpc/jaeger", "span_metrics"]}}
    if sampling.apart(context):
        # Which exporters these are beside, sampling.yml says.
        return {"traces": {**whole, "exporters": ["span_metrics"]}}
    return {
        "traces": {**whole, "exporters": ["span_metrics"]},
        "traces/kept": {
            "receivers": list(_SPANS),
            "processors": ["memory_limiter", "resource", sampling.PROCESSOR, "batch"],
            "exporters": ["otlp_grpc/jaeger"],
        },
    }


def _senders(context: Context) -> dict[str, Any]:
    """Tells metrics of an application's replicas apart where it does not do so itself: on a cluster, by the address that
    they come from. They would be one series otherwise, whose counters jump."""
    if not context.on_cluster:
        return {}
    address = "k8s.pod.ip"
    named = {"key": "service.instance.id", "from_attribute": address, "action": "insert"}
    return {
        # The address of the connection alone: nobody is asked about the pod.
        "k8s_attributes": {"passthrough": True},
        "resource/instance": {"attributes": [named, {"key": address, "action": "delete"}]},
    }


def _processors(context: Context) -> dict[str, Any]:
    settings = context.settings
    asked = settings.traces.sampling
    return {
        "memory_limiter": sizing.limiter(sizing.collector_memory(context, NAME, MEMORY)),
        "batch": {"timeout": "1s"},
        # `insert` leaves what the application said about itself.
        "resource": {
            "attributes": [
                {"key": "environment", "value": settings.environment, "action": "insert"},
                {"key": "deployment.environment.name", "value": settings.environment, "action": "insert"},
                {"key": "cluster", "value": settings.cluster, "action": "insert"},
                {"key": "app", "from_attribute": "service.namespace", "action": "insert"},
                {"key": "app", "from_attribute": "service.name", "action": "insert"},
            ]
        },
        **_senders(context),
        "transform/logs": _transform((*log_files.in_seconds(context), *NORMAL)),
        **({sampling.PROCESSOR: sampling.processor(asked)} if asked and not sampling.apart(context) else {}),
    }


def configuration(context: Context) -> dict[str, Any]:
    """`collector.yml` as a value, all but the alert history, the samplers and what Elasticsearch gets."""
    addresses = context.addresses
    files = log_files.receivers(context)
    logs = {"receivers": ["otlp", *files], "processors": list(_LOG_PROCESSORS)}
    # Several collectors count spans of one service: by this label their series are not each other's. The name of a
    # replica stays when it starts again, unlike what the connector makes up otherwise.
    who = {"collector.instance.id": "${env:POD_NAME}"} if context.on_cluster else None
    return {
        "extensions": {
            "health_check": {"endpoint": addresses.listen(HEALTH)},
            "file_storage": {"directory": "storage", "create_directory": True},
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": telemetry.takes(context, OTLP_GRPC),
                    "http": {"endpoint": addresses.listen(OTLP_HTTP)},
                }
            },
            # Today's Jaeger has no agent: applications with old clients send to the collector, which hands on OTLP.
            "jaeger": {
                "protocols": {
                    "thrift_compact": {"endpoint": addresses.listen(THRIFT_COMPACT)},
                    "thrift_binary": {"endpoint": addresses.listen(THRIFT_BINARY)},
                    "thrift_http": {"endpoint": addresses.listen(THRIFT_HTTP)},
                    "grpc": {"endpoint": addresses.listen(JAEGER_GRPC)},
                }
            },
            "zipkin": {"endpoint": addresses.listen(ZIPKIN)},
            **files,
        },
        "processors": _processors(context),
        "connectors": {
            "span_metrics": {
                "namespace": "traces.span.metrics",
                "histogram": {
                    "unit": "s",
                    "explicit": {"buckets": ["5ms", "25ms", "100ms", "250ms", "500ms", "1s", "2s", "5s", "10s"]},
                },
                "dimensions": [
                    {"name": "http.route"},
                    {"name": "http.request.method"},
                    {"name": "http.response.status_code"},
                ],
                "exemplars": {"enabled": True},
                "metrics_flush_interval": "15s",
                "metrics_expiration": "10m",
                "resource_metrics_key_attributes": ["service.name", "app", "environment"],
            }
        },
        "exporters": _to_stores(context),
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                **_of_traces(context),
                "metrics": {
                    "receivers": ["otlp", "span_metrics"],
                    "processors": ["memory_limiter", *_senders(context), "resource", "batch"],
                    "exporters": list(_to_prometheus(context)),
                },
                **({} if feed.instead(context) else {"logs": {**logs, "exporters": ["otlp_http/loki"]}}),
            },
            "telemetry": telemetry.own(addresses, METRICS, who),
        },
    }


def workload(context: Context) -> Workload:
    """The collector as the one way in for traces and logs."""
    # What takes posted events is not in every build of the collector, so a checker may not know it.
    checked = ("collector.yml", "alert-history.yml") if context.on_one_machine else ("collector.yml",)
    files = {
        "collector.yml": to_yaml(configuration(context)),
        "alert-history.yml": to_yaml(_events(context)),
        **({feed.FILE: to_yaml(_elk(context))} if feed.feeds(context) else {}),
        **({sampling.FILE: to_yaml(sampling.handing_on(context, "span_metrics"))} if sampling.apart(context) else {}),
    }
    return Workload(
        name=NAME,
        program=context.program(COLLECTOR),
        summary="takes traces, logs and metrics in and hands them on",
        ports=(
            Port(name="otlp-http", number=OTLP_HTTP, published=True),
            Port(name="otlp-grpc", number=OTLP_GRPC, published=True),
            Port(name="thrift-compact", number=THRIFT_COMPACT, protocol="udp", published=True),
            Port(name="thrift-binary", number=THRIFT_BINARY, protocol="udp", published=True),
            Port(name="thrift-http", number=THRIFT_HTTP, published=True),
            Port(name="jaeger-grpc", number=JAEGER_GRPC, published=True),
            Port(name="zipkin", number=ZIPKIN, published=True),
            Port(name="health", number=HEALTH),
            Port(name="metrics", number=METRICS),
            *(() if context.on_one_machine else (Port(name="alert-history", number=history.PORT),)),
        ),
        # Files that the collector merges; the first is whole without the others.
        args=tuple(f"--config={CONFIG}/{name}" for name in files),
        files=files,
        secrets=feed.secrets(context),
        probe=Probe(port="health", path="/"),
        checks=(Check(("otelcol", "validate", *(f"--config={name}" for name in checked))),),
        resources=Resources(memory=MEMORY, cpu="100m"),
        volume=Volume("2Gi"),
        extras=(Identity(), Outward())
        if context.on_cluster
        else (Registry(), *log_files.host_paths(context), Outward()),
        replicas=context.scale.collector,
    )
