"""The exporter `postgres`."""

from specs.monitoring import ScrapeJob, Target
from specs.workload import SecretRef
from tests.specs.support import FILE, complaint, exporting

TARGETS = {
    "main": {"address": "db.example.com:5432", "user": "watcher", "password": {"secret": "pg"}, "app": "shop"},
    "second": {"address": "127.0.0.1:5433", "user": "reader", "database": "stock", "sslmode": "disable"},
}


def test_workloads() -> None:
    """Proves that each server has a process on the next port, logs in as told, and has its password in a file only."""
    first, second = exporting("postgres", {"targets": TARGETS}).workloads

    assert (first.name, first.program.binary, first.args) == (
        "postgres-exporter-main",
        "postgres_exporter",
        ("--web.listen-address=127.0.0.1:9187",),
    )
    assert dict(first.environment) == {
        "DATA_SOURCE_URI": "db.example.com:5432/postgres?sslmode=require",
        "DATA_SOURCE_USER": "watcher",
        "DATA_SOURCE_PASS_FILE": "../config/secrets/password",
    }
    assert (dict(first.files), dict(first.secrets)) == ({}, {"secrets/password": SecretRef("pg")})
    assert (second.name, second.args) == ("postgres-exporter-second", ("--web.listen-address=127.0.0.1:9188",))
    assert dict(second.environment) == {
        "DATA_SOURCE_URI": "127.0.0.1:5433/stock?sslmode=disable",
        "DATA_SOURCE_USER": "reader",
    }
    assert (dict(second.files), dict(second.secrets)) == ({}, {})


def test_job() -> None:
    """Proves that samples carry the server's address as instance, and the system that owns it."""
    found = exporting("postgres", {"targets": TARGETS, "port": 9300})

    assert found.monitoring.jobs == (
        ScrapeJob(
            name="postgres-exporter",
            targets=(
                Target(
                    address="127.0.0.1:9300",
                    labels={
                        "app": "shop",
                        "environment": "test",
                        "service": "postgres",
                        "instance": "db.example.com:5432",
                    },
                ),
                Target(
                    address="127.0.0.1:9301",
                    labels={
                        "app": "observability",
                        "environment": "test",
                        "service": "postgres",
                        "instance": "127.0.0.1:5433",
                    },
                ),
            ),
        ),
    )


def test_bad_settings() -> None:
    """Proves that an unknown way of TLS is refused with those that are known."""
    bad = {"address": "db:5432", "user": "watcher", "sslmode": "on"}

    assert complaint(exporters={"postgres": {"targets": {"main": bad}}}) == (
        f"{FILE}: observability:settings.exporters.postgres.targets.main.sslmode:"
        ' "on" is not accepted here (accepted: disable, require, verify-ca, verify-full)'
    )
