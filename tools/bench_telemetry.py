"""Telemetry for benchmarks: as uneven as real, and the same on every run."""

import json
import random
from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

PER_TARGET = 5_000
"""Series of a target."""
SERVICES = 20
"""Streams of lines, and services of spans."""
SPANS_OF_A_TRACE = 10
BLOCK_SAMPLES = 480
"""Two hours of a series, a sample every 15 s."""

# What is sent is as uneven as real telemetry, and always the same.
_CHANCE = random.Random(1)  # noqa: S311 - no secret


def page(target: int, turn: int) -> bytes:
    """What a target of `PER_TARGET` series answers on its scrape number `turn`: counters that grow, and gauges."""
    lines: list[str] = []
    for number in range(PER_TARGET):
        value = turn * (number % 97) + number if number % 5 else _CHANCE.random()
        lines.append(
            f'bench_metric_{number % 50}{{handler="/api/v1/things/{number // 50}",method="GET",zone="zone-{target}"}}'
            f" {value}\n"
        )
    return "".join(lines).encode()


def line(number: int) -> str:
    """A log line as applications write them."""
    return json.dumps(
        {
            "level": "info",
            "message": "request served",
            "path": f"/api/v1/things/{number % 1000}",
            "method": "GET",
            "status": 200 if number % 50 else 500,
            "duration": round(_CHANCE.expovariate(1 / 30), 3),
            "user": _CHANCE.randrange(10_000),
            "request_id": _CHANCE.randbytes(8).hex(),
        }
    )


def _label(key: str, value: str) -> KeyValue:
    made = KeyValue(key=key)
    made.value.string_value = value
    return made


def lines_request(count: int, first: int, now: int) -> tuple[bytes, int]:
    """An OTLP message of `count` lines, and how many bytes of lines are in it."""
    request, sent = ExportLogsServiceRequest(), 0
    for service in range(min(SERVICES, count)):
        found = request.resource_logs.add()
        found.resource.attributes.append(_label("service.name", f"service-{service}"))
        scope = found.scope_logs.add()
        for number in range(service, count, SERVICES):
            text = line(first + number)
            record = scope.log_records.add(time_unix_nano=now + number, severity_text="INFO")
            record.body.string_value = text
            sent += len(text)
    return request.SerializeToString(), sent


def spans_request(count: int, now: int) -> bytes:
    """An OTLP message of `count` spans in traces of ten, each with eight attributes."""
    request = ExportTraceServiceRequest()
    for start in range(0, count, SPANS_OF_A_TRACE):
        trace = _CHANCE.randbytes(16)
        found = request.resource_spans.add()
        found.resource.attributes.append(_label("service.name", f"service-{start // SPANS_OF_A_TRACE % SERVICES}"))
        scope = found.scope_spans.add()
        parent = b""
        for number in range(start, min(start + SPANS_OF_A_TRACE, count)):
            own = _CHANCE.randbytes(8)
            span = scope.spans.add(
                trace_id=trace,
                span_id=own,
                parent_span_id=parent,
                name=f"GET /things/{number % 40}",
                kind=2,
                start_time_unix_nano=now,
                end_time_unix_nano=now + _CHANCE.randrange(1_000_000, 100_000_000),
            )
            span.attributes.extend(
                [
                    _label("http.request.method", "GET"),
                    _label("http.route", f"/things/{number % 40}"),
                    _label("http.response.status_code", "200"),
                    _label("server.address", "shop.example.com"),
                    _label("url.path", f"/things/{_CHANCE.randrange(10_000)}"),
                    _label("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
                    _label("network.protocol.version", "1.1"),
                    _label("request.id", _CHANCE.randbytes(8).hex()),
                ]
            )
            parent = parent or own
    return request.SerializeToString()


def values(kind: str, number: int) -> Iterator[float]:
    """Two hours of a series: one counter in four stands still, and a gauge has its value for a while."""
    value = float(number)
    for turn in range(BLOCK_SAMPLES):
        if kind == "counter" and number % 4:
            value += _CHANCE.randrange(0, 3 * (number % 10 + 1))
        elif kind == "gauge" and turn % (number % 7 + 1) == 0:
            value = round(_CHANCE.uniform(0, 100), number % 3)
        yield value
