"""Each scenario does what it is for."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sample_app_support import Service, running


def test_errors_fails_one_request_in_four(tmp_path: Path) -> None:
    """Proves that about a quarter of shop requests answer 500, each with its exception logged, and health does not."""
    with running(tmp_path, "--scenario", "errors") as service:
        answers = [service.client.get("/products/1") for _ in range(120)]
        failed = [answer for answer in answers if answer.status_code == 500]
        assert {answer.status_code for answer in answers} == {200, 500}
        assert 18 <= len(failed) <= 42
        request_id = failed[0].headers["X-Request-ID"]
        assert failed[0].json() == {"error": "internal error", "request_id": request_id}
        line = service.log_of(request_id)
        assert (line["level"], line["status"], line["error_type"]) == ("error", 500, "PricingError")
        assert "Traceback (most recent call last)" in str(line["exception"])
        counted = service.value("http_requests_total", method="GET", endpoint="/products/{id}", status="500")
        assert counted == len(failed)
        assert service.client.get("/health").status_code == 200


def test_slow_has_a_95th_percentile_of_two_seconds(tmp_path: Path) -> None:
    """Proves that shop requests take up to about 2 s while health checks stay fast."""

    def seconds(service: Service) -> float:
        start = time.monotonic()
        assert service.client.get("/products").status_code == 200
        return time.monotonic() - start

    with running(tmp_path, "--scenario", "slow") as service, ThreadPoolExecutor(60) as pool:
        taken = list(pool.map(seconds, [service] * 60))
        start = time.monotonic()
        assert service.client.get("/health").status_code == 200
        assert time.monotonic() - start < 0.5
    assert 1.6 <= statistics.quantiles(taken, n=20)[-1] <= 2.6
    assert min(taken) < 1


def test_database_down_is_reported_by_shop_and_health(tmp_path: Path) -> None:
    """Proves that every database access truly fails, that 503 is answered everywhere, and that the app lives on."""
    with running(tmp_path, "--scenario", "database-down") as service:
        health = service.client.get("/health")
        assert health.status_code == 503
        assert health.json()["healthy"] is False
        assert health.json()["parts"]["database"] == {"healthy": False, "error": "unable to open database file"}
        assert health.json()["parts"]["log"] == {"healthy": True}
        assert service.client.get("/health/database").status_code == 503
        assert service.client.get("/products").status_code == 503
        order = service.client.post("/orders", json={"product_id": 1, "quantity": 1})
        assert order.status_code == 503
        line = service.log_of(order.headers["X-Request-ID"])
        assert line["level"] == "error"
        assert "sqlite3.OperationalError: unable to open database file" in str(line["exception"])
        assert service.value("db_connection_pool_used") == 0
        assert list((tmp_path / "data").rglob("*.db")) == []


def test_a_full_disk_under_the_log_is_reported_by_health(tmp_path: Path) -> None:
    """Proves that lines which cannot be written make health answer 503, are not counted, and end nothing."""
    with running(tmp_path, "--log", "/dev/full") as service:
        health = service.client.get("/health")
        assert health.status_code == 503
        assert health.json()["parts"]["log"] == {"healthy": False}
        assert health.json()["parts"]["database"]["healthy"] is True
        assert service.client.get("/products").status_code == 200
        assert "log_entries_total" not in service.samples()


def test_crash_ends_the_process_with_status_1(tmp_path: Path) -> None:
    """Proves that the app serves at first, then ends by itself with status 1 and a critical line."""
    start = time.monotonic()
    with running(tmp_path, "--scenario", "crash", "--crash-after", "1.5") as service:
        assert service.client.get("/health").status_code == 200
        assert service.process.wait(5) == 1
        assert time.monotonic() - start >= 1.5
        assert service.logs()[-1]["level"] == "critical"


def test_log_burst_writes_fifty_errors_a_second(tmp_path: Path) -> None:
    """Proves that error lines come at about 50/s, in the file and in the metric, while requests are served."""
    with running(tmp_path, "--scenario", "log-burst") as service:
        first, start = service.value("log_entries_total", level="error", service="sample-app"), time.monotonic()
        time.sleep(2)
        count = service.value("log_entries_total", level="error", service="sample-app") - first
        rate = count / (time.monotonic() - start)
        assert 40 <= rate <= 60
        assert sum(line["level"] == "error" for line in service.logs()) >= count


def test_leak_grows_by_a_megabyte_a_second(tmp_path: Path) -> None:
    """Proves that the resident memory, as Prometheus sees it, grows at about the promised rate."""
    with running(tmp_path, "--scenario", "leak") as service:
        service.samples()
        before, start = service.value("process_resident_memory_bytes"), time.monotonic()
        time.sleep(4)
        grown = service.value("process_resident_memory_bytes") - before
        rate = grown / (time.monotonic() - start) / 1024**2
        assert 0.7 <= rate <= 1.6


def test_leak_stops_at_its_limit(tmp_path: Path) -> None:
    """Proves that the leak ends where it is told to, so that it never takes the whole machine."""
    with running(tmp_path, "--scenario", "leak", "--leak-limit", "1") as service:
        time.sleep(1.3)
        assert service.logs()[-1]["message"] == "the cache holds 1 MB and stops growing"
