"""Jaeger: stores and shows traces."""

from typing import Any

from specs import jaeger_storage, telemetry
from specs.monitoring import Alert, RuleGroup, to_yaml
from specs.part import Context, Monitoring
from specs.programs import JAEGER
from specs.settings import Severity
from specs.workload import CONFIG, Port, Probe, Resources, Volume, Workload

NAME = "jaeger"
UI = 16686
GRPC = 16685
OTLP = 14317
"""Only the collector dials it: 4317 and 4318 belong to the collector."""
HEALTH = 13134
METRICS = 8889


def monitoring(context: Context) -> Monitoring:
    """How Jaeger is watched."""
    several = context.scale.jaeger > 1
    # A connection stays with a replica for a while: one of several may well get nothing.
    whose = "app, environment, service" if several else "app, environment, service, instance"
    sampled = context.settings.traces.sampling
    return Monitoring(
        jobs=(context.job(NAME, METRICS),),
        groups=(
            RuleGroup(
                name=NAME,
                alerts=(
                    Alert(
                        name="JaegerStorageFailing",
                        expr='sum by (app, environment, service, instance) (rate({__name__=~"otelcol_exporter_send_failed_spans(_total)?", service="jaeger"}[5m])) > $threshold',
                        threshold=0,
                        for_="5m",
                        severity=Severity.CRITICAL,
                        summary="Jaeger cannot write spans",
                        description="{{ $value | humanize }} spans a second are lost at {{ $labels.instance }}.",
                        action="Read Jaeger's log. A full disk or a storage that is away are the usual reasons.",
                    ),
                    Alert(
                        name="JaegerRefusesSpans",
                        expr='sum by (app, environment, service, instance) (rate({__name__=~"otelcol_receiver_refused_spans(_total)?", service="jaeger"}[5m])) > $threshold',
                        threshold=0,
                        for_="5m",
                        severity=Severity.WARNING,
                        summary="Jaeger refuses spans",
                        description="{{ $value | humanize }} spans a second are refused at {{ $labels.instance }}.",
                        action="Jaeger is out of memory or its queue is full: see JaegerStorageFailing first, then give it more.",
                    ),
                    Alert(
                        name="JaegerIngestionStopped",
                        # Quiet is no fault: only spans that applications sent and Jaeger did not get are.
                        expr=f"""
sum by ({whose}) (rate({{__name__=~"otelcol_receiver_accepted_spans(_total)?", service="jaeger"}}[10m])) == 0
and on (environment) sum by (environment) (rate({{__name__=~"otelcol_receiver_accepted_spans(_total)?", service="collector"}}[10m])) > $threshold""",
                        # As many again as are not kept, so that it is no chance that none came.
                        threshold=round(0.1 * 100 / (sampled.percent if sampled else 100), 1),
                        for_="15m",
                        severity=Severity.CRITICAL,
                        summary="No span reaches Jaeger, though the collector takes spans in",
                        description=f"{'Jaeger' if several else '{{ $labels.instance }}'} receives {{{{ $value }}}} spans a second while applications send some.",
                        action="Look at the collector's exporter to Jaeger: does it reach it, does its queue fill (CollectorQueueFilling)?",
                    ),
                ),
            ),
        ),
    )


def exporter(context: Context, storage: str = "") -> dict[str, Any]:
    """What hands spans on to Jaeger; what waits is kept by the extension `storage`."""
    # On a cluster what waits is on a volume, and Jaeger may be away for a while.
    patient = {"retry_on_failure": {"max_elapsed_time": "1h"}} if context.on_cluster else {}
    return {
        "endpoint": context.addresses.dial(NAME, OTLP),
        "tls": {"insecure": True},
        **({"sending_queue": {"storage": storage}, **patient} if storage else {}),
    }


def configuration(context: Context) -> dict[str, Any]:
    """`jaeger.yml` as a value: the form of Jaeger 2, which is the OpenTelemetry Collector's."""
    addresses = context.addresses
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"]}
            },
            "telemetry": telemetry.own(addresses, METRICS),
        },
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": addresses.listen(HEALTH)}},
            "jaeger_query": {
                "storage": {"traces": "main"},
                "http": {"endpoint": addresses.listen(UI)},
                "grpc": {"endpoint": addresses.listen(GRPC)},
            },
            "jaeger_storage": {"backends": {"main": jaeger_storage.backend(context.settings)}},
        },
        "receivers": {"otlp": {"protocols": {"grpc": telemetry.takes(context, OTLP)}}},
        "processors": {"batch": {"timeout": "1s"}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "main"}},
    }


def left_out(context: Context) -> tuple[str, ...]:
    """What is asked for, and not done by Jaeger."""
    store = context.settings.traces.store
    if store not in {"elasticsearch", "opensearch"}:
        return ()
    return (f"retention.traces: not applied in {store}, where Jaeger deletes nothing (docs/traces.md has what does)",)


def workload(context: Context) -> Workload:
    """Jaeger with its page: one process on badger, or any number that share a store which exists elsewhere."""
    own = context.settings.traces.store == "badger"
    return Workload(
        name=NAME,
        program=context.program(JAEGER),
        summary="stores and shows traces",
        ports=(
            Port(name="ui", number=UI, published=True),
            Port(name="grpc", number=GRPC),
            Port(name="otlp", number=OTLP),
            Port(name="health", number=HEALTH),
            Port(name="metrics", number=METRICS),
        ),
        args=(f"--config={CONFIG}/jaeger.yml",),
        files={"jaeger.yml": to_yaml(configuration(context))},
        secrets=jaeger_storage.secrets(context.settings),
        probe=Probe(port="health", path="/status"),
        resources=Resources(memory="512Mi", cpu="100m"),
        volume=Volume("10Gi") if own else None,
        page="/search",
        replicas=context.scale.jaeger,
    )
