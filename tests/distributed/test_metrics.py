"""Metrics of a rendered Kubernetes stack beyond one machine: a pair of Prometheus, Thanos, and object storage."""

import json
import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from specs import prometheus, thanos
from specs.monitoring import to_yaml
from specs.thanos import names
from specs.workload import Workload
from tests.distributed.buckets import ACCESS_KEY, Storage, storage
from tests.distributed.history import HOUR, blocks, hand_over
from tests.distributed.processes import OUTSIDE, Pods
from tests.distributed.stacks import kubernetes_stack

Found = TypeVar("Found")

DAY = 24 * HOUR
BUCKET = "metrics"
SECRETS = {"access": ACCESS_KEY, "secret": "the+secret/key="}
LOGIN = {"access_key": {"secret": "access"}, "secret_key": {"secret": "secret"}}
OLD = "from_long_ago"
TOLD = {"receivers": {"team": {"webhook": {"url": "http://hook.example.com"}}}, "default": "team"}


@contextmanager
def ticking() -> Generator[str]:
    """The address of a target whose counter goes up by one a second, and which says that it is of another
    environment than the stack."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'# TYPE ticks_total counter\nticks_total{{environment="elsewhere"}} {time.time() - began}\n'.encode()
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


def eventually(what: str, seconds: float, found: Callable[[], Found]) -> Found:
    """The first answer that is anything."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.2)
    return answer


def ask(url: str, query: str, *, at: float | None = None, **more: str) -> list[dict[str, Any]]:
    """The series of an instant query. The answer must be whole."""
    given = {"query": query, **({"time": f"{at:.3f}"} if at else {}), **more}
    answer = httpx.get(f"{url}/api/v1/query", params=given, timeout=60)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def metric(url: str, name: str) -> float:
    """The sum of a program's own samples of that name."""
    text = httpx.get(f"{url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)$", text, re.MULTILINE))


def scraping(workload: Workload, targets: Sequence[str]) -> Workload:
    """A Prometheus that scrapes `targets` each second, in the place of what a cluster would list."""
    file = yaml.safe_load(workload.files["prometheus.yml"])
    file["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    file["scrape_configs"] = [
        {"job_name": "ticks", "honor_labels": True, "static_configs": [{"targets": list(targets)}]}
    ]
    return replace(workload, files={**workload.files, "prometheus.yml": to_yaml(file)})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two Prometheus and all of Thanos but the compactor, with a bucket."""

    pods: Pods
    bucket: Storage
    now: float
    """When it began; the blocks of long ago are counted from it."""

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


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[Pair]:
    """The small stack of production with Thanos, whose Prometheus keep two days, and blocks that are older."""
    home = tmp_path_factory.mktemp("pair")
    now = time.time()
    twenty, forty = now - 20 * DAY, now - 40 * DAY
    series = {
        f'{OLD}{{app="shop"}}': [(twenty + minute * 60, 42.0) for minute in range(50 * 60)],
        f'{OLD}{{app="gone"}}': [(forty + minute * 60, 7.0) for minute in range(10)],
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
        with Pods(home / "pods", workloads, "observability", SECRETS) as pods:
            pods.start(prometheus.NAME)
            # Before Prometheus looks at its directory again, a minute after its start, the sidecar has.
            hand_over(old, pods.data(prometheus.NAME))
            found = Pair(pods, bucket, now)
            eventually("old blocks in the bucket", 60, lambda: len(found.blocks()) >= len(old))
            for name in (names.STORE, names.QUERY, names.FRONTEND):
                pods.start(name)
            eventually("ticks", 60, lambda: ask(found.frontend, "ticks_total"))
            yield found


def test_x(pair):
    print(ask(pair.frontend,"ticks_total"), ask(pair.frontend,"ticks_total",dedup="false"))
    print(ask(pair.frontend,OLD,at=pair.now-20*DAY+300))
    print(ask(pair.pods.url("prometheus","http",0),OLD,at=pair.now-20*DAY+300))
    print(httpx.get(pair.pods.url(names.QUERY)+"/metrics").text[:0])
    print(pair.bucket.askers)
    for n in ("thanos-query","thanos-query-frontend","thanos-store"):
        open(f"/tmp/thanos/{n}.metrics","w").write(httpx.get(pair.pods.url(n)+"/metrics").text)
    open(f"/tmp/thanos/sidecar.metrics","w").write(httpx.get(pair.pods.url("prometheus","sidecar-http")+"/metrics").text)
    print(httpx.get(pair.pods.url(names.QUERY)+"/api/v1/stores").text[:3000])
    assert 0
