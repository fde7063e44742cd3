"""The exporter `celery`."""

import json
import subprocess
import sys

from specs.monitoring import ScrapeJob, Target
from specs.workload import SecretRef
from tests.specs.support import FILE, complaint, exporting

TARGETS = {"jobs": {"broker": {"secret": "broker"}, "app": "shop"}, "mail": {"broker": "redis://127.0.0.1:6379/0"}}
BUCKETS = "--task-runtime-metric-buckets=0.05,0.1,0.25,0.5,1,2.5,5,10,20,30,60,120,300,600"

# What a scrape shows of workers that were last seen so long ago; killed ones have said no goodbye.
SCRAPED = """
import json, sys, time
import prometheus_client
from celery import Celery
from flower.app import Flower
from tornado.options import options, parse_command_line
parse_command_line(["flower", *sys.argv[1:]])
flower = Flower(capp=Celery("chores", broker="memory://"), options=options)
def send(kind, worker, at):
    seen = {"hostname": worker, "timestamp": at, "local_received": at, "freq": 2.0, "clock": 1, "active": 0}
    flower.events.state.event({"type": kind, **seen})
now = time.time()
for ago in (0, 110, 130):
    for worker in (f"left-{ago}", f"killed-{ago}"):
        send("worker-heartbeat", worker, now - ago)
    send("worker-offline", f"left-{ago}", now - ago)
flower.purge_offline_worker_metrics()
samples = (sample for family in prometheus_client.REGISTRY.collect() for sample in family.samples)
shown = {one.labels["worker"]: one.value for one in samples if one.name == "flower_worker_online"}
print(json.dumps(shown))
"""


def test_workloads() -> None:
    """Proves that each broker has a flower on the next port, which reads the broker's URL from a file: a secret one,
    if it is one."""
    first, second = exporting("celery", {"targets": TARGETS}, port_offset=20000).workloads

    assert (first.name, first.program.binary) == ("flower-jobs", "celery")
    assert first.args == (
        "--config=celeryconfig",
        "flower",
        "--address=127.0.0.1",
        "--port=25555",
        "--logging=warning",
        "--purge_offline_workers=120",
        BUCKETS,
    )
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
        "--purge_offline_workers=120",
        BUCKETS,
    )
    assert dict(second.environment) == {
        "PYTHONPATH": "../config",
        "FLOWER_UNAUTHENTICATED_API": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert dict(second.files) == {"celeryconfig.py": "broker_url = 'redis://127.0.0.1:6379/0'\n"}
    assert dict(second.secrets) == {}


def test_workers_are_forgotten_after_two_minutes() -> None:
    """Proves that flower, started as it is, shows no worker any more two minutes after it was seen, whether it said
    goodbye or was killed."""
    (workload, *_) = exporting("celery", {"targets": TARGETS}).workloads
    purging = [arg for arg in workload.args if arg.startswith("--purge")]
    command = [sys.executable, "-c", SCRAPED, *purging]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    assert json.loads(said) == {"left-0": 0, "killed-0": 1, "left-110": 0, "killed-110": 1}


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
