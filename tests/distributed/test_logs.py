"""Lokis of a rendered Kubernetes stack share a ring and object storage: a line outlives any one of them."""

import shutil
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from specs import loki
from specs.stack import Stack
from tests.distributed.buckets import ACCESS_KEY, Storage, storage
from tests.distributed.processes import Pods
from tests.distributed.stacks import kubernetes_stack

REPLICAS = range(3)
TEAM = {"receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}, "default": "team"}
RUNNING = "loki_boltdb_shipper_compactor_running"
OPERATIONS = "loki_objstore_bucket_operations_total"
FAILURES = "loki_objstore_bucket_operation_failures_total"
RULES = "loki_prometheus_rule_group_rules"


def _stack(objects: Storage, **changes: object) -> Stack:
    where = {
        "endpoint": objects.address,
        "region": "here",
        "logs_bucket": "logs",
        "access_key": {"secret": "access"},
        "secret_key": {"secret": "secret"},
        "insecure": True,
        "path_style": True,
    }
    return kubernetes_stack(alerting=TEAM, object_storage=where, evaluation_interval="1s", **changes)


@dataclass(frozen=True, slots=True)
class Logs:
    """Running Lokis."""

    pods: Pods
    objects: Storage
    push_to: str
    """Workload that takes lines."""
    ask: str
    """Workload that answers queries."""

    def push(self, text: str) -> None:
        """A line for whichever replica takes it, as the collector would."""
        streams = [{"stream": {"app": "shop"}, "values": [[str(time.time_ns()), text]]}]
        url = f"{self.pods.url(self.push_to, 'http', None)}/loki/api/v1/push"
        answer = httpx.post(url, json={"streams": streams}, timeout=30)
        assert answer.status_code == 204, answer.text

    def find(self, text: str, index: int) -> list[str]:
        """Lines with `text`, as a replica finds them; no answer is no line."""
        url = f"{self.pods.url(self.ask, 'http', index)}/loki/api/v1/query_range"
        try:
            answer = httpx.get(url, params={"query": f'{{app="shop"}} |= "{text}"', "since": "1h"}, timeout=30)
        except httpx.HTTPError:
            return []
        found: list[dict[str, Any]] = answer.json()["data"]["result"] if answer.status_code == 200 else []
        return [line for stream in found for _, line, *_ in stream["values"]]

    def await_line(self, text: str, index: int) -> None:
        """Until a replica finds the line."""
        _eventually(lambda: self.find(text, index) == [text], 60, f"{text!r} at {index}")

    def gauges(self, name: str, indices: Iterable[int] = REPLICAS, workload: str = loki.NAME) -> list[float]:
        """Samples of a metric of replicas; none of one that has none."""
        texts = [httpx.get(f"{self.pods.url(workload, 'http', index)}/metrics", timeout=10).text for index in indices]
        return [
            sample.value
            for text in texts
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        ]

    def uploads(self, metric: str) -> float:
        """How many uploads the first replica counts."""
        text = httpx.get(f"{self.pods.url(loki.NAME, 'http', 0)}/metrics", timeout=10).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and sample.labels["operation"] == "upload"
        )

    def groups(self, index: int) -> set[str]:
        """Groups of rules that a replica which answers queries lists."""
        answer = httpx.get(f"{self.pods.url(self.ask, 'http', index)}/prometheus/api/v1/rules", timeout=30)
        return {group["name"] for group in answer.json()["data"]["groups"]}

    def chunks(self) -> list[str]:
        """Objects that hold lines."""
        return [name for name in list(self.objects.objects) if name.startswith("logs/fake/")]


def _eventually(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Generator[Logs]:
    """Three replicas of Loki, each all of it."""
    with storage() as objects:
        made = _stack(objects, replicas={"loki": 3})
        secrets = {"access": ACCESS_KEY}
        with Pods(tmp_path_factory.mktemp("lokis"), made.workloads, "observability", secrets) as pods:
            pods.start(loki.NAME)
            yield Logs(pods, objects, loki.push_address(made.context)[0], loki.query_address(made.context)[0])


@pytest.mark.parametrize("victim", REPLICAS)
def test_a_line_outlives_any_replica(trio: Logs, victim: int) -> None:
    """Proves that a line which is in no object yet is found by each of those left when any one replica is killed, that
    lines are taken meanwhile, and that the one that comes back finds both."""
    before, after = f"before {victim} was killed", f"after {victim} was killed"
    trio.push(before)
    assert trio.chunks() == []

    trio.pods.kill(loki.NAME, victim)

    left = [index for index in REPLICAS if index != victim]
    for index in left:
        trio.await_line(before, index)
    trio.push(after)
    for index in left:
        trio.await_line(after, index)
    trio.pods.start(loki.NAME, victim)
    for text in (before, after):
        trio.await_line(text, victim)


def test_one_compactor_and_each_group_of_rules_once(trio: Logs) -> None:
    """Proves that of three replicas one compacts, and that each group of rules is evaluated by one: an alert is told
    once. Each replica lists all groups nevertheless."""
    _eventually(lambda: sum(trio.gauges(RUNNING)) == 1, 60, "one compactor")
    groups = {group.name for group in loki.log_groups()}
    _eventually(lambda: len(trio.gauges(RULES)) == len(groups), 60, "each group once")
    for index in REPLICAS:
        assert trio.groups(index) == groups


def test_storage_that_fails_is_counted(trio: Logs) -> None:
    """Proves that what the alert about object storage looks at is what Loki counts when the storage refuses, and that
    lines are stored when it works again."""
    trio.push("through thick and thin")
    trio.objects.broken = True
    httpx.post(f"{trio.pods.url(loki.NAME, 'http', 0)}/flush", timeout=30)
    _eventually(lambda: trio.uploads(FAILURES) > 0, 120, "a failed upload")

    assert trio.uploads(OPERATIONS) >= trio.uploads(FAILURES)
    assert trio.chunks() == []
    trio.objects.broken = False
    _eventually(lambda: trio.chunks() != [], 120, "chunks")
    trio.await_line("through thick and thin", 0)


def test_lines_are_in_object_storage_once_replicas_end(trio: Logs) -> None:
    """Proves that replicas which are told to end hand their lines to object storage, by the keys of the file, and that
    new ones with empty volumes find them there."""
    trio.push("for later")
    for index in REPLICAS:
        trio.pods.stop(loki.NAME, index)

    assert trio.chunks() != []
    assert trio.objects.askers == {ACCESS_KEY}
    for index in REPLICAS:
        shutil.rmtree(trio.pods.data(loki.NAME, index))
    trio.pods.start(loki.NAME)
    for index in REPLICAS:
        trio.await_line("for later", index)


def test_read_write_and_backend(tmp_path: Path) -> None:
    """Proves that the three targets work together: what is pushed to the one is found by the other, also when one of
    those that hold it is killed; that rules are evaluated once, and listed where lines are asked for, as Grafana does;
    and that the third compacts."""
    with storage() as objects:
        made = _stack(objects, size="large", replicas={"shards": 1, "jaeger": 1, "grafana": 1})
        with Pods(tmp_path, made.workloads, "observability", {"access": ACCESS_KEY}) as pods:
            pods.start_all(
                ("loki-write", 0), ("loki-write", 1), ("loki-write", 2), ("loki-read", 0), ("loki-backend", 0)
            )
            logs = Logs(pods, objects, "loki-write", "loki-read")
            logs.push("divided")
            logs.await_line("divided", 0)
            pods.kill("loki-write", 1)
            logs.await_line("divided", 0)
            logs.push("still taken")
            logs.await_line("still taken", 0)
            rulers = ("loki-read", "loki-backend")
            groups = {group.name for group in loki.log_groups()}
            _eventually(
                lambda: len([one for name in rulers for one in logs.gauges(RULES, [0], name)]) == len(groups),
                60,
                "each group of rules once",
            )
            assert logs.groups(0) == groups
            assert logs.gauges(RUNNING, [0], "loki-backend") == [1]
