"""Targets of exporters: a server, or an exporter of it that already runs."""

from collections.abc import Mapping
from typing import Any

import pytest

from specs.monitoring import Target
from tests.specs.support import FILE, complaint, exporting

SERVERS: Mapping[str, dict[str, Any]] = {
    "celery": {"broker": "redis://127.0.0.1:6379/0"},
    "nginx": {"status_url": "http://127.0.0.1:8080/status"},
    "postgres": {"address": "127.0.0.1:5432", "user": "watcher"},
    "redis": {"address": "127.0.0.1:6379"},
}
KEY = "observability:settings.exporters"


@pytest.mark.parametrize("name", SERVERS)
def test_exporter_that_runs_is_scraped_only(name: str) -> None:
    """Proves that a target that names an exporter places nothing, and is scraped there, as its system's."""
    found = exporting(name, {"targets": {"far": {"exporter": "10.0.0.5:9999", "app": "shop"}}})

    labels = {"app": "shop", "environment": "test", "service": name}
    assert found.workloads == ()
    target = Target(address="10.0.0.5:9999", labels=labels)
    assert [(job.name, job.targets) for job in found.monitoring.jobs] == [(name, (target,))]


@pytest.mark.parametrize("name", SERVERS)
def test_ports_are_stable(name: str) -> None:
    """Proves that a target's port depends on its place alone: not on targets after it, nor on what those before it
    are."""
    server = SERVERS[name]
    alone = exporting(name, {"targets": {"a": server, "b": server}})
    changed = exporting(name, {"targets": {"a": {"exporter": "10.0.0.5:9999"}, "b": server, "c": server}})

    first = alone.workloads[0].ports[0].number
    assert [workload.ports[0].number for workload in alone.workloads] == [first, first + 1]
    assert [workload.ports[0].number for workload in changed.workloads] == [first + 1, first + 2]
    assert changed.workloads[0] == alone.workloads[1]


@pytest.mark.parametrize("name", SERVERS)
def test_one_of_the_two(name: str) -> None:
    """Proves that a target without a server or exporter, or with both, is refused with the two keys."""
    server = SERVERS[name]
    key = next(iter(server))

    for bad in ({"app": "shop"}, {**server, "exporter": "10.0.0.5:9999"}):
        assert complaint(exporters={name: {"targets": {"far": bad}}}) == (
            f"{FILE}: {KEY}.{name}.targets.far:"
            f" a target is a server, or an exporter that already runs (accepted: either {key} or exporter)"
        )


def test_settings_of_another_exporter() -> None:
    """Proves that what only the stack's own exporter would read is refused beside one that already runs."""
    bad = {"exporter": "10.0.0.5:9187", "sslmode": "disable"}

    assert complaint(exporters={"postgres": {"targets": {"far": bad}}}) == (
        f"{FILE}: {KEY}.postgres.targets.far.sslmode:"
        " not with exporter, which has its own settings (accepted: exporter, app)"
    )


def test_login() -> None:
    """Proves that a PostgreSQL server needs a role."""
    assert complaint(exporters={"postgres": {"targets": {"main": {"address": "db:5432"}}}}) == (
        f"{FILE}: {KEY}.postgres.targets.main.user: required with address, but missing (accepted: text)"
    )
