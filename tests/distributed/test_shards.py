"""Targets of a rendered Kubernetes stack divided among several Prometheus, with rules evaluated over all of them, and
samples that are sent elsewhere as well."""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from specs import alertmanager, prometheus
from specs.monitoring import ScrapeJob, Target
from specs.stack import Stack
from specs.thanos import names
from tests.contract.listed import read
from tests.distributed.asking import ask, eventually, exposed, metric, ready
from tests.distributed.buckets import storage
from tests.distributed.processes import OUTSIDE, Pods
from tests.distributed.stacks import kubernetes_stack

SHARDS = ("prometheus", "prometheus-shard-1")
MANAGERS = 3
TARGETS = tuple(f"{OUTSIDE}:{port}" for port in range(1, 25))
"""Nobody listens there: they are down, which is as good a series as any."""
LONE = "loki"
"""A job of the stack with one target, which only one shard sees."""
TENANT = "shop"


@dataclass(frozen=True, slots=True)
class Heard:
    """What was posted to a server, and with which headers."""

    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])

    def alerts(self, name: str) -> list[dict[str, str]]:
        """Labels of every alert of that name, in the form that Alertmanager is told."""
        every = [alert["labels"] for body in list(self.bodies) for alert in json.loads(body)]
        return [labels for labels in every if labels["alertname"] == name]


@contextmanager
def listening(host: str, port: int) -> Generator[tuple[Heard, int]]:
    """A server that takes whatever is posted; port 0: any."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            heard.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    heard = Heard()
    with ThreadingHTTPServer((host, port), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield heard, server.server_port
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Divided:
    """Two Prometheus that each scrape a part, two rulers, and what is told to whom."""

    pods: Pods
    managers: tuple[Heard, ...]
    remote: Heard

    @property
    def query(self) -> str:
        """What sees all shards."""
        return self.pods.url(names.QUERY, "http", None)


def _sharded(bucket: str, remote: int) -> Stack:
    """Two shards of one replica each, with a few targets in the place of those that a cluster would list, and the
    rules that every stack has."""
    made = kubernetes_stack(
        thanos=True,
        object_storage={
            "endpoint": bucket,
            "metrics_bucket": "metrics",
            "insecure": True,
            "path_style": True,
            "credentials": {"secret": "storage-file"},
        },
        remote_write={"url": f"http://{OUTSIDE}:{remote}/push", "token": {"secret": "token"}, "tenant": TENANT},
        replicas={"prometheus": 1, "shards": 2, "alertmanager": MANAGERS},
        scrape_interval="1s",
        evaluation_interval="2s",
        alerting={"receivers": {"team": {"webhook": {"url": "http://hook.example.com"}}}, "default": "team"},
    )
    labels = {"app": "shop", "environment": "prod"}
    jobs = (
        ScrapeJob(name="dead", targets=tuple(Target(address=target, labels=labels) for target in TARGETS)),
        ScrapeJob(name=LONE, targets=(Target(address=TARGETS[0], labels=labels),)),
    )
    groups = [group for group in made.groups if group.name in {"stack", "thanos"}]
    programs = prometheus.workloads(made.context, jobs, groups, runbooks="http://r", dashboards="http://d")
    own = {program.name: program for program in programs}
    return replace(made, workloads=tuple(own.get(workload.name, workload) for workload in made.workloads))


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Generator[Divided]:
    """Shards, rulers and queries that run, with stand-ins for the Alertmanagers and for the store that samples are sent
    to."""
    with ExitStack() as opened:
        bucket = opened.enter_context(storage())
        remote, port = opened.enter_context(listening(OUTSIDE, 0))
        made = _sharded(bucket.address, port)
        login = "[default]\naws_access_key_id = someone\naws_secret_access_key = x\n"
        secrets = {"storage-file": login, "token": "the-token"}
        home = tmp_path_factory.mktemp("divided")
        pods = opened.enter_context(Pods(home, made.workloads, "observability", secrets))
        managers = tuple(
            opened.enter_context(listening(pods.ip(alertmanager.NAME, index), alertmanager.PORT))[0]
            for index in range(MANAGERS)
        )
        for name in (*SHARDS, names.QUERY, names.RULER):
            pods.start(name)
        sidecars = [pods.url(shard, "sidecar-http") for shard in SHARDS]
        eventually("sidecars", 120, lambda: ready(*sidecars))
        yield Divided(pods, managers, remote)
        assert bucket.askers <= {"someone"}


def _alerts(url: str) -> list[dict[str, str]]:
    """Labels of the alerts that wait or fire at who evaluates them; Thanos spells the list with a capital."""
    data: dict[str, list[dict[str, Any]] | None] = httpx.get(f"{url}/api/v1/alerts", timeout=10).json()["data"]
    return [alert["labels"] for alert in data.get("alerts") or data.get("Alerts") or []]


def test_every_target_is_scraped_by_one_shard(divided: Divided) -> None:
    """Proves that what the shards scrape has nothing in common, and together is everything; and that a query over both
    gives each target once, with no word of shards."""

    def scraped(shard: str) -> list[str]:
        answer = httpx.get(f"{divided.pods.url(shard)}/api/v1/targets", params={"state": "active"}, timeout=10).json()
        return [
            target["labels"]["instance"]
            for target in answer["data"]["activeTargets"]
            if target["labels"]["job"] == "dead"
        ]

    first, second = (scraped(shard) for shard in SHARDS)
    assert sorted([*first, *second]) == sorted(TARGETS)
    assert min(len(first), len(second)) > 0
    eventually("all targets", 60, lambda: len(ask(divided.query, 'up{job="dead"}')) == len(TARGETS))
    found = ask(divided.query, 'up{job="dead"}')
    assert sorted(each["metric"]["instance"] for each in found) == sorted(TARGETS)
    assert {label for each in found for label in each["metric"]} == {
        "__name__",
        "app",
        "cluster",
        "environment",
        "instance",
        "job",
    }


def test_rules_see_every_shard(divided: Divided) -> None:
    """Proves that a job whose only target another shard has is not taken for missing, while jobs that nobody scrapes
    are."""

    def missing(index: int) -> set[str]:
        alerts = _alerts(divided.pods.url(names.RULER, "http", index))
        return {labels["service"] for labels in alerts if labels["alertname"] == "TargetMissing"}

    rulers = range(names.RULERS)
    eventually("alerts that wait", 60, lambda: all("jaeger" in missing(index) for index in rulers))
    eventually("the lone target", 60, lambda: all(LONE not in missing(index) for index in rulers))
    for shard in SHARDS:
        assert {labels["alertname"] for labels in _alerts(divided.pods.url(shard))} <= {"ThanosRulerDown"}


def test_replicas_of_the_ruler_tell_the_same(divided: Divided) -> None:
    """Proves that both rulers tell every Alertmanager of an alert, and that it is one and the same alert: its labels
    say nothing of who evaluated it, and have the environment, which its expression has not."""
    eventually("the Watchdog", 60, lambda: all(len(each.alerts("Watchdog")) > 1 for each in divided.managers))
    for manager in divided.managers:
        assert {tuple(sorted(labels.items())) for labels in manager.alerts("Watchdog")} == {
            (
                ("alertname", "Watchdog"),
                ("app", "observability"),
                ("cluster", "here"),
                ("environment", "prod"),
                ("service", "prometheus"),
                ("severity", "info"),
            )
        }
    for index in range(names.RULERS):
        assert metric(divided.pods.url(names.RULER, "http", index), "thanos_alert_sender_alerts_sent_total") > 0
    (firing,) = eventually(
        "the alert's series", 60, lambda: ask(divided.query, 'ALERTS{alertname="Watchdog", alertstate="firing"}')
    )
    assert "prometheus_replica" not in firing["metric"]


def test_rules_ask_for_what_is_there(divided: Divided) -> None:
    """Proves that what is listed of the ruler's metrics, and of those of samples that are sent, by which the rules are
    checked, is what the programs expose, label for label."""
    eventually("samples", 60, lambda: divided.remote.headers != [])
    for program, url, part in (
        ("thanos", divided.pods.url(names.RULER), "_rule_|_alert_"),
        ("prometheus", divided.pods.url(SHARDS[0]), "_remote_storage_"),
    ):
        found, (_, listed) = exposed(url), read(program)
        own = {name: labels for name, labels in listed.items() if re.search(part, name)}
        assert own != {}
        assert {name: found.get(name) for name in own} == own


def test_samples_are_sent_elsewhere(divided: Divided) -> None:
    """Proves that a store elsewhere is sent samples by both shards, with the token of the file and the tenant."""
    eventually("samples", 60, lambda: divided.remote.headers != [])

    assert {headers["authorization"] for headers in divided.remote.headers} == {"Bearer the-token"}
    assert {headers["x-scope-orgid"] for headers in divided.remote.headers} == {TENANT}
    urls = [divided.pods.url(shard) for shard in SHARDS]
    eventually("of each", 60, lambda: all(metric(url, "prometheus_remote_storage_samples_total") for url in urls))
    assert [metric(url, "prometheus_remote_storage_samples_failed_total") for url in urls] == [0, 0]
