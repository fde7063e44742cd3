"""The exporter `json`."""

import yaml

from specs.monitoring import ScrapeJob, Target
from tests.specs.support import FILE, complaint, exporting

TARGETS = {
    "database": {
        "url": "http://shop.example.com/health/database",
        "metrics": {"database_health_status": "{ .healthy }", "database_active_connections": "{ .pool.active }"},
        "app": "shop",
    },
    "other": {"url": "http://127.0.0.1:8000/health", "metrics": {"healthy": "{ .ok }"}},
}


def test_workload() -> None:
    """Proves that one workload reads every page, with a module for each."""
    (workload,) = exporting("json", {"targets": TARGETS}).workloads

    assert (workload.name, workload.program.binary, workload.args) == (
        "json-exporter",
        "json_exporter",
        ("--config.file=../config/json.yml", "--web.listen-address=127.0.0.1:7979"),
    )
    assert (dict(workload.secrets), dict(workload.environment)) == ({}, {})
    assert {path: yaml.safe_load(text) for path, text in workload.files.items()} == {
        "json.yml": {
            "modules": {
                "database": {
                    "metrics": [
                        {"name": "database_health_status", "path": "{ .healthy }"},
                        {"name": "database_active_connections", "path": "{ .pool.active }"},
                    ],
                    "valid_status_codes": [200, 503],
                },
                "other": {"metrics": [{"name": "healthy", "path": "{ .ok }"}], "valid_status_codes": [200, 503]},
            }
        }
    }


def test_jobs() -> None:
    """Proves that the exporter itself is scraped, and through it every page with its module and its system."""
    found = exporting("json", {"targets": TARGETS}, port_offset=20000)
    own = {"app": "observability", "environment": "test"}

    assert found.monitoring.jobs == (
        ScrapeJob(
            name="json-exporter",
            targets=(Target(address="127.0.0.1:27979", labels={**own, "service": "json-exporter"}),),
        ),
        ScrapeJob(
            name="json",
            targets=(
                Target(
                    address="http://shop.example.com/health/database",
                    labels={"app": "shop", "environment": "test", "service": "json", "__param_module": "database"},
                ),
                Target(
                    address="http://127.0.0.1:8000/health", labels={**own, "service": "json", "__param_module": "other"}
                ),
            ),
            path="/probe",
            through="127.0.0.1:27979",
        ),
    )


def test_pages_are_missed_by_what_each_declares() -> None:
    """Proves that the alert knows how many numbers each page has to give, and leaves pages that do not answer to
    ServiceDown."""
    (group,) = exporting("json", {"targets": TARGETS}).monitoring.groups
    (alert,) = (alert for alert in group.alerts if alert.name == "JsonPageUnreadable")

    assert alert.expr == (
        '(scrape_samples_scraped{job="json", app="shop", instance="http://shop.example.com/health/database"} < 2'
        ' or scrape_samples_scraped{job="json", app="observability", instance="http://127.0.0.1:8000/health"} < 1)'
        ' and up{job="json"} == 1'
    )


def test_bad_settings() -> None:
    """Proves that a metric that Prometheus would not take is refused with the form of its name."""
    bad = {"url": "http://shop/health", "metrics": {"Is Healthy": "{ .ok }"}}

    assert complaint(exporters={"json": {"targets": {"health": bad}}}) == (
        f'{FILE}: observability:settings.exporters.json.targets.health.metrics."Is Healthy":'
        ' "Is Healthy" is not accepted here (accepted: small letters, digits and _, no digit first)'
    )
