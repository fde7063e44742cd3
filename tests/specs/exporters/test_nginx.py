"""The exporter `nginx`."""

from specs.monitoring import ScrapeJob, Target
from tests.specs.support import FILE, complaint, exporting

TARGETS = {
    "front": {"status_url": "http://front.example.com/stub_status", "app": "shop"},
    "back": {"status_url": "http://127.0.0.1:8080/status"},
}


def test_workloads() -> None:
    """Proves that each server has a process on the next port that reads its status page."""
    first, second = exporting("nginx", {"targets": TARGETS}).workloads

    assert (first.name, first.program.binary, first.args) == (
        "nginx-exporter-front",
        "nginx_exporter",
        ("--web.listen-address=127.0.0.1:9113", "--nginx.scrape-uri=http://front.example.com/stub_status"),
    )
    assert (second.name, second.args) == (
        "nginx-exporter-back",
        ("--web.listen-address=127.0.0.1:9114", "--nginx.scrape-uri=http://127.0.0.1:8080/status"),
    )
    for workload in (first, second):
        assert (dict(workload.files), dict(workload.secrets), dict(workload.environment)) == ({}, {}, {})


def test_job() -> None:
    """Proves that samples carry the server's address as instance, and the system that owns it."""
    found = exporting("nginx", {"targets": TARGETS}, port_offset=100)

    assert found.monitoring.jobs == (
        ScrapeJob(
            name="nginx",
            targets=(
                Target(
                    address="127.0.0.1:9213",
                    labels={"app": "shop", "environment": "test", "service": "nginx", "instance": "front.example.com"},
                ),
                Target(
                    address="127.0.0.1:9214",
                    labels={
                        "app": "observability",
                        "environment": "test",
                        "service": "nginx",
                        "instance": "127.0.0.1:8080",
                    },
                ),
            ),
        ),
    )


def test_bad_settings() -> None:
    """Proves that a status page with a password in its URL is refused, and the password not repeated."""
    bad = {"status_url": "http://me:hunter2@front/stub_status"}

    assert complaint(exporters={"nginx": {"targets": {"front": bad}}}) == (
        f"{FILE}: observability:settings.exporters.nginx.targets.front.status_url:"
        " a URL with a user or password (accepted: http://host/… or https://host/…, without them)"
    )
