"""Tail sampling: which traces are kept is decided when they are whole.

A decision needs every span of a trace in one place. One collector has them all; on a cluster, where there are several,
each hands a span on to the sampler that its trace id belongs to. Span metrics are counted before, from every span.
"""

from typing import Any

from specs import jaeger, sizing, telemetry
from specs.model import seconds
from specs.monitoring import to_yaml
from specs.part import Context, Monitoring
from specs.programs import COLLECTOR
from specs.settings import Sampling
from specs.workload import CONFIG, Check, Port, Probe, Resources, Workload

NAME = "sampler"
OTLP = 4317
HEALTH = 13133
METRICS = 8888
MEMORY = "1Gi"
"""What it has at least; its limiter follows what it really has (docs/sizing.md)."""
PROCESSOR = "tail_sampling"
FILE = "sampling.yml"
"""A file of its own, which the collector merges: not every build of it has the exporter."""
_BALANCER = "load_balancing"


def apart(context: Context) -> bool:
    """Whether traces are sampled by workloads of their own."""
    return context.on_cluster and context.settings.traces.sampling is not None


def processor(sampling: Sampling) -> dict[str, Any]:
    """What decides: a trace is kept for an error, for taking long, or by lot."""
    return {
        "decision_wait": sampling.wait,
        "num_traces": 50_000,
        # Spans that come after the decision share it.
        "decision_cache": {"sampled_cache_size": 200_000, "non_sampled_cache_size": 200_000},
        "policies": [
            {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
            {"name": "slow", "type": "latency", "latency": {"threshold_ms": round(seconds(sampling.slow) * 1000)}},
            {"name": "by-lot", "type": "probabilistic", "probabilistic": {"sampling_percentage": sampling.percent}},
        ],
    }


def handing_on(context: Context, *beside: str) -> dict[str, Any]:
    """`sampling.yml` of the collector as a value: spans go to the sampler of their trace, and to the exporters
    `beside`."""
    return {
        "exporters": {
            _BALANCER: {
                "routing_key": "traceID",
                "protocol": {"otlp": {"tls": {"insecure": True}}},
                # By their names, which stay: a list that DNS gives would send the rest of a trace elsewhere whenever
                # a replica comes or goes.
                "resolver": {
                    "static": {"hostnames": list(context.addresses.each(NAME, OTLP, context.scale.collector))}
                },
            }
        },
        "service": {"pipelines": {"traces": {"exporters": [_BALANCER, *beside]}}},
    }


def configuration(context: Context, sampling: Sampling) -> dict[str, Any]:
    """`sampler.yml` as a value."""
    return {
        "extensions": {"health_check": {"endpoint": context.addresses.listen(HEALTH)}},
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": context.addresses.listen(OTLP)}}}},
        "processors": {
            "memory_limiter": sizing.limiter(sizing.collector_memory(context, NAME, MEMORY)),
            PROCESSOR: processor(sampling),
            "batch": {"timeout": "1s"},
        },
        "exporters": {"otlp_grpc/jaeger": jaeger.exporter(context)},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", PROCESSOR, "batch"],
                    "exporters": ["otlp_grpc/jaeger"],
                }
            },
            "telemetry": telemetry.own(context.addresses, METRICS),
        },
    }


def monitoring(context: Context) -> tuple[Monitoring, ...]:
    """How the samplers are watched, where there are any; the collector's alerts are about them, too."""
    return (Monitoring(jobs=(context.job(NAME, METRICS),)),) if apart(context) else ()


def workloads(context: Context) -> tuple[Workload, ...]:
    """What samples, where that is apart from the collector: as many replicas as the collector has."""
    sampling = context.settings.traces.sampling
    if sampling is None or not context.on_cluster:
        return ()
    return (
        Workload(
            name=NAME,
            program=context.program(COLLECTOR),
            summary="decides which traces are kept",
            ports=(
                Port(name="otlp-grpc", number=OTLP),
                Port(name="health", number=HEALTH),
                Port(name="metrics", number=METRICS),
            ),
            args=(f"--config={CONFIG}/sampler.yml",),
            files={"sampler.yml": to_yaml(configuration(context, sampling))},
            probe=Probe(port="health", path="/"),
            checks=(Check(("otelcol", "validate", "--config=sampler.yml")),),
            resources=Resources(memory=MEMORY, cpu="100m"),
            replicas=context.scale.collector,
            peers=("otlp-grpc",),
        ),
    )
