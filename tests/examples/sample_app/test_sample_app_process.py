"""Start and end of the process, and its load."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from sample_app_support import EXAMPLE, Service, clean_environment, running


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_sigterm_ends_the_app_well(tmp_path: Path) -> None:
    """Proves that SIGTERM ends the app in less than 3 s with status 0, having printed nothing but its start line."""
    with running(tmp_path) as service:
        service.client.get("/products")
        assert service.terminate() < 3
        assert service.process.returncode == 0
        assert service.logs()[-1]["message"] == "stopped"
        assert len(service.stdout.read_text().splitlines()) == 1
        assert (tmp_path / "stderr").read_text() == ""


def test_sigterm_is_quick_with_slow_requests_and_a_lost_collector(tmp_path: Path) -> None:
    """Proves that neither requests under way nor an OTLP endpoint that never answers hold the end up."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        with running(tmp_path, "--scenario", "slow", environment=environment) as service:
            threads = [threading.Thread(target=_get_quietly, args=(service,)) for _ in range(20)]
            for thread in threads:
                thread.start()
            time.sleep(0.3)
            assert service.terminate() < 3
            assert service.process.returncode == 0
            for thread in threads:
                thread.join()


def _get_quietly(service: Service) -> None:
    # Being cut off is what the test provokes.
    with contextlib.suppress(httpx.HTTPError):
        service.client.get("/products")


def test_a_taken_port_is_one_clear_line(service: Service, tmp_path: Path) -> None:
    """Proves that a port in use ends the start with status 2 and a sentence rather than a traceback."""
    port = service.url.rsplit(":", 1)[1]
    done = _run("sample_app", "--port", port, "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"sample-app cannot start: cannot listen on 127.0.0.1 port {port}: Address already in use"
    ]


def test_help_tells_the_scenarios_and_their_numbers() -> None:
    """Proves that --help names every scenario, and the defaults which the tests above shorten."""
    text = re.sub(r"\s+", " ", _run("sample_app", "--help").stdout)
    for scenario in ("normal", "errors", "slow", "database-down", "crash", "log-burst", "leak"):
        assert scenario in text
    assert "when the crash scenario crashes (default: 20.0)" in text
    assert "where the leak scenario stops (default: 200)" in text


@pytest.mark.parametrize(
    "host",
    [
        "http://192.0.2.1:8000",
        "http://shop.example",
        "http://127.0.0.1@shop.example/",
        "http://shop.example\\@127.0.0.1/",
        "http://localhost.shop.example",
    ],
)
def test_load_refuses_other_hosts(host: str) -> None:
    """Proves that the load generator starts against no host but this one, tricks with the URL included."""
    done = _run(
        "locust", "-f", str(EXAMPLE / "locustfile.py"), "--headless", "-u", "1", "--run-time", "1s", "--host", host
    )
    assert done.returncode == 2
    refusals = [line for line in done.stderr.splitlines() if "refused" in line]
    assert refusals == [f"sample-app load: refused, {host!r} is not a loopback address"]
    assert "Traceback" not in done.stderr


def test_load_browses_and_orders(service: Service) -> None:
    """Proves that the light load uses the whole shop as several users, without one failed request."""
    orders = service.value("orders_created_total")
    options = ("--headless", "-u", "5", "-r", "5", "--run-time", "4s", "--host", service.url)
    done = _run("locust", "-f", str(EXAMPLE / "locustfile.py"), *options)
    assert done.returncode == 0, done.stderr
    assert service.value("orders_created_total") > orders
    assert service.value("http_requests_total", method="GET", endpoint="/orders/{id}", status="200") > 0
