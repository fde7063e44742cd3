"""The agent of a rendered Kubernetes stack reads what kubelets write, asks a real API server whose it is, and hands it
on to the collector and Loki."""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from specs import agent, collector, pod_logs
from specs.workload import ApiAccess, Workload
from tests.distributed.processes import Pods
from tests.distributed.stacks import kubernetes_stack
from tests.kubernetes.control_plane import ControlPlane, Options
from tests.log_stack import eventually

NODE = "node-0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod of the node, as the API server and the kubelet know it."""

    name: str
    container: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    namespace: str = "shop"
    replica_set: str = ""


PODS = (
    Pod(
        name="web-7c9d8f6b5-x2x4z",
        container="app",
        labels={
            "app.kubernetes.io/part-of": "shop",
            "app.kubernetes.io/component": "web",
            "pod-template-hash": "7c9d8f6b5",
        },
        annotations={},
        replica_set="web-7c9d8f6b5",
    ),
    Pod(name="worker-0", container="jobs", labels={"app.kubernetes.io/name": "worker"}, annotations={}),
    Pod(
        name="odd",
        container="main",
        labels={"app.kubernetes.io/part-of": "elsewhere"},
        annotations={"observability/app": "shop", "observability/service": "odd-one"},
    ),
    Pod(name="quiet", container="main", labels={}, annotations={"observability/logs": "false"}),
    Pod(
        name="loki-0",
        container="loki",
        labels={"app.kubernetes.io/part-of": "observability", "app.kubernetes.io/name": "loki"},
        annotations={},
        namespace="observability",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node whose agent runs."""

    pods: Pods
    logs: Path
    uids: Mapping[str, str]

    def file(self, pod: str, namespace: str = "shop") -> Path:
        """Where the kubelet keeps the output of a pod's container."""
        (found,) = (each for each in PODS if each.name == pod)
        return self.logs / f"{namespace}_{pod}_{self.uids[pod]}" / found.container / "0.log"

    def write(self, pod: str, *lines: str, at: datetime | None = None, namespace: str = "shop", tag: str = "F") -> None:
        """Lines as the container runtime writes them."""
        file = self.file(pod, namespace)
        file.parent.mkdir(parents=True, exist_ok=True)
        moment = at or datetime.now(UTC)
        with file.open("a", encoding="utf-8") as log:
            for number, line in enumerate(lines):
                stamp = (moment + timedelta(microseconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
                log.write(f"{stamp} stdout {tag} {line}\n")

    def found(self, selector: str) -> list[tuple[dict[str, str], str]]:
        """Labels, with structured metadata, and text of the lines of the last two hours."""
        now = datetime.now(UTC)
        window = {"start": str(int((now - timedelta(hours=2)).timestamp() * 1e9)), "limit": "1000"}
        url = f"{self.pods.url('loki')}/loki/api/v1/query_range"
        answer = httpx.get(url, params={"query": selector, **window}, timeout=10)
        assert answer.status_code == 200, answer.text
        return [
            (stream["stream"], text) for stream in answer.json()["data"]["result"] for _, text, *_ in stream["values"]
        ]

    def line(self, text: str) -> dict[str, str]:
        """Labels and structured metadata of the one line that has `text` in it."""
        selector = f'{{app=~".+"}} |= `{text}`'
        (found, _), *others = eventually(lambda: self.found(selector), 30, text)
        assert others == []
        return found


def _here(workload: Workload, logs: Path) -> Workload:
    """The agent with files and rights of this machine, the collector without what only its image has."""
    if workload.name == agent.NAME:
        text = workload.files["agent.yml"].replace(pod_logs.LOGS, str(logs)).replace("serviceAccount", "kubeConfig")
        return replace(workload, files={"agent.yml": text})
    if workload.name == collector.NAME:
        file = "collector.yml"
        args = tuple(arg for arg in workload.args if arg.endswith(file))
        return replace(workload, files={file: workload.files[file]}, args=args)
    return workload


def _object(pod: Pod) -> dict[str, Any]:
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": pod.replica_set,
        "uid": str(uuid4()),
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "labels": dict(pod.labels),
            "annotations": dict(pod.annotations),
            "ownerReferences": [owner] if pod.replica_set else [],
        },
        "spec": {"nodeName": NODE, "containers": [{"name": pod.container, "image": "registry.example.com/none:1"}]},
    }


def _granted(api: httpx.Client, workload: Workload) -> None:
    """What the workload may do, and no more."""
    rules = [
        {"apiGroups": rule.groups, "resources": rule.resources, "verbs": rule.verbs}
        for extra in workload.extras
        if isinstance(extra, ApiAccess)
        for rule in extra.rules
    ]
    group = "rbac.authorization.k8s.io"
    subject = {"apiGroup": group, "kind": "User", "name": agent.NAME}
    binding = {
        "metadata": {"name": agent.NAME},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": agent.NAME},
        "subjects": [subject],
    }
    role = {"metadata": {"name": agent.NAME}, "rules": rules}
    api.post(f"/apis/{group}/v1/clusterroles", json=role).raise_for_status()
    api.post(f"/apis/{group}/v1/clusterrolebindings", json=binding).raise_for_status()


def _known(api: httpx.Client) -> dict[str, str]:
    """The pods at the API server: uid by name."""
    uids: dict[str, str] = {}
    for namespace in {pod.namespace for pod in PODS}:
        api.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()
        account = {"metadata": {"name": "default"}}
        api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", json=account).raise_for_status()
    for pod in PODS:
        made = api.post(f"/api/v1/namespaces/{pod.namespace}/pods", json=_object(pod))
        assert made.status_code == 201, made.text
        uids[pod.name] = made.json()["metadata"]["uid"]
    return uids


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[Node]:
    """A node with an agent, and a collector and a Loki behind it."""
    home = tmp_path_factory.mktemp("node")
    logs = home / "pods"
    logs.mkdir()
    alerting = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://example.com"}}}}
    made = kubernetes_stack(replicas={"collector": 1, "alertmanager": 1}, alerting=alerting)
    workloads = [_here(workload, logs) for workload in made.workloads]
    with ControlPlane.running(home / "control-plane", Options(users={agent.NAME: ()})) as control_plane:
        with control_plane.client() as api:
            _granted(api, made.workload(agent.NAME))
            uids = _known(api)
        with (
            pytest.MonkeyPatch.context() as patch,
            Pods(home / "processes", workloads, made.context.settings.kubernetes.namespace) as pods,
        ):
            patch.setenv("KUBECONFIG", str(control_plane.kubeconfig(agent.NAME)))
            pods.start("loki")
            pods.start(collector.NAME)
            running = Node(pods=pods, logs=logs, uids=uids)
            # Before the agent's first start.
            running.write("web-7c9d8f6b5-x2x4z", "of yesterday", at=datetime.now(UTC) - timedelta(hours=20))
            running.write("web-7c9d8f6b5-x2x4z", "of ten minutes ago", at=datetime.now(UTC) - timedelta(minutes=10))
            pods.start(agent.NAME)
            yield running


def test_lines_are_told_by_their_pods(node: Node) -> None:
    """Proves that app, service, namespace, pod, container, node and deployment of a line are its pod's."""
    node.write("web-7c9d8f6b5-x2x4z", "a plain line")

    found = node.line("a plain line")

    assert {name: found.get(name) for name in ("app", "service_name", "environment")} == {
        "app": "shop",
        "service_name": "web",
        "environment": "prod",
    }
    assert {name: found.get(name) for name in ("namespace", "pod", "container", "node", "deployment", "cluster")} == {
        "namespace": "shop",
        "pod": "web-7c9d8f6b5-x2x4z",
        "container": "app",
        "node": NODE,
        "deployment": "web",
        "cluster": "here",
    }
    assert [name for name in found if name.startswith(("k8s_", "pod_", "log_file", "logtag"))] == []


@pytest.mark.parametrize(
    ("pod", "app", "service"),
    [("worker-0", "worker", "jobs"), ("odd", "shop", "odd-one"), ("loki-0", "observability", "loki")],
)
def test_whose_a_line_is(node: Node, pod: str, app: str, service: str) -> None:
    """Proves the convention: an annotation wins over part-of, that over the name; a component over the container."""
    namespace = next(each.namespace for each in PODS if each.name == pod)
    node.write(pod, f"hello of {pod}", namespace=namespace)

    found = node.line(f"hello of {pod}")

    assert (found["app"], found["service_name"]) == (app, service)


def test_streams_stay_few(node: Node) -> None:
    """Proves that no pod, container or node is an index label of Loki."""
    node.write("web-7c9d8f6b5-x2x4z", "one more line")
    node.line("one more line")

    names = httpx.get(f"{node.pods.url('loki')}/loki/api/v1/labels", timeout=10).json()["data"]

    assert set(names) <= {"app", "environment", "service_name", "severity_text", "__stream_shard__"}


def test_json_is_read(node: Node) -> None:
    """Proves that a JSON line has its level, its message and its fields, and cannot pretend to be another service's."""
    line = {"level": "error", "message": "payment refused", "order": "o-1", "service": "somebody-else"}
    node.write("worker-0", json.dumps(line))

    found = node.line("payment refused")

    assert (found["severity_text"], found["order"], found["service_name"]) == ("ERROR", "o-1", "jobs")


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('ts=2026-01-01T00:00:00Z level=warn msg="logfmt of a program"', "WARN"),
        ("E0102 03:04:05.678901       1 reflector.go:1] klog of a controller", "ERROR"),
        ("W0102 03:04:05.678901       1 reflector.go:1] klog that warns", "WARN"),
    ],
)
def test_levels_are_found(node: Node, line: str, level: str) -> None:
    """Proves that logfmt, and what parts of Kubernetes write, have their levels."""
    node.write("worker-0", line)

    assert node.line(line[30:])["severity_text"] == level


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '10.0.0.1 - - [01/Jan/2020:10:00:00 +0000] "GET /of-nginx HTTP/1.1" 502 12 "-" "curl" 0.250',
            {"log_format": "nginx-access", "severity_text": "ERROR", "status": "502", "response_time_ms": "250"},
        ),
        (
            "2020-01-01 10:00:00.123 UTC [42] FATAL:  too many of-postgres",
            {"log_format": "postgres", "severity_text": "FATAL", "pid": "42"},
        ),
        ("1:M 01 Jan 2020 10:00:00.123 # out of-redis memory", {"log_format": "redis", "severity_text": "WARN"}),
    ],
)
def test_formats_are_known_by_their_heads(node: Node, line: str, expected: Mapping[str, str]) -> None:
    """Proves that lines of nginx, PostgreSQL and Redis are read in pods, too, at the time when they were written
    whatever they say, so that the alerts about them work."""
    node.write("worker-0", line)

    found = node.line(next(word for word in line.split() if "of-" in word))

    assert {name: found.get(name) for name in expected} == expected


def test_tracebacks_are_one_line(node: Node) -> None:
    """Proves that indented lines belong to the one above, and that a line that the runtime cut is whole again."""
    node.write("odd", "Traceback (most recent call last):", '  File "shop.py", line 1', "    pay()", "ValueError: no")
    node.write("odd", "the first half ", tag="P")
    node.write("odd", "and the second")

    def texts() -> list[str]:
        return [text for _, text in node.found('{app="shop", service_name="odd-one"} |~ "Traceback|half"')]

    found = eventually(lambda: texts() if len(texts()) == 2 else [], 30, "both")

    assert sorted(found) == [
        'Traceback (most recent call last):\n  File "shop.py", line 1\n    pay()',
        "the first half and the second",
    ]


def test_lines_of_who_opted_out_are_dropped(node: Node) -> None:
    """Proves that an annotation keeps a pod's lines out."""
    node.write("quiet", "nobody may read this")
    node.write("worker-0", "everybody may read this")
    node.line("everybody may read this")

    assert node.found('{app=~".+"} |= "nobody may read"') == []


def test_old_lines_are_left(node: Node) -> None:
    """Proves that a first start takes in what Loki still takes, and no line of the days before."""
    node.line("of ten minutes ago")

    assert node.found('{app=~".+"} |= "of yesterday"') == []


def _told(node: Node, mark: str) -> list[str]:
    return sorted(text for _, text in node.found(f'{{app="shop", service_name="web"}} |= "{mark}"'))


def test_nothing_is_lost_or_told_twice(node: Node) -> None:
    """Proves that lines written while the agent, or the collector behind it, is away arrive once, also those of a file
    that was rotated meanwhile."""
    web = "web-7c9d8f6b5-x2x4z"
    node.write(web, "outage 1")
    eventually(lambda: _told(node, "outage") == ["outage 1"], 30, "the first line")

    node.pods.kill(collector.NAME)
    node.write(web, "outage 2")
    node.pods.stop(agent.NAME)
    node.write(web, "outage 3")
    file = node.file(web)
    file.replace(file.with_name(f"0.log.{datetime.now(UTC):%Y%m%d-%H%M%S}"))
    node.write(web, "outage 4")
    node.pods.start(agent.NAME)
    node.pods.start(collector.NAME)
    node.write(web, "outage 5")

    wanted = [f"outage {number}" for number in range(1, 6)]
    eventually(lambda: set(_told(node, "outage")) == set(wanted), 60, "all lines")
    assert _told(node, "outage") == wanted


def test_a_node_without_memory_of_it_tells_nothing_twice(node: Node) -> None:
    """Proves that an agent that lost its place reads all of the last hour again, and that Loki shows each line once."""
    web = "web-7c9d8f6b5-x2x4z"
    node.write(web, "again 1", "again 2")
    eventually(lambda: len(_told(node, "again")) == 2, 30, "both lines")

    node.pods.stop(agent.NAME)
    storage = node.pods.data(agent.NAME) / "storage"
    for file in storage.iterdir():
        file.unlink()
    node.pods.start(agent.NAME)
    node.write(web, "again 3")
    eventually(lambda: "again 3" in _told(node, "again"), 30, "the new line")

    assert _told(node, "again") == ["again 1", "again 2", "again 3"]


def test_the_agent_says_how_it_does(node: Node) -> None:
    """Proves that the series which PodLogsUnread looks at is there, and tells of open files."""
    page = httpx.get(f"http://{node.pods.ip(agent.NAME)}:{agent.METRICS}/metrics", timeout=10).text
    (value,) = (
        line.rsplit(" ", 1)[1] for line in page.splitlines() if line.startswith("otelcol_fileconsumer_open_files")
    )

    assert float(value) > 0
