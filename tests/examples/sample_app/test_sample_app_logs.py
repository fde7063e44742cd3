"""The logs: fields, ids, and rotation."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from sample_app_support import Service, eventually, running


def test_a_request_leaves_one_line_with_every_field(service: Service) -> None:
    """Proves that the line of a request has all its fields, and the trace id of the traceparent that was sent."""
    trace_id, request_id = secrets.token_hex(16), secrets.token_hex(8)
    headers = {
        "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
        "X-Request-ID": request_id,
        "X-User-ID": "user-12",
    }
    service.client.get("/products/2", headers=headers)
    line = service.log_of(request_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("timestamp")))
    assert re.fullmatch(r"[0-9a-f]{16}", str(line.pop("span_id")))
    duration = line.pop("duration_ms")
    assert isinstance(duration, float)
    assert 0 < duration < 5000
    assert line == {
        "level": "info",
        "logger": "sample_app.requests",
        "message": "GET /products/{id} answered 200",
        "service": "sample-app",
        "request_id": request_id,
        "trace_id": trace_id,
        "user_id": "user-12",
        "endpoint": "/products/{id}",
        "status": 200,
    }


def test_lines_of_one_request_share_its_ids(service: Service) -> None:
    """Proves that what a handler logs carries the same request and trace ids as the request's own line."""
    request_id = secrets.token_hex(8)
    order = service.client.post(
        "/orders", json={"product_id": 1, "quantity": 1}, headers={"X-Request-ID": request_id}
    ).json()
    ended, made = service.log_of(request_id), service.log_of(request_id, "sample_app.shop")
    assert made["order_id"] == order["id"]
    assert made["trace_id"] == ended["trace_id"]


def test_a_good_request_id_is_kept(service: Service) -> None:
    """Proves that a caller's X-Request-ID, of up to 128 characters, comes back unchanged."""
    request_id = "Az09._:-" * 16
    assert service.client.get("/products", headers={"X-Request-ID": request_id}).headers["X-Request-ID"] == request_id


@pytest.mark.parametrize("bad", [b"a" * 129, b"", b"two words", b'"}{"', "schön".encode("latin-1"), b"a/b"])
def test_a_bad_request_id_is_replaced(service: Service, bad: bytes) -> None:
    """Proves that an unusable X-Request-ID neither fails the request nor reaches the response or the log."""
    response = service.client.get("/products", headers={b"X-Request-ID": bad})
    assert response.status_code == 200
    made = response.headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert service.log_of(made)["status"] == 200


def test_a_bad_traceparent_starts_a_new_trace(service: Service) -> None:
    """Proves that a malformed traceparent is ignored rather than refused."""
    response = service.client.get("/products", headers={"traceparent": "00-zz-zz-01"})
    assert response.status_code == 200
    assert re.fullmatch(r"[0-9a-f]{32}", str(service.log_of(response.headers["X-Request-ID"])["trace_id"]))


def test_machines_have_no_user(service: Service) -> None:
    """Proves that health checks are logged without a fake user."""
    response = service.client.get("/health")
    assert "user_id" not in service.log_of(response.headers["X-Request-ID"])


def test_the_log_rotates_at_ten_megabytes_and_keeps_three(tmp_path: Path) -> None:
    """Proves that a full log file is set aside, that older ones move up, and that the fourth is dropped."""
    log = tmp_path / "app.log"
    log.write_bytes(b'{"full": true}\n' * (10 * 1024 * 1024 // 15))
    for age in (1, 2, 3):
        (tmp_path / f"app.log.{age}").write_text(f"older {age}")
    with running(tmp_path) as service:
        eventually(lambda: service.log_file.stat().st_size < 100_000, "a fresh log file")
        assert service.logs()[0]["logger"] == "sample_app"
    assert (tmp_path / "app.log.1").read_text().startswith('{"full": true}')
    assert [(tmp_path / f"app.log.{age}").read_text() for age in (2, 3)] == ["older 1", "older 2"]
    assert not (tmp_path / "app.log.4").exists()
