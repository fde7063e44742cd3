"""The metrics: names, labels, and exemplars."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families,  # pyright: ignore[reportUnknownVariableType]
)
from sample_app_support import OPENMETRICS, Service, running


def test_requests_are_counted_by_route_and_not_by_path(service: Service) -> None:
    """Proves that many paths of one route share one series, and that unknown paths and methods share one too."""
    before = service.value("http_requests_total", method="GET", endpoint="/products/{id}", status="200")
    for product in range(1, 6):
        service.client.get(f"/products/{product}")
    after = service.value("http_requests_total", method="GET", endpoint="/products/{id}", status="200")
    assert after - before == 5
    service.client.get("/a-path-nobody-knows")
    service.client.request("BREW", "/products")
    samples = service.samples()["http_requests_total"]
    endpoints = {dict(labels)["endpoint"] for labels in samples}
    assert "unmatched" in endpoints
    assert endpoints <= {
        "/products",
        "/products/{id}",
        "/orders",
        "/orders/{id}",
        "/health",
        "/health/database",
        "/metrics",
        "unmatched",
    }
    assert {dict(labels)["method"] for labels in samples} <= {"GET", "POST", "_OTHER"}


def test_every_promised_metric_is_exposed(service: Service) -> None:
    """Proves that after an order all metrics of the README exist, with plausible values."""
    orders = service.value("orders_created_total")
    service.client.post("/orders", json={"product_id": 1, "quantity": 1})
    samples = service.samples()
    assert samples["orders_created_total"][()] == orders + 1
    assert samples["http_requests_in_progress"][()] == 1  # the scrape itself
    assert samples["db_connection_pool_size"][()] == 5
    assert samples["db_connection_pool_used"][()] == 0
    assert samples["active_users"][()] >= 1
    assert samples["process_resident_memory_bytes"][()] > 10_000_000
    assert samples["process_cpu_seconds_total"][()] > 0
    assert samples["db_query_duration_seconds_count"][(("operation", "insert_order"),)] >= 1
    assert samples["log_entries_total"][(("level", "info"), ("service", "sample-app"))] >= 1
    bounds = {float(dict(labels)["le"]) for labels in samples["http_request_duration_seconds_bucket"]}
    assert (min(bounds), sorted(bounds)[-2]) == (0.005, 10.0)


def test_active_users_counts_people_and_not_machines(tmp_path: Path) -> None:
    """Proves that each user counts once, and that scrapes and health checks are no users."""
    with running(tmp_path) as service:
        for user in ("user-1", "user-2", "user-1"):
            service.client.get("/health")
            service.client.get("/products", headers={"X-User-ID": user})
        assert service.value("active_users") == 2


def test_answers_on_a_kept_connection_do_not_wait_for_acknowledgements(service: Service) -> None:
    """Proves that small answers are sent at once: with Nagle's algorithm each would take the client 40 ms."""
    start = time.monotonic()
    for _ in range(25):
        service.client.get("/products/1")
    assert time.monotonic() - start < 0.5


def test_openmetrics_carries_the_trace_as_exemplar(service: Service) -> None:
    """Proves that the OpenMetrics form parses, and that a latency bucket's exemplar is the request's own trace."""
    trace_id = secrets.token_hex(16)
    service.client.get("/orders/1", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    response = service.client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families: Iterable[Metric] = text_string_to_metric_families(response.text)  # type: ignore[no-untyped-call]
    exemplars = [
        (sample.exemplar.labels, sample.exemplar.value, float(sample.labels["le"]))
        for family in families
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_bucket"
        and sample.exemplar is not None
        and sample.labels["endpoint"] == "/orders/{id}"
    ]
    [(value, bound)] = [(value, bound) for labels, value, bound in exemplars if labels == {"trace_id": trace_id}]
    assert 0 < value <= bound


def test_an_unsampled_trace_is_no_exemplar(service: Service) -> None:
    """Proves that an exemplar never leads to a trace which the caller chose not to record."""
    trace_id = secrets.token_hex(16)
    service.client.get("/products", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-00"})
    assert trace_id not in service.client.get("/metrics", headers={"Accept": OPENMETRICS}).text


@pytest.mark.parametrize("accept", ["*/*", "", "application/openmetrics-text; version=abc"])
def test_the_classic_form_has_no_exemplars(service: Service, accept: str) -> None:
    """Proves that unless OpenMetrics is asked for, in earnest, the classic text is served, without exemplars."""
    service.client.get("/products")
    response = service.client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "trace_id" not in response.text
