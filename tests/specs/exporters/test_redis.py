"""The exporter `redis`."""

from specs.monitoring import ScrapeJob, Target
from specs.workload import SecretRef
from tests.specs.support import FILE, complaint, exporting

TARGETS = {
    "cache": {"address": "cache.example.com:6379", "password": {"secret": "redis"}, "app": "shop"},
    "queue": {"address": "127.0.0.1:6380"},
}


def test_workloads() -> None:
    """Proves that each server has a process on the next port, and its password in a file of the exporter's form
    only."""
    first, second = exporting("redis", {"targets": TARGETS}).workloads

    assert (first.name, first.program.binary, first.args) == (
        "redis-exporter-cache",
        "redis_exporter",
        (
            "--web.listen-address=127.0.0.1:9121",
            "--redis.addr=redis://cache.example.com:6379",
            "--redis.password-file=../config/secrets/passwords.json",
        ),
    )
    assert (dict(first.files), dict(first.environment)) == ({}, {})
    assert dict(first.secrets) == {
        "secrets/passwords.json": SecretRef("redis", template='{"redis://cache.example.com:6379": $secret}')
    }
    assert (second.name, second.args) == (
        "redis-exporter-queue",
        ("--web.listen-address=127.0.0.1:9122", "--redis.addr=redis://127.0.0.1:6380"),
    )
    assert dict(second.secrets) == {}


def test_job() -> None:
    """Proves that samples carry the server's address as instance, and the system that owns it."""
    found = exporting("redis", {"targets": TARGETS}, runtime="docker")

    assert found.monitoring.jobs == (
        ScrapeJob(
            name="redis",
            targets=(
                Target(
                    address="redis-exporter-cache:9121",
                    labels={
                        "app": "shop",
                        "environment": "test",
                        "service": "redis",
                        "instance": "cache.example.com:6379",
                    },
                ),
                Target(
                    address="redis-exporter-queue:9122",
                    labels={
                        "app": "observability",
                        "environment": "test",
                        "service": "redis",
                        "instance": "127.0.0.1:6380",
                    },
                ),
            ),
            interval="10s",
            timeout="3s",
        ),
    )


def test_bad_settings() -> None:
    """Proves that a password in the clear is refused, and not repeated."""
    bad = {"address": "cache:6379", "password": "hunter2"}

    assert complaint(exporters={"redis": {"targets": {"cache": bad}}}) == (
        f"{FILE}: observability:settings.exporters.redis.targets.cache.password:"
        " text is not accepted here (accepted: {secret: <its name>})"
    )
