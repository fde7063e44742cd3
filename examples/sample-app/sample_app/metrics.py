"""The metrics of the sample app, in a registry of their own."""

from __future__ import annotations

import time
from threading import Lock
from typing import Final

from opentelemetry import trace
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
QUERY_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
ACTIVE_SECONDS: Final = 60.0


class Metrics:
    """Every series the app exposes; process_*, python_* included."""

    def __init__(self) -> None:
        """Register all metrics."""
        # The _created series would double the number of counters for nothing a dashboard here reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests_total", "HTTP requests answered.", ["method", "endpoint", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer an HTTP request.",
            ["method", "endpoint"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "http_requests_in_progress", "HTTP requests being answered now.", registry=self.registry
        )
        self.query_seconds = Histogram(
            "db_query_duration_seconds",
            "Time of a database query, with its wait for a connection.",
            ["operation"],
            buckets=QUERY_BUCKETS,
            registry=self.registry,
        )
        self.pool_used = Gauge("db_connection_pool_used", "Database connections in use now.", registry=self.registry)
        self.pool_size = Gauge(
            "db_connection_pool_size", "Database connections that may be in use at once.", registry=self.registry
        )
        self.orders = Counter("orders_created_total", "Orders created.", registry=self.registry)
        self.log_entries = Counter(
            "log_entries_total", "Log lines written.", ["level", "service"], registry=self.registry
        )
        self._users = ActiveUsers(ACTIVE_SECONDS)
        Gauge(
            "active_users", f"Different users seen in the last {ACTIVE_SECONDS:.0f} s.", registry=self.registry
        ).set_function(self._users.count)

    def saw_user(self, user_id: str) -> None:
        """Count a user as active."""
        self._users.saw(user_id)

    def observe_request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request; the current trace, when sampled, becomes the exemplar of its latency."""
        self.requests.labels(method, endpoint, str(status)).inc()
        context = trace.get_current_span().get_span_context()
        # An exemplar must lead to a trace that exists, so an unsampled one gets none.
        sampled = context.is_valid and context.trace_flags.sampled
        exemplar = {"trace_id": trace.format_trace_id(context.trace_id)} if sampled else None
        self.request_seconds.labels(method, endpoint).observe(seconds, exemplar)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the body and content type that suit an Accept header."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # prometheus-client compares the header's version, even one that is no number
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type


class ActiveUsers:
    """The different users seen in a sliding window of time."""

    def __init__(self, seconds: float) -> None:
        """Remember users for ``seconds``."""
        self._seconds = seconds
        self._seen: dict[str, float] = {}
        self._lock = Lock()

    def saw(self, user_id: str) -> None:
        """Note that a user is active now."""
        with self._lock:
            self._forget()
            self._seen.pop(user_id, None)
            self._seen[user_id] = time.monotonic()

    def count(self) -> int:
        """Return how many users are active."""
        with self._lock:
            self._forget()
            return len(self._seen)

    def _forget(self) -> None:
        # saw() re-inserts, so the oldest come first.
        oldest = time.monotonic() - self._seconds
        while self._seen:
            user_id, last = next(iter(self._seen.items()))
            if last >= oldest:
                return
            del self._seen[user_id]
