"""Whose a sample of a cluster is, and which are kept: what is rendered, by a real Prometheus."""

import re
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from processes.place import executable
from specs.cluster import names, state
from specs.monitoring import to_yaml
from tests.local.servers import free_port
from tests.specs.clusters import ALERTING, scraped
from tests.specs.support import stack

WEB = 'namespace="shop",pod="backend-75cb4df6c9-bk967"'
NET = 'container="",id="/b",image="",name="",namespace="shop",pod="p-0"'
PROBE = 'container="web",@WEB@,pod_uid="1",probe_type="Liveness"'
STATE_PAGE = """
kube_pod_status_phase{@WEB@,uid="1",phase="Running"} 1
kube_pod_status_phase{namespace="shop",pod="db-0",uid="2",phase="Running"} 1
kube_pod_status_phase{namespace="observability-node",pod="node-exporter-x7k2p",uid="3",phase="Running"} 1
kube_deployment_spec_replicas{namespace="elsewhere",deployment="api"} 1
kube_pod_container_status_restarts_total{@WEB@,uid="1",container="web"} 1
kube_node_info{node="n1",kubelet_version="v1.36.3"} 1
""".replace("@WEB@", WEB)
CONTAINERS_PAGE = """
container_memory_working_set_bytes{container="web",id="/a",image="i",name="n",@WEB@} 1
container_memory_working_set_bytes{container="",id="/b",image="",name="",@WEB@} 2
container_memory_working_set_bytes{container="POD",id="/c",image="",name="",@WEB@} 3
container_memory_working_set_bytes{container="",id="/",image="",name="",namespace="",pod=""} 4
container_network_receive_bytes_total{@NET@,interface="eth0"} 5
container_network_receive_bytes_total{@NET@,interface="veth1"} 6
container_tasks_state{container="web",id="/a",image="i",name="n",namespace="shop",pod="p-0",state="running"} 7
""".replace("@NET@", NET).replace("@WEB@", WEB)
KUBELET_PAGE = """
kubelet_running_pods 3
kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data"} 5
apiserver_request_total{code="200"} 1
"""
PROBES_PAGE = """
prober_probe_total{@PROBE@,result="failed"} 1
prober_probe_total{@PROBE@,result="successful"} 9
""".replace("@PROBE@", PROBE).replace("@WEB@", WEB)
API_PAGE = """
# TYPE apiserver_request_sli_duration_seconds histogram
apiserver_request_sli_duration_seconds_bucket{verb="GET",le="0.1"} 1
apiserver_request_sli_duration_seconds_bucket{verb="GET",le="1"} 2
apiserver_request_sli_duration_seconds_bucket{verb="GET",le="30"} 3
apiserver_request_sli_duration_seconds_bucket{verb="GET",le="+Inf"} 3
apiserver_request_sli_duration_seconds_sum{verb="GET"} 3
apiserver_request_sli_duration_seconds_count{verb="GET"} 3
apiserver_request_total{code="200",verb="GET"} 3
etcd_request_duration_seconds_count{operation="get"} 3
workqueue_depth{name="job"} 3
"""
PAGES = {
    names.STATE: STATE_PAGE,
    names.CONTAINERS: CONTAINERS_PAGE,
    names.KUBELET: KUBELET_PAGE,
    names.PROBES: PROBES_PAGE,
    names.API: API_PAGE,
}
META = {
    names.STATE: {
        "__meta_kubernetes_namespace": "observability",
        "__meta_kubernetes_pod_name": "kube-state-metrics-7c9f8d5b6c-abcde",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_pod_label_app_kubernetes_io_part_of": "observability",
        "__meta_kubernetes_pod_label_app_kubernetes_io_instance": names.STATE,
        "__meta_kubernetes_pod_container_port_number": str(state.PORT),
    },
    names.API: {
        "__meta_kubernetes_endpointslice_label_kubernetes_io_service_name": "kubernetes",
        "__meta_kubernetes_endpointslice_port_name": "https",
    },
}
NODE = {"__meta_kubernetes_node_name": "n1"}
"""What discovery says of a kubelet."""
SHOP = {
    "profile": "examples/systems/bookshop.yaml",
    "pods": {"web": {"namespace": "shop", "labels": {"app": "backend"}, "port": 8000}},
}


@contextmanager
def _pages() -> Generator[int]:
    """A server with the page of each job at `/<job>`; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = PAGES[self.path.removeprefix("/")].lstrip().encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _static(job: dict[str, Any], port: int) -> dict[str, Any]:
    """The rendered job, of a target that is said to have been discovered."""
    kept_here = (
        *("job_name", "honor_labels", "track_timestamps_staleness"),
        *("relabel_configs", "metric_relabel_configs"),
    )
    rest = {key: value for key, value in job.items() if key in kept_here}
    labels = META.get(job["job_name"], NODE)
    found = {"targets": [f"127.0.0.1:{port}"], "labels": labels}
    return {**rest, "metrics_path": f"/{job['job_name']}", "scrape_interval": "1s", "static_configs": [found]}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Generator[Mapping[str, list[dict[str, str]]]]:
    """Labels of the samples of each job, as a real Prometheus stores them by what is rendered."""
    home, port = tmp_path_factory.mktemp("prometheus"), free_port()
    found = stack(runtime="kubernetes", alerting=ALERTING, systems={"bookshop": SHOP})
    with _pages() as pages:
        jobs = [_static(scraped(found)[name], pages) for name in PAGES]
        (home / "prometheus.yml").write_text(to_yaml({"scrape_configs": jobs}), encoding="utf-8")
        argv = [
            *(str(executable("prometheus")), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=home, stdout=log, stderr=log)
        try:
            yield {name: _await(port, name, home) for name in PAGES}
        finally:
            process.terminate()
            process.wait(timeout=20)


def _await(port: int, job: str, home: Path) -> list[dict[str, str]]:
    deadline = time.monotonic() + 40
    while True:
        try:
            query = {"match[]": f'{{job="{job}"}}'}
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/series", params=query, timeout=5)
            # It answers that it starts, before it is there.
            series = answer.raise_for_status().json()["data"]
            found = [each for each in series if not re.fullmatch("up|scrape_.*", each["__name__"])]
            if found:
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, (home / "log").read_text(encoding="utf-8")[-2000:]
        time.sleep(0.3)


def _of(samples: list[dict[str, str]], **where: str) -> dict[str, str]:
    (found,) = (each for each in samples if where.items() <= each.items())
    return found


def test_objects_belong_to_their_system(samples: Mapping[str, list[dict[str, str]]]) -> None:
    """Proves that samples about objects are of the system in whose namespace they are, of the stack in its own, of the
    cluster elsewhere, and tell which part it is; and that they go on when kube-state-metrics is another pod."""
    found = samples[names.STATE]
    told = {
        (each["__name__"], each.get("pod", each.get("deployment", ""))): (each["app"], each["service"])
        for each in found
    }

    assert told == {
        ("kube_pod_status_phase", "backend-75cb4df6c9-bk967"): ("bookshop", "backend"),
        ("kube_pod_status_phase", "db-0"): ("bookshop", "db"),
        ("kube_pod_status_phase", "node-exporter-x7k2p"): ("observability", "node-exporter"),
        ("kube_deployment_spec_replicas", "api"): ("cluster", "api"),
        ("kube_pod_container_status_restarts_total", "backend-75cb4df6c9-bk967"): ("bookshop", "web"),
        ("kube_node_info", ""): ("cluster", "kube-state-metrics"),
    }
    assert {(each["instance"], each["environment"]) for each in found} == {("kube-state-metrics:8080", "test")}
    assert not {"uid"} & {label for each in found for label in each}
    assert "pod" not in _of(found, __name__="kube_node_info")


def test_containers_are_counted_once(samples: Mapping[str, list[dict[str, str]]]) -> None:
    """Proves that of containers neither pods as a whole, nor what holds their network, nor the node's own cgroups are
    kept, and of networks only pods' own."""
    found = samples[names.CONTAINERS]

    assert sorted((each["__name__"], each.get("container", "")) for each in found) == [
        ("container_memory_working_set_bytes", "web"),
        ("container_network_receive_bytes_total", ""),
    ]
    assert _of(found, container="web") == {
        "__name__": "container_memory_working_set_bytes",
        "app": "bookshop",
        "container": "web",
        "environment": "test",
        "id": "/a",
        "instance": "n1",
        "job": "kubelet-containers",
        "namespace": "shop",
        "node": "n1",
        "pod": "backend-75cb4df6c9-bk967",
        "service": "web",
    }
    assert _of(found, interface="eth0")["app"] == "bookshop"


def test_kubelets_and_their_volumes(samples: Mapping[str, list[dict[str, str]]]) -> None:
    """Proves that what a kubelet says of itself is the cluster's and the node's, and of a volume its owner's; that
    failed probes alone are kept; and that of k3s' one page kubelets' metrics are taken only."""
    mine = {"environment": "test", "instance": "n1", "node": "n1"}

    assert sorted(samples[names.KUBELET], key=lambda each: each["__name__"]) == [
        {"__name__": "kubelet_running_pods", "app": "cluster", "job": "kubelet", "service": "kubelet", **mine},
        {
            "__name__": "kubelet_volume_stats_capacity_bytes",
            "app": "bookshop",
            "job": "kubelet",
            "namespace": "shop",
            "persistentvolumeclaim": "data",
            "service": "data",
            **mine,
        },
    ]
    (probe,) = samples[names.PROBES]
    assert (probe["result"], probe["app"], probe["service"], "pod_uid" in probe) == ("failed", "bookshop", "web", False)


def test_buckets_that_nobody_asks_for_are_dropped(samples: Mapping[str, list[dict[str, str]]]) -> None:
    """Proves that of the API server's durations the buckets of the alert are kept, and of its many metrics those that
    are asked for."""
    found = samples[names.API]

    assert sorted((each["__name__"], each.get("le", "")) for each in found) == [
        ("apiserver_request_sli_duration_seconds_bucket", "1.0"),
        ("apiserver_request_sli_duration_seconds_bucket", "30.0"),
        ("apiserver_request_sli_duration_seconds_count", ""),
        ("apiserver_request_total", ""),
    ]
    assert {(each["app"], each["service"]) for each in found} == {("cluster", "apiserver")}
