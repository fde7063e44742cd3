"""Metrics of a rendered Kubernetes stack beyond one machine: a pair of Prometheus, Thanos, and object storage."""

import json
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from specs import prometheus, thanos
from specs.monitoring import Alert, to_yaml
from specs.thanos import names
from specs.workload import Workload
from tests.contract.listed import read
from tests.distributed.asking import ask, eventually, exposed, metric, ready
from tests.distributed.buckets import ACCESS_KEY, Storage, storage
from tests.distributed.history import HOUR, blocks, hand_over
from tests.distributed.processes import OUTSIDE, Pods
from tests.distributed.stacks import kubernetes_stack

DAY = 24 * HOUR
BUCKET = "metrics"
SECRETS = {"access": ACCESS_KEY, "secret": "the+secret/key="}
LOGIN = {"access_key": {"secret": "access"}, "secret_key": {"secret": "secret"}}
FIVE_MINUTES = 300_000
OLD = "from_long_ago"
TOLD = {"receivers": {"team": {"webhook": {"url": "http://hook.example.com"}}}, "default": "team"}


@contextmanager
def ticking() -> Generator[str]:
    """The address of a target whose counter goes up by one a second, and which says that it is of another
    environment than the stack."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ticks = f'ticks_total{{environment="elsewhere"}} {time.time() - began}'
            body = f"# TYPE ticks_total counter\n{ticks}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    began = time.time()
    with ThreadingHTTPServer((OUTSIDE, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"{OUTSIDE}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def scraping(workload: Workload, targets: Sequence[str]) -> Workload:
    """A Prometheus that scrapes `targets` each second, in the place of what a cluster would list."""
    file = yaml.load(workload.files["prometheus.yml"], Loader=yaml.CSafeLoader)
    file["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    file["scrape_configs"] = [
        {"job_name": "ticks", "honor_labels": True, "static_configs": [{"targets": list(targets)}]}
    ]
    # The sidecar looks as often whether its Prometheus is there, instead of twice a minute.
    beside = [replace(each, args=(*each.args, "--prometheus.get_config_interval=1s")) for each in workload.beside]
    return replace(workload, files={**workload.files, "prometheus.yml": to_yaml(file)}, beside=tuple(beside))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two Prometheus and all of Thanos but the compactor, with a bucket."""

    pods: Pods
    bucket: Storage
    alerts: Sequence[Alert]
    """Those about Thanos."""
    old: float
    """When the blocks of two days begin that are older than Prometheus' retention."""

    @property
    def frontend(self) -> str:
        """What Grafana asks."""
        return self.pods.url(names.FRONTEND, "http", None)

    def blocks(self) -> dict[str, dict[str, Any]]:
        """What is in the bucket: the description of each block, by its name."""
        return {
            name.split("/")[1]: json.loads(body)
            for name, body in list(self.bucket.objects.items())
            if name.endswith("/meta.json")
        }

    def marked(self) -> set[str]:
        """Blocks of the bucket that will be deleted."""
        return {name.split("/")[1] for name in list(self.bucket.objects) if name.endswith("/deletion-mark.json")}

    def kept(self, name: str) -> list[str]:
        """Blocks in the directory of the first replica of a Prometheus."""
        return [path.parent.name for path in self.pods.data(name).glob("*/meta.json")]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[Pair]:
    """The small stack of production with Thanos, whose Prometheus keep two days, and blocks that are older."""
    home = tmp_path_factory.mktemp("pair")
    now = time.time()
    # Blocks are joined to such of two days; one of them is whole.
    twenty, forty = ((now - days * DAY) // (2 * DAY) * 2 * DAY for days in (20, 40))
    series = {
        f'{OLD}{{app="shop"}}': [(twenty + minute * 60, 42.0) for minute in range(50 * 60)],
        f'{OLD}{{app="gone"}}': [(forty + minute * 60, 7.0) for minute in range(10)],
        # Prometheus counts its retention from its newest block.
        f'{OLD}{{app="new"}}': [(now - 4 * HOUR, 1.0)],
    }
    # Late samples make a block that overlaps another one.
    late = {f'{OLD}{{app="late"}}': [(twenty + minute * 60, 3.0) for minute in range(10)]}
    old = [*blocks(home / "old", series), *blocks(home / "late", late)]
    with ticking() as target, storage() as bucket:
        made = kubernetes_stack(
            thanos=True,
            object_storage={
                "endpoint": bucket.address,
                "metrics_bucket": BUCKET,
                "insecure": True,
                "path_style": True,
                **LOGIN,
            },
            retention={"metrics": "2d"},
            alerting=TOLD,
        )
        workloads = [
            scraping(workload, [target])
            if workload.name == prometheus.NAME
            # Blocks that were made just now are young, whatever is in them.
            else replace(workload, args=(*workload.args, "--consistency-delay=0s"))
            if workload.name == names.COMPACTOR
            else workload
            for workload in made.workloads
        ]
        alerts = [alert for group in made.groups if group.name == thanos.GROUP for alert in group.alerts]
        with Pods(home / "pods", workloads, "observability", SECRETS) as pods:
            pods.start(prometheus.NAME)
            sidecars = [pods.url(prometheus.NAME, "sidecar-http", index) for index in range(2)]
            eventually("sidecars", 50, lambda: ready(*sidecars))
            # Before Prometheus looks at its directory again, a minute after its start, the sidecar has.
            hand_over(old, pods.data(prometheus.NAME))
            found = Pair(pods, bucket, alerts, twenty)
            eventually("old blocks in the bucket", 60, lambda: len(found.blocks()) >= len(old))
            for name in (names.STORE, names.QUERY, names.FRONTEND):
                pods.start(name)
            eventually("ticks", 60, lambda: ask(found.frontend, "ticks_total"))
            yield found


def test_each_series_is_answered_once(pair: Pair) -> None:
    """Proves that both replicas scrape, that a query gives one series of the two, and that its labels are those that
    one Prometheus would give: an application's environment is its own, also where it is another than the stack's."""

    def replicas() -> set[str]:
        apart = ask(pair.frontend, "ticks_total", dedup="false")
        return {each["metric"]["prometheus_replica"] for each in apart}

    eventually("both replicas", 60, lambda: replicas() == {"prometheus-0", "prometheus-1"})
    (series,) = ask(pair.frontend, "ticks_total")
    assert set(series["metric"]) == {"__name__", "cluster", "environment", "instance", "job"}
    assert series["metric"]["environment"] == "elsewhere"
    (chosen,) = ask(pair.frontend, 'ticks_total{environment="elsewhere"}')
    assert chosen["metric"] == series["metric"]
    (counted,) = ask(pair.frontend, "count(ticks_total)")
    assert counted["value"][1] == "1"


def test_rules_are_listed_once(pair: Pair) -> None:
    """Proves that where dashboards ask, rules of both replicas are one list, which is all that Grafana shows of
    them."""
    answer = httpx.get(f"{pair.frontend}/api/v1/rules", timeout=60).json()
    listed = Counter(
        json.dumps([group["name"], rule["name"], rule["query"], rule["labels"]], sort_keys=True)
        for group in answer["data"]["groups"]
        for rule in group["rules"]
    )
    own = httpx.get(f"{pair.pods.url(prometheus.NAME)}/api/v1/rules", timeout=60).json()

    assert len(listed) == sum(len(group["rules"]) for group in own["data"]["groups"])
    assert set(listed.values()) == {1}


def test_object_storage_is_asked_with_the_keys(pair: Pair) -> None:
    """Proves that the file of keys is what the programs log in with: no request came without, or with others."""
    assert pair.bucket.askers == {ACCESS_KEY}


def test_every_store_is_connected(pair: Pair) -> None:
    """Proves that the alert on missing stores expects as many as there are when all is well."""
    connections = "thanos_store_nodes_grpc_connections"
    (limit,) = (alert.threshold for alert in pair.alerts if connections in alert.expr)
    urls = [pair.pods.url(names.QUERY, "http", index) for index in range(names.QUERIES)]
    eventually("all of them", 60, lambda: all(metric(url, connections) == limit for url in urls))


def test_what_prometheus_no_longer_keeps_is_answered(pair: Pair) -> None:
    """Proves that a block that is older than Prometheus' own retention, and gone from its directory, is answered out
    of object storage, whole: with the late samples, whose block overlaps another one."""
    at = pair.old + 5 * 60
    own = pair.pods.url(prometheus.NAME)
    eventually("only the new block with Prometheus", 150, lambda: len(pair.kept(prometheus.NAME)) == 1)

    assert ask(own, OLD, at=at) == []
    found = {each["metric"]["app"]: float(each["value"][1]) for each in ask(pair.frontend, OLD, at=at)}
    assert found == {"shop": 42.0, "late": 3.0}


def test_the_compactor_joins_thins_out_and_forgets(pair: Pair) -> None:
    """Proves that the compactor comes to an end with blocks that overlap, makes points of five minutes out of two
    days of samples, marks what is older than the settings allow, and nothing else; and that a long query is answered
    of the thinner blocks."""
    before = pair.blocks()
    pair.pods.start(names.COMPACTOR)
    url = pair.pods.url(names.COMPACTOR)
    ends = ("thanos_compact_iterations_total", "thanos_compact_halted")
    eventually("an end", 150, lambda: any(metric(url, name) for name in ends))

    assert metric(url, "thanos_compact_halted") == 0
    assert metric(url, "thanos_compact_group_vertical_compactions_total") > 0
    thin = {
        name: block
        for name, block in pair.blocks().items()
        if block["thanos"]["downsample"]["resolution"] == FIVE_MINUTES
    }
    assert thin != {}
    assert all(block["minTime"] / 1000 >= pair.old for block in thin.values())
    forgotten = pair.marked() & {name for name, block in before.items() if block["maxTime"] / 1000 < pair.old}
    assert len(forgotten) == 1, "the block of forty days ago"
    kept = {
        source
        for name, block in pair.blocks().items()
        if name not in pair.marked()
        for source in block["compaction"]["sources"]
    }
    assert set(before) - forgotten <= kept, "all others are there, by themselves or in a larger one"

    pair.pods.kill(names.STORE)
    pair.pods.start(names.STORE)
    at = pair.old + DAY
    question = f'avg_over_time({OLD}{{app="shop"}}[6h])'
    query = pair.pods.url(names.QUERY)
    (found,) = eventually("the store again", 60, lambda: ask(query, question, at=at, max_source_resolution="5m"))
    assert float(found["value"][1]) == pytest.approx(42)


def test_rules_ask_for_what_is_there(pair: Pair) -> None:
    """Proves that what is listed of Thanos' metrics, by which the rules are checked, is what these programs expose,
    label for label; the ruler's own are compared with it."""
    pages = [pair.pods.url(name) for name in (names.QUERY, names.FRONTEND, names.STORE, names.COMPACTOR)]
    found: dict[str, frozenset[str]] = {}
    for page in (*pages, pair.pods.url(prometheus.NAME, "sidecar-http")):
        found |= exposed(page)
    _, listed = read("thanos")
    others = {name: labels for name, labels in listed.items() if "_rule_" not in name and "_alert_" not in name}

    assert {name: found.get(name) for name in others} == others


def test_one_prometheus_away_leaves_no_gap(pair: Pair) -> None:
    """Proves that when a Prometheus is killed, queries go on from the other's samples: at no second is there none of
    the last five seconds, before, at and after the loss; and that the sidecar that died with it is told as missing."""
    killed = time.time()
    pair.pods.kill(prometheus.NAME, 0)
    time.sleep(20)

    given: dict[str, str | float] = {"start": killed - 10, "end": killed + 15, "step": "1"}
    given["query"] = "count_over_time(ticks_total[5s])"
    answer = httpx.get(f"{pair.frontend}/api/v1/query_range", params=given, timeout=60).json()
    (series,) = answer["data"]["result"]
    seen = [float(count) for _, count in series["values"]]
    assert len(seen) == 26, series
    assert min(seen) >= 3, series
    (rate,) = ask(pair.frontend, "rate(ticks_total[10s])", at=killed + 5)
    assert float(rate["value"][1]) == pytest.approx(1, abs=0.2)

    query = pair.pods.url(names.QUERY)
    connections = "thanos_store_nodes_grpc_connections"
    eventually("one store less", 60, lambda: metric(query, connections) == 2)
    pair.pods.start(prometheus.NAME, 0)
    eventually("it is back", 120, lambda: metric(query, connections) == 3)
