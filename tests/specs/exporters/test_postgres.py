"""The exporter `postgres`."""

from typing import Any

import pytest
import yaml

from specs.monitoring import ScrapeJob, Target
from specs.workload import SecretRef
from tests.specs.support import FILE, complaint, exporting

QUERIES = "--extend.query-path=../config/queries.yaml"
TARGETS: dict[str, dict[str, Any]] = {
    "main": {"address": "db.example.com:5432", "user": "watcher", "password": {"secret": "pg"}, "app": "shop"},
    "second": {"address": "127.0.0.1:5433", "user": "reader", "database": "stock", "sslmode": "disable"},
}


def test_workloads() -> None:
    """Proves that each server has a process on the next port, logs in as told, and has its password in a file only."""
    first, second = exporting("postgres", {"targets": TARGETS}).workloads

    assert (first.name, first.program.binary, first.args) == (
        "postgres-exporter-main",
        "postgres_exporter",
        ("--web.listen-address=127.0.0.1:9187", QUERIES),
    )
    assert dict(first.environment) == {
        "DATA_SOURCE_URI": "db.example.com:5432/postgres?sslmode=require",
        "DATA_SOURCE_USER": "watcher",
        "DATA_SOURCE_PASS_FILE": "../config/secrets/password",
    }
    assert (list(first.files), dict(first.secrets)) == (["queries.yaml"], {"secrets/password": SecretRef("pg")})
    assert (second.name, second.args) == (
        "postgres-exporter-second",
        ("--web.listen-address=127.0.0.1:9188", QUERIES),
    )
    assert dict(second.environment) == {
        "DATA_SOURCE_URI": "127.0.0.1:5433/stock?sslmode=disable",
        "DATA_SOURCE_USER": "reader",
    }
    assert (list(second.files), dict(second.secrets)) == (["queries.yaml"], {})


@pytest.mark.parametrize("statements", [True, False])
def test_own_queries(statements: bool) -> None:
    """Proves that the process runtime's exporter, which may be an old one, measures by queries of ours what the
    image's collectors do, under the same names; the slowest statements only where they are wanted."""
    target = {**TARGETS["main"], "statements": statements, "top_statements": 7}
    (workload,) = exporting("postgres", {"targets": {"main": target}}).workloads
    queries = yaml.safe_load(workload.files["queries.yaml"])
    usages = {
        f"{name}_{column}": column_of[column]["usage"]
        for name, query in queries.items()
        for column_of in query["metrics"]
        for column in column_of
        if column_of[column]["usage"] != "LABEL"
    }

    usual = {
        "pg_database_wraparound_age_datfrozenxid_seconds": "GAUGE",
        "pg_postmaster_start_time_seconds": "GAUGE",
    }
    counted = {
        "pg_stat_statements_calls_total": "COUNTER",
        "pg_stat_statements_seconds_total": "COUNTER",
        "pg_stat_statements_rows_total": "COUNTER",
        "pg_stat_statements_query_id": "GAUGE",
    }
    assert usages == (usual | counted if statements else usual)
    assert [name for name, query in queries.items() if "LIMIT 7" in query["query"]] == (
        ["pg_stat_statements", "pg_stat_statements_query"] if statements else []
    )


@pytest.mark.parametrize("runtime", ["docker", "kubernetes"])
def test_collectors(runtime: str) -> None:
    """Proves that the image's exporter is asked for what it collects on demand, with no queries of ours."""
    targets = {"main": TARGETS["main"], "second": {**TARGETS["second"], "statements": False}}
    first, second = exporting("postgres", {"targets": targets}, runtime=runtime).workloads

    usual = ("--collector.database_wraparound", "--collector.postmaster")
    assert first.args[1:] == (
        *usual,
        "--collector.stat_statements",
        "--collector.stat_statements.include_query",
        "--collector.stat_statements.limit=10",
    )
    assert second.args[1:] == usual
    assert (dict(first.files), dict(second.files)) == ({}, {})


def test_job() -> None:
    """Proves that samples carry the server's address as instance, and the system that owns it."""
    found = exporting("postgres", {"targets": TARGETS, "port": 9300})

    assert found.monitoring.jobs == (
        ScrapeJob(
            name="postgres",
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
