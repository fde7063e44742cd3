"""Logs: one JSON object a line, in a rotating file."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from opentelemetry import trace

from sample_app.context import current_request
from sample_app.metrics import Metrics

MAX_BYTES: Final = 10 * 1024 * 1024
KEPT_FILES: Final = 3
_EXTRAS: Final = ("duration_ms", "status", "order_id", "error_type")


class JsonFormatter(logging.Formatter):
    """A log record as a JSON object; a field that is not known is left out."""

    def __init__(self, service: str) -> None:
        """Write for one service."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "timestamp": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        request = current_request.get()
        if request is not None:
            line |= {"request_id": request.request_id, "endpoint": request.endpoint}
            if request.user_id is not None:
                line["user_id"] = request.user_id
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
            line["span_id"] = trace.format_span_id(span.span_id)
        line |= {name: value for name in _EXTRAS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class JsonFileHandler(RotatingFileHandler):
    """The log file; it counts its lines and knows whether the last one could be written."""

    def __init__(self, file: Path, service: str, metrics: Metrics) -> None:
        """Open the file for appending."""
        super().__init__(file, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
        self.setFormatter(JsonFormatter(service))
        self.healthy = True
        self._service = service
        self._entries = metrics.log_entries

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.healthy = True
        super().emit(record)
        if self.healthy:
            self._entries.labels(record.levelname.lower(), self._service).inc()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Remember the failure for the health check, rather than fill stderr with it."""
        self.healthy = False


def configure(file: Path, service: str, metrics: Metrics) -> JsonFileHandler:
    """Send every logger of the process, the libraries' too, to one file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = JsonFileHandler(file, service, metrics)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    return handler


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
