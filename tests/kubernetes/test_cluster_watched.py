"""How a cluster is watched, for real: kube-state-metrics and Prometheus ask a real API server as their own accounts."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from specs.cluster.kept import KEPT
from specs.cluster.names import API, STATE
from specs.monitoring import to_yaml
from specs.stack import Stack
from tests.kubernetes import stacks
from tests.kubernetes.conftest import Place
from tests.kubernetes.control_plane import NOBODY, ControlPlane, free_port, started
from tests.log_stack import eventually
from tools import native

VARIANT = "small"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


@pytest.fixture(scope="module")
def stack(place: Place) -> Stack:
    """What is applied."""
    place(VARIANT)
    return stacks.rendered(VARIANT)[0]


def _token(control_plane: ControlPlane, account: str) -> str:
    """A token of a ServiceAccount of the stack."""
    path = f"/api/v1/namespaces/{VARIANT}/serviceaccounts/{account}/token"
    with control_plane.client() as client:
        answer = client.post(path, json={"spec": {"expirationSeconds": 600}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["status"]["token"])


@contextmanager
def _state_metrics(control_plane: ControlPlane, stack: Stack, home: Path, token: str) -> Generator[tuple[str, str]]:
    """The rendered kube-state-metrics with that token: its page about the cluster, and the one about itself."""
    kubeconfig = yaml.safe_load(control_plane.kubeconfig().read_text(encoding="utf-8"))
    kubeconfig["users"][0]["user"] = {"token": token}
    path = home / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(to_yaml(kubeconfig), encoding="utf-8")
    ports = {"--port": free_port(), "--telemetry-port": free_port()}
    hosts = dict.fromkeys(("--host", "--telemetry-host"), "127.0.0.1")
    rest = [arg for arg in stack.workload(STATE).args if arg.partition("=")[0] not in {*ports, *hosts}]
    mapped = [f"{name}={value}" for name, value in {**ports, **hosts}.items()]
    program = native.ensure([STATE])[STATE].path
    about, itself = (f"http://127.0.0.1:{port}" for port in ports.values())
    with started([str(program), *rest, *mapped, f"--kubeconfig={path}"], home / "log"):
        eventually(lambda: _answers(f"{itself}{stack.workload(STATE).probe.path}"), 60, "kube-state-metrics")
        yield f"{about}/metrics", f"{itself}/metrics"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _names(url: str) -> set[str]:
    return set(re.findall(r"^(\w+)[{ ]", httpx.get(url, timeout=10).text, re.MULTILINE))


def test_it_reads_what_it_tells_of(control_plane: ControlPlane, stack: Stack, tmp_path: Path) -> None:
    """Proves that kube-state-metrics, with the rights of its own account, tells of the stack's own Deployments,
    StatefulSets, DaemonSets and budgets by the metrics that alerts ask for, and is refused nothing."""
    kinds = ("kube_deployment_", "kube_statefulset_", "kube_daemonset_", "kube_poddisruptionbudget_", "kube_namespace_")
    # Conditions are what controllers say, and none runs here.
    wanted = {name for name in KEPT[STATE] if name.startswith(kinds) and not name.endswith("_condition")}
    with _state_metrics(control_plane, stack, tmp_path, _token(control_plane, STATE)) as (about, itself):
        eventually(lambda: wanted <= _names(about), 30, "every metric")
        told = httpx.get(about, timeout=10).text
        of_itself = httpx.get(itself, timeout=10).text

    assert f'kube_deployment_spec_replicas{{namespace="{VARIANT}",deployment="{STATE}"}} 1' in told
    assert 'result="success"' in of_itself
    assert 'result="error"' not in of_itself
    assert set(re.findall(r"^(kube_\w+)\{", told, re.MULTILINE)) - {"kube_resourcequota_created"} <= set(KEPT[STATE])


def test_it_says_that_it_is_refused(control_plane: ControlPlane, stack: Stack, tmp_path: Path) -> None:
    """Proves that without its rights it counts errors, which an alert is about."""
    with _state_metrics(control_plane, stack, tmp_path, control_plane.tokens[NOBODY]) as (about, itself):
        eventually(lambda: 'result="error"' in httpx.get(itself, timeout=10).text, 30, "an error")
        assert not {name for name in _names(about) if name.startswith("kube_deployment_")}


def _config(control_plane: ControlPlane, stack: Stack, home: Path, token: str) -> dict[str, Any]:
    """Prometheus' rendered job of the API server, with what a pod would find in its filesystem."""
    (job,) = (
        each
        for each in yaml.safe_load(stack.workload("prometheus").files["prometheus.yml"])["scrape_configs"]
        if each["job_name"] == API
    )
    secret = home / "token"
    secret.touch(mode=0o600)
    secret.write_text(token, encoding="utf-8")
    authority = str(control_plane.authority.own.file)
    login = {"tls_config": {"ca_file": authority}, "authorization": {"credentials_file": str(secret)}}
    for found in job["kubernetes_sd_configs"]:
        found |= {"api_server": control_plane.url, **login}
    job["tls_config"]["ca_file"] = authority
    job["authorization"] = login["authorization"]
    # An EndpointSlice takes no loopback address, which is where the API server of the tests is.
    address = {"target_label": "__address__", "replacement": control_plane.url.removeprefix("https://")}
    job["relabel_configs"].append(address)
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}


@pytest.mark.parametrize("asks", ["prometheus", NOBODY])
def test_prometheus_scrapes_the_api_server(
    control_plane: ControlPlane, stack: Stack, tmp_path: Path, asks: str
) -> None:
    """Proves that Prometheus finds the API server and gets its metrics, with its own account's token and by the name of
    its Service; and gets none as somebody without that right."""
    port = free_port()
    finds = asks == "prometheus"
    config = _config(control_plane, stack, tmp_path, _token(control_plane, "prometheus"))
    if not finds:
        other = tmp_path / "other"
        other.write_text(control_plane.tokens[asks], encoding="utf-8")
        config["scrape_configs"][0]["authorization"] = {"credentials_file": str(other)}
    (tmp_path / "prometheus.yml").write_text(to_yaml(config), encoding="utf-8")
    endpoints = {
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": 443, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}],
    }
    program = str(native.ensure(["prometheus"])["prometheus"].path)
    argv = [
        program,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]

    def targets() -> list[Mapping[str, Any]]:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return []
        return [each for each in answer["data"]["activeTargets"] if each["health"] != "unknown"]

    with control_plane.client() as client:
        assert client.post(SLICES, json=endpoints).status_code == 201
        try:
            with started(argv, tmp_path / "log"):
                (target,) = eventually(targets, 60, "a target")
        finally:
            client.delete(f"{SLICES}/kubernetes")

    assert (target["health"], target["lastError"]) == (
        ("up", "") if finds else ("down", "server returned HTTP status 403 Forbidden")
    )
    assert (target["labels"]["app"], target["labels"]["service"]) == ("cluster", "apiserver")
