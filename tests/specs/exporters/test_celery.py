"""The exporter `celery`."""

from specs.monitoring import ScrapeJob, Target
from specs.workload import SecretRef
from tests.specs.support import FILE, complaint, exporting

TARGETS = {"jobs": {"broker": {"secret": "broker"}, "app": "shop"}, "mail": {"broker": "redis://127.0.0.1:6379/0"}}


def test_workloads() -> None:
    """Proves that each broker has a flower on the next port, which reads the broker's URL from a file: a secret one,
    if it is one."""
    first, second = exporting("celery", {"targets": TARGETS}, port_offset=20000).workloads

    assert (first.name, first.program.binary) == ("flower-jobs", "celery")
    assert first.args == ("--config=celeryconfig", "flower", "--address=127.0.0.1", "--port=25555", "--logging=warning")
    assert dict(first.environment) == {
        "PYTHONPATH": "../config/secrets",
        "FLOWER_UNAUTHENTICATED_API": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert dict(first.files) == {}
    assert dict(first.secrets) == {"secrets/celeryconfig.py": SecretRef("broker", template="broker_url = $secret\n")}
    assert second.name == "flower-mail"
    assert second.args == (
        "--config=celeryconfig",
        "flower",
        "--address=127.0.0.1",
        "--port=25556",
        "--logging=warning",
    )
    assert dict(second.environment) == {
        "PYTHONPATH": "../config",
        "FLOWER_UNAUTHENTICATED_API": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert dict(second.files) == {"celeryconfig.py": "broker_url = 'redis://127.0.0.1:6379/0'\n"}
    assert dict(second.secrets) == {}


def test_job() -> None:
    """Proves that one job scrapes every flower, with the system that owns the workers."""
    found = exporting("celery", {"targets": TARGETS}, runtime="kubernetes")

    assert found.monitoring.jobs == (
        ScrapeJob(
            name="celery",
            targets=(
                Target(
                    address="flower-jobs.observability.svc:5555",
                    labels={"app": "shop", "environment": "test", "service": "celery"},
                ),
                Target(
                    address="flower-mail.observability.svc:5556",
                    labels={"app": "observability", "environment": "test", "service": "celery"},
                ),
            ),
        ),
    )


def test_bad_settings() -> None:
    """Proves that what is neither a URL nor a secret is refused with both forms."""
    assert complaint(exporters={"celery": {"targets": {"jobs": {"broker": 6379}}}}) == (
        f"{FILE}: observability:settings.exporters.celery.targets.jobs.broker:"
        " a number is not accepted here (accepted: text, or {secret: <its name>})"
    )
