"""Traces: a tracer provider configured by the standard OTEL_* environment only."""

from __future__ import annotations

import os
import threading
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Status, StatusCode, Tracer

FLUSH_SECONDS: Final = 1.2
"""How long the end of a process may take for its last traces."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"


class TracingError(Exception):
    """The OTEL_* environment asks for something the app does not do."""


class Tracing:
    """The tracer and what it takes to end it well."""

    def __init__(self, service: str, *, version: str, environment: str, system: str = "") -> None:
        """Read the environment; with no OTLP endpoint in it, spans are made and not exported."""
        given = Resource.create(
            {
                "service.name": service,
                "service.version": version,
                "deployment.environment.name": environment,
                **({"app": system} if system else {}),
            }
        )
        resource = given.merge(OTELResourceDetector().detect())
        self.service = str(resource.attributes["service.name"])
        # The flush is bounded in close(); the SDK's own exit hook would wait up to 30 s.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        if _exporting():
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer: Tracer = self._provider.get_tracer("sample_app", version)

    def close(self, seconds: float) -> None:
        """Export what is left, for at most ``seconds``: a lost collector must not hold up the end."""
        flush = threading.Thread(target=self._provider.shutdown, name="flush-traces", daemon=True)
        flush.start()
        flush.join(seconds)


def record_error(span: Span, error: BaseException) -> None:
    """Mark a span as failed by an exception."""
    span.record_exception(error)
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def _exporting() -> bool:
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return False
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    protocol = next((value for name in _PROTOCOLS if (value := os.environ.get(name))), _PROTOCOL)
    if protocol != _PROTOCOL:
        raise TracingError(f"OTLP protocol {protocol!r} is not supported: set OTEL_EXPORTER_OTLP_PROTOCOL={_PROTOCOL}")
    return True
