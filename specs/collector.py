"""The OpenTelemetry Collector: every span and log line passes through it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from specs import history, jaeger, log_paths, loki, prometheus, telemetry
from specs.elk import feed
from specs.log_formats import FORMATS, NORMAL, Format
from specs.model import SettingsError
from specs.monitoring import Alert, RuleGroup, to_yaml
from specs.part import APP, Context, Monitoring
from specs.programs import COLLECTOR
from specs.settings import KEY, RuntimeKind, Severity
from specs.workload import (
    CONFIG,
    REGISTRY,
    Check,
    HostPaths,
    Outward,
    Port,
    Probe,
    Registry,
    Resources,
    Volume,
    Workload,
)

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


_SIGNALS = ("spans", "log_records", "metric_points")


def _rate(metric: str) -> str:
    """Rate of one of the collector's own counters, which has a suffix or not, and appears only with its first count.

    The label `what` keeps series of several counters apart that are alike otherwise; Prometheus refuses a sum of
    twins, and what `or` finds twice it drops.
    """
    rate = f'rate({{__name__=~"{metric}(_total)?", service="{NAME}"}}[5m])'
    return f'label_replace({rate}, "what", "{metric}", "", "")'


def monitoring(context: Context) -> Monitoring:
    """How the collector is watched."""
    lost = "\n  or ".join(
        _rate(f"otelcol_exporter_{how}_failed_{what}") for how in ("send", "enqueue") for what in _SIGNALS
    )
    refused = "\n  or ".join(_rate(f"otelcol_receiver_refused_{what}") for what in _SIGNALS)
    return Monitoring(
        jobs=(context.job(NAME, METRICS),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="CollectorDropsData",
                        expr=f"sum by (app, environment, service, instance, exporter) (\n  {lost}\n) > $threshold",
                        threshold=0,
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="The collector cannot deliver by {{ $labels.exporter }}",
                        description="{{ $value | humanize }} items a second are lost on the way out by {{ $labels.exporter }}.",
                        action="See whether what stands behind that exporter runs and answers; the collector's log has the error.",
                    ),
                    Alert(
                        name="CollectorRefusesData",
                        expr=f"sum by (app, environment, service, instance, receiver) (\n  {refused}\n) > $threshold",
                        threshold=0,
                        for_="5m",
                        severity=Severity.WARNING,
                        summary="The collector refuses what applications send by {{ $labels.receiver }}",
                        description="{{ $value | humanize }} items a second are refused by {{ $labels.receiver }}.",
                        action="The collector is over its memory limit, or an exporter holds everything up: see CollectorQueueFilling, then give it more memory.",
                    ),
                    Alert(
                        name="CollectorQueueFilling",
                        expr=f"""
max by (app, environment, service, instance, exporter) (otelcol_exporter_queue_size{{service="{NAME}"}})
/ max by (app, environment, service, instance, exporter) (otelcol_exporter_queue_capacity{{service="{NAME}"}})
> $threshold""",
                        threshold=0.8,
                        for_="5m",
                        severity=Severity.WARNING,
                        summary="The collector's queue to {{ $labels.exporter }} fills up",
                        description="{{ $value | humanizePercentage }} of the queue is taken; when it is full, data is lost.",
                        action="What stands behind that exporter is too slow or away. Mend that before the queue is full.",
                    ),
                ),
            ),
        ),
    )


def _file_receiver(include: Sequence[str], log_format: Format, **resource: str) -> dict[str, Any]:
    return {
        "include": list(include),
        "start_at": "beginning",
        "storage": "file_storage",
        "poll_interval": "500ms",
        **({"multiline": {"line_start_pattern": log_format.starts}} if log_format.starts else {}),
        **({"resource": resource} if resource else {}),
        **({"operators": [dict(step) for step in log_format.operators]} if log_format.operators else {}),
    }


def _by_path(receiver: dict[str, Any], pattern: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    """`receiver` with app and service from the paths of its files."""
    receiver["include_file_path"] = True
    receiver["operators"] = [
        {
            "type": "regex_parser",
            "parse_from": 'attributes["log.file.path"]',
            "parse_to": "resource",
            "regex": pattern,
        },
        {"type": "move", "from": "resource.service", "to": 'resource["service.name"]'},
        *receiver.get("operators", []),
        *more,
    ]
    return receiver


def _registered(log_format: Format) -> dict[str, Any]:
    """Follows what applications put below the registry: `logs/<app>/<service>.<ending of the format>`."""
    receiver = _file_receiver([f"{REGISTRY}/logs/*/*{log_format.ending}"], log_format)
    endings = (other.ending for other in FORMATS.values())
    narrower = [ending for ending in endings if ending.endswith(log_format.ending) and ending != log_format.ending]
    if narrower:
        receiver["exclude"] = [f"{REGISTRY}/logs/*/*{ending}" for ending in narrower]
    return _by_path(receiver, rf"logs/(?P<app>[^/]+)/(?P<service>[^/]+){re.escape(log_format.ending)}$")


def _log_receivers(context: Context) -> dict[str, dict[str, Any]]:
    receivers = {f"file_log/registered_{name}": _registered(log_format) for name, log_format in FORMATS.items()}
    if context.on_one_machine:
        # The stack's own programs: supervisor keeps each one's output in <workload>/log/<workload>.log.
        receivers["file_log/stack"] = _by_path(
            _file_receiver(["../../*/log/*.log"], FORMATS["text"], app=APP),
            r"/(?P<service>[^/]+)/log/[^/]+\.log$",
            history.NOT_AN_EVENT,
            {
                # logfmt and JSON alike name their level in the first part of the line.
                "type": "regex_parser",
                "if": 'body matches "level[\\"=: ]+[a-zA-Z]+"',
                "regex": r'level["=: ]+(?P<level>[a-zA-Z]+)',
                "on_error": "send_quiet",
                "severity": {"parse_from": "attributes.level", "overwrite_text": True},
            },
        )
    in_container = context.settings.runtime is RuntimeKind.DOCKER
    for file in context.settings.log_files:
        receivers[f"file_log/{file.name}"] = _file_receiver(
            [log_paths.inside(path) for path in file.include] if in_container else file.include,
            FORMATS[file.format],
            **{"app": file.app, "service.name": file.service or file.name},
        )
    return receivers


def _host_paths(context: Context) -> tuple[HostPaths, ...]:
    """What a container has to see of its host to follow log files. Raises SettingsError for a file that is anywhere."""
    files = context.settings.log_files
    if context.settings.runtime is not RuntimeKind.DOCKER or not files:
        return ()
    try:
        return (HostPaths(log_paths.seen(path for file in files for path in file.include)),)
    except ValueError as problem:
        raise SettingsError(f"{context.file}: {KEY}.log_files: {problem}") from None


def _in_seconds(context: Context) -> list[str]:
    """OTTL that says which sources count `duration` in seconds, also where an application registers their files."""
    return [
        'set(log.attributes["duration_unit"], "s") where log.attributes["duration_unit"] == nil'
        f' and resource.attributes["app"] == "{file.app}"'
        f' and resource.attributes["service.name"] == "{file.service or file.name}"'
        for file in context.settings.log_files
        if file.durations == "s"
    ]


def _transform(statements: Sequence[str]) -> dict[str, Any]:
    return {"error_mode": "silent", "log_statements": list(statements)}


def _events(context: Context) -> dict[str, Any]:
    """What takes the alert history in, and the pipeline that it goes through."""
    receiver = "file_log/alert_history" if context.on_one_machine else "webhookevent/alert_history"
    made = history.file_receiver() if context.on_one_machine else history.webhook_receiver(context)
    return {
        "receivers": {receiver: made},
        "processors": {"transform/alert_history": _transform(history.STATEMENTS)},
        "service": {
            "pipelines": {
                "logs/alert_history": {
                    "receivers": [receiver],
                    "processors": ["memory_limiter", "transform/alert_history", "resource", "batch"],
                    "exporters": ["otlp_http/loki"],
                }
            }
        },
    }


_LOG_PROCESSORS = ("memory_limiter", "resource", "transform/logs", "batch")


def _elk(context: Context) -> dict[str, Any]:
    """`elk.yml` as a value."""
    return feed.configuration(context, ("otlp", *_log_receivers(context)), _LOG_PROCESSORS)


def configuration(context: Context) -> dict[str, Any]:
    """`collector.yml` as a value, all but the alert history and what Elasticsearch gets."""
    addresses = context.addresses
    files = _log_receivers(context)
    logs = {"receivers": ["otlp", *files], "processors": list(_LOG_PROCESSORS)}
    settings = context.settings
    return {
        "extensions": {
            "health_check": {"endpoint": addresses.listen(HEALTH)},
            "file_storage": {"directory": "storage", "create_directory": True},
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": addresses.listen(OTLP_GRPC)},
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
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 400, "spike_limit_mib": 100},
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
            "transform/logs": _transform((*_in_seconds(context), *NORMAL)),
        },
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
        "exporters": {
            "otlp_grpc/jaeger": {
                "endpoint": addresses.dial(jaeger.NAME, jaeger.OTLP),
                "tls": {"insecure": True},
                "sending_queue": {"storage": "file_storage"},
            },
            "otlp_http/loki": {
                "endpoint": f"http://{addresses.dial(loki.NAME, loki.PORT)}/otlp",
                "sending_queue": {"storage": "file_storage"},
            },
            "otlp_http/prometheus": {
                "endpoint": f"http://{addresses.dial(prometheus.NAME, prometheus.PORT)}/api/v1/otlp",
            },
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp", "jaeger", "zipkin"],
                    "processors": ["memory_limiter", "resource", "batch"],
                    "exporters": ["otlp_grpc/jaeger", "span_metrics"],
                },
                "metrics": {
                    "receivers": ["otlp", "span_metrics"],
                    "processors": ["memory_limiter", "resource", "batch"],
                    "exporters": ["otlp_http/prometheus"],
                },
                **({} if feed.instead(context) else {"logs": {**logs, "exporters": ["otlp_http/loki"]}}),
            },
            "telemetry": telemetry.own(addresses, METRICS),
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
        resources=Resources(memory="512Mi", cpu="100m"),
        volume=Volume("2Gi"),
        extras=(Registry(), *_host_paths(context), Outward()),
    )
