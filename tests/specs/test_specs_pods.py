"""Pods of systems: how they are found, by a real Prometheus' relabelling, and what is refused."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from processes.place import executable
from specs.monitoring import to_yaml
from tests.local.servers import free_port
from tests.log_stack import eventually
from tests.specs.clusters import ALERTING, scraped
from tests.specs.support import complaint, stack

PODS = {"namespace": "shop-prod", "labels": {"app.kubernetes.io/name": "web", "tier": "a.b"}, "port": 8000}
PROFILE = {"profile": "examples/systems/bookshop.yaml"}


def _jobs(**system: Any) -> Mapping[str, dict[str, Any]]:
    found = stack(runtime="kubernetes", alerting=ALERTING, systems={"bookshop": {**PROFILE, **system}})
    return {name: job for name, job in scraped(found).items() if name.startswith("bookshop")}


def _pod(ip: str, port: str, **labels: str) -> dict[str, Any]:
    """What discovery says of a port of a pod."""
    meta = {
        "namespace": "shop-prod",
        "pod_name": "web-75cb4df6c9-bk967",
        "pod_node_name": "n1",
        "pod_phase": "Running",
        "pod_ip": ip,
        "pod_container_port_number": port,
        "pod_container_name": f"c{port}",
        "pod_label_app_kubernetes_io_name": "web",
        "pod_label_tier": "a.b",
        **labels,
    }
    host = f"[{ip}]" if ":" in ip else ip
    found = {f"__meta_kubernetes_{name}": value for name, value in meta.items()}
    return {"targets": [f"{host}:{port}" if port else host], "labels": found}


def _targets(job: Mapping[str, Any], directory: Path) -> list[dict[str, Any]]:
    """What a real Prometheus makes of a job."""
    port = free_port()
    (directory / "prometheus.yml").write_text(to_yaml({"scrape_configs": [job]}), encoding="utf-8")
    argv = [
        *(str(executable("prometheus")), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=directory, stdout=log, stderr=log)

    def targets() -> list[dict[str, Any]]:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets", timeout=5)
        except httpx.HTTPError:
            return []
        found: list[dict[str, Any]] = answer.json()["data"]["activeTargets"] if answer.status_code == 200 else []
        return found

    try:
        found = eventually(targets, 40, "targets")
    finally:
        process.terminate()
        process.wait(timeout=20)
    return found


def test_pods_are_found_by_their_labels(tmp_path: Path) -> None:
    """Proves that every pod with all of the labels is one target, at the port that is named, whatever ports and
    containers it declares; and that others, and pods that have ended, are none."""
    job = dict(_jobs(pods={"web": PODS})["bookshop-web"])
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["shop-prod"]}}]
    job["static_configs"] = [
        _pod("10.0.0.1", "8000"),
        _pod("10.0.0.1", "9000"),
        _pod("fd00::7", ""),
        _pod("10.0.0.3", "8000", pod_phase="Succeeded"),
        _pod("10.0.0.4", "8000", pod_label_tier="aXb"),
        _pod("10.0.0.5", "8000", pod_label_app_kubernetes_io_name="worker"),
        _pod("10.0.0.6", "8000", pod_container_init="true"),
    ]
    found = _targets(job, tmp_path)
    common = {"app": "bookshop", "environment": "test", "job": "bookshop-web", "service": "web"}
    pod = {"namespace": "shop-prod", "node": "n1", "pod": "web-75cb4df6c9-bk967"}
    labels = {**common, **pod, "instance": "web-75cb4df6c9-bk967:8000"}

    assert sorted((each["scrapeUrl"], each["labels"]) for each in found) == [
        ("http://10.0.0.1:8000/metrics", labels),
        ("http://[fd00::7]:8000/metrics", labels),
    ]


def test_pods_of_applications_are_found_by_their_annotations(tmp_path: Path) -> None:
    """Proves that a pod that asks for it is one target at the port that it names, however many containers and ports it
    has; that without one its ports for metrics are, and no others; and whom its samples are of."""
    job = dict(scraped(stack(runtime="kubernetes", alerting=ALERTING))["applications"])
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    asks = {"pod_annotation_prometheus_io_scrape": "true"}
    named = {**asks, "pod_annotation_prometheus_io_port": "9102", "pod_annotation_prometheus_io_path": "/own"}
    made = {"pod_controller_kind": "ReplicaSet", "pod_controller_name": "web-75cb4df6c9"}
    bare = {"pod_label_app_kubernetes_io_name": ""}
    job["static_configs"] = [
        _pod("10.0.0.1", "8000", **named),
        _pod("10.0.0.1", "15090", **named),
        _pod("fd00::7", "", **named, **made, **bare),
        _pod("10.0.0.2", "8000", **asks, pod_container_port_name="http"),
        _pod(
            "10.0.0.2", "9000", **asks, pod_container_port_name="http-metrics", pod_annotation_observability_app="shop"
        ),
        _pod("10.0.0.3", "8000"),
        _pod("10.0.0.4", "8000", **named, pod_phase="Failed"),
        _pod("10.0.0.5", "8000", **named, namespace="observability"),
    ]
    found = _targets(job, tmp_path)
    told = {
        each["scrapeUrl"]: (each["labels"]["app"], each["labels"]["service"], each["labels"]["instance"])
        for each in found
    }
    pod = "web-75cb4df6c9-bk967"

    assert len(found) == len(told)
    assert told == {
        "http://10.0.0.1:9102/own": ("web", pod, f"{pod}:9102"),
        "http://[fd00::7]:9102/own": ("web", "web", f"{pod}:9102"),
        "http://10.0.0.2:9000/metrics": ("shop", pod, f"{pod}:9000"),
    }


def test_annotated_pods_of_a_system_are_scraped_once(tmp_path: Path) -> None:
    """Proves that a page of a pod that a system's job scrapes is no target of the annotations' job as well, and that
    another page or port of that pod, and the same of another pod, is."""
    found = stack(runtime="kubernetes", alerting=ALERTING, systems={"bookshop": {**PROFILE, "pods": {"web": PODS}}})
    job = dict(scraped(found)["applications"])
    job.pop("kubernetes_sd_configs")
    asks = {"pod_annotation_prometheus_io_scrape": "true"}

    def named(port: str, path: str = "") -> dict[str, str]:
        own = {"pod_annotation_prometheus_io_path": path} if path else {}
        return {**asks, "pod_annotation_prometheus_io_port": port, **own}

    job["static_configs"] = [
        _pod("10.0.0.1", "8000", **named("8000")),
        _pod("fd00::7", "8000", **named("8000", "/metrics")),
        _pod("10.0.0.2", "8000", **named("9000")),
        _pod("10.0.0.3", "8000", **named("8000", "/other")),
        _pod("10.0.0.4", "8000", **named("8000"), pod_label_tier="aXb"),
        _pod("10.0.0.5", "8000", **named("8000"), namespace="shop-test"),
    ]

    assert sorted(each["scrapeUrl"] for each in _targets(job, tmp_path)) == [
        "http://10.0.0.2:9000/metrics",
        "http://10.0.0.3:8000/other",
        "http://10.0.0.4:8000/metrics",
        "http://10.0.0.5:8000/metrics",
    ]


def test_beside_addresses() -> None:
    """Proves that addresses and pods of one service are two jobs, each missed when nothing of it is left; and that a
    path of the pods' own is asked for."""
    both = _jobs(services={"web": ["web.shop-prod.svc:80"]}, pods={"web": {**PODS, "path": "/own"}})

    assert {name: job["metrics_path"] for name, job in both.items()} == {
        "bookshop-web": "/metrics",
        "bookshop-web-pods": "/own",
    }
    assert "static_configs" in both["bookshop-web"]
    assert "kubernetes_sd_configs" in both["bookshop-web-pods"]


@pytest.mark.parametrize(
    ("runtime", "pods", "said"),
    [
        (
            "process",
            {"web": PODS},
            ": there are no pods on process (accepted: on kubernetes; services with addresses elsewhere)",
        ),
        ("kubernetes", {"api": PODS}, ".api: not a service of bookshop (accepted: web, worker)"),
        (
            "kubernetes",
            {"web": {**PODS, "labels": {"app name": "web"}}},
            '.web.labels."app name": "app name" is no name of a label (accepted: like app or app.kubernetes.io/name)',
        ),
        (
            "kubernetes",
            {"web": {**PODS, "labels": {"app": "web|api"}}},
            (
                '.web.labels.app: "web|api" is no value of a label'
                " (accepted: letters, digits, - _ and . between them, at most 63)"
            ),
        ),
        (
            "kubernetes",
            {"web": {**PODS, "namespace": "Shop"}},
            '.web.namespace: "Shop" is not accepted here (accepted: small letters, digits and dashes, at most 63)',
        ),
        (
            "kubernetes",
            {"web": {**PODS, "namespace": "observability-node"}},
            (
                ".web.namespace: observability-node is the stack's own (accepted: another; what else is in it is cut"
                " off from the network)"
            ),
        ),
        (
            "kubernetes",
            {"web": {**PODS, "labels": {}}},
            ".web.labels: nothing stands in it (accepted: at least 1)",
        ),
    ],
)
def test_mistakes(runtime: str, pods: Mapping[str, Any], said: str) -> None:
    """Proves that pods where there are none, of an unknown service, of the stack itself, of any label at all or of one
    that no pod can have are refused in one line."""
    alerting = {} if runtime == "process" else ALERTING

    assert complaint(runtime=runtime, systems={"bookshop": {**PROFILE, "pods": pods}}, alerting=alerting) == (
        f"Pulumi.test.yaml: observability:settings.systems.bookshop.pods{said}"
    )
