"""The traces, as they arrive over OTLP/HTTP."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

from sample_app_support import Receiver, Service, clean_environment, eventually, receiving, running

SERVER, CLIENT, INTERNAL = 2, 3, 1


def test_a_request_is_a_tree_of_spans(service: Service, receiver: Receiver) -> None:
    """Proves that an order's spans are exported with the sent trace and parent, http.* and db.* attributes."""
    trace_id, request_id = secrets.token_hex(16), secrets.token_hex(8)
    service.client.post(
        "/orders?from=test",
        json={"product_id": 5, "quantity": 2},
        headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "X-Request-ID": request_id},
    )
    eventually(lambda: len(receiver.trace(trace_id)) >= 4, "four spans")
    spans = {span.name: span for span in receiver.trace(trace_id)}
    assert set(spans) == {"POST /orders", "SELECT products", "pricing", "INSERT orders"}
    assert receiver.paths == {"/v1/traces"}

    server = spans["POST /orders"]
    assert (server.kind, server.parent_id, server.failed) == (SERVER, "00f067aa0ba902b7", False)
    port = int(service.url.rsplit(":", 1)[1])
    expected = {
        "http.request.method": "POST",
        "http.route": "/orders",
        "http.response.status_code": 201,
        "url.path": "/orders",
        "url.query": "from=test",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "request.id": request_id,
    }
    assert expected.items() <= server.attributes.items()
    assert str(server.attributes["user_agent.original"]).startswith("python-httpx")
    assert service.log_of(request_id)["span_id"] == server.span_id

    insert = spans["INSERT orders"]
    assert (insert.kind, insert.parent_id) == (CLIENT, server.span_id)
    assert insert.attributes["db.system.name"] == "sqlite"
    assert insert.attributes["db.operation.name"] == "INSERT"
    assert insert.attributes["db.collection.name"] == "orders"
    assert "VALUES (?, ?, ?, ?)" in str(insert.attributes["db.query.text"])
    pricing = spans["pricing"]
    assert (pricing.kind, pricing.parent_id) == (INTERNAL, server.span_id)
    assert pricing.attributes["shop.total_cents"] == 420


def test_the_resource_names_the_service(service: Service, receiver: Receiver) -> None:
    """Proves that spans say which service, version and environment they are of, and what the environment adds."""
    service.client.get("/products")
    [span, *_] = eventually(lambda: list(receiver.spans), "a span")
    expected = {
        "service.name": "sample-app",
        "service.version": "1.0.0",
        "deployment.environment.name": "local",
        "team": "tea",
    }
    assert expected.items() <= span.resource.items()


def test_the_environment_names_the_service_in_spans_logs_and_metrics(tmp_path: Path) -> None:
    """Proves that OTEL_SERVICE_NAME wins over --app everywhere, and that SIGTERM flushes spans not yet due."""
    with receiving() as receiver:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_SERVICE_NAME": "tea-shop",
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
        }
        with running(tmp_path, "--app", "other", environment=environment) as service:
            request_id = service.client.get("/products").headers["X-Request-ID"]
            line = service.log_of(request_id)
            assert line["service"] == "tea-shop"
            assert service.value("log_entries_total", level="info", service="tea-shop") > 0
            assert receiver.spans == []
            service.terminate()
        spans = receiver.trace(str(line["trace_id"]))
        assert {span.name for span in spans} == {"GET /products", "SELECT products", "pricing"}
        assert {span.resource["service.name"] for span in spans} == {"tea-shop"}


def test_a_failure_is_recorded_on_the_spans(tmp_path: Path) -> None:
    """Proves that an exception marks the span it happened in and the server span, with the exception's type."""
    with receiving() as receiver:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with running(tmp_path, "--scenario", "database-down", environment=environment) as service:
            request_id = service.client.get("/products").headers["X-Request-ID"]
            trace_id = str(service.log_of(request_id)["trace_id"])
            eventually(lambda: len(receiver.trace(trace_id)) == 2, "both spans")
    spans = {span.name: span for span in receiver.trace(trace_id)}
    query, server = spans["SELECT products"], spans["GET /products"]
    assert query.failed
    assert query.exceptions == ["sqlite3.OperationalError"]
    assert query.attributes["error.type"] == "OperationalError"
    assert query.attributes["db.response.status_code"] == "SQLITE_CANTOPEN"
    assert server.failed
    assert server.attributes["http.response.status_code"] == 503
    assert server.attributes["error.type"] == "DatabaseUnavailableError"


def test_an_unsupported_protocol_is_refused_in_one_line(tmp_path: Path) -> None:
    """Proves that a protocol which the app does not speak ends it at once rather than losing every span."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = subprocess.run(
        [sys.executable, "-m", "sample_app", "--port", "0", "--data", str(tmp_path)],
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "'grpc' is not supported" in done.stderr
