"""The small production stack as real pods: Kubernetes' own programs, containers, volumes, Services and names.

What runs is what tools/native makes, in images of nothing else. The network of the node does not enforce
NetworkPolicies; that is what the evaluator of tests/components is for.
"""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import httpx
import pytest

from tests.cluster import stack
from tests.cluster.cluster import Cluster
from tests.cluster.images import POD
from tests.cluster.place import claimed, leftovers
from tests.cluster.stack import NAMESPACE, Rendered
from tests.kubernetes.control_plane import NotStartedError

pytestmark = pytest.mark.timeout(900)

NODE_NAMESPACE = f"{NAMESPACE}-node"
READY_SECONDS = 300
LONELY = ("kube-state-metrics",)
"""What no registry has as a program: everything else of the stack runs."""
INTERVAL = 15
"""Seconds between scrapes."""
SYSCTLS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom")

_T = TypeVar("_T")


def eventually(look: Callable[[], _T], *, seconds: float, what: str) -> _T:
    """What `look` finds once it finds something; AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
    return found


@dataclass(frozen=True, slots=True)
class Inbox:
    """A receiver of notifications, outside of the cluster."""

    url: str
    notifications: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def about(self, service: str) -> list[dict[str, Any]]:
        """What it was told of a service."""
        return [told for told in self.notifications if told["groupLabels"].get("service") == service]


@contextmanager
def inbox(address: str) -> Generator[Inbox]:
    """Listen for notifications at `address`."""
    told: list[dict[str, Any]] = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library has
            pass

    with ThreadingHTTPServer((address, 0), Receive) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Inbox(f"http://{address}:{server.server_address[1]}/alerts", told)
        server.shutdown()


@dataclass(frozen=True, slots=True)
class Running:
    """The stack on its cluster."""

    cluster: Cluster
    inbox: Inbox
    rendered: Rendered
    since: float
    """When it was there, with an application that works and one that does not answer."""

    def apply(self, **more: Any) -> Rendered:
        """Apply the stack with further settings."""
        rendered = _render(self.inbox, **more)
        self.cluster.apply(rendered.objects)
        return rendered

    def prometheus(self, pod: dict[str, Any], query: str) -> list[dict[str, Any]]:
        """What one replica answers."""
        url = f"http://{pod['status']['podIP']}:9090/api/v1/query"
        answer = httpx.post(url, data={"query": query}, timeout=30).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def replicas(self) -> list[dict[str, Any]]:
        """The pods of Prometheus."""
        return [pod for pod in self.cluster.pods(NAMESPACE) if pod["metadata"]["name"].startswith("prometheus-")]


def _render(inbox: Inbox, **more: Any) -> Rendered:
    return stack.render(stack.settings(**more), {"webhook": inbox.url})


def app(name: str, *, port: int) -> list[dict[str, Any]]:
    """An application of the system `shop` that says to be scraped at `port`; it listens on 8000."""
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": "shop",
        "app.kubernetes.io/component": name,
    }
    container = {
        "name": "work",
        "image": POD,
        "args": ["app"],
        "env": [
            {"name": "APP", "value": "shop"},
            {"name": "SERVICE", "value": name},
            {"name": "OTLP", "value": f"http://collector.{NAMESPACE}.svc:4318"},
        ],
    }
    asks = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {"metadata": {"labels": labels, "annotations": asks}, "spec": {"containers": [container]}},
        },
    }
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}, deployment]


@pytest.fixture(scope="module")
def running() -> Generator[Running]:
    """Return the stack, with all its pods ready; nothing of the cluster is left afterwards."""
    before = [Path(f"/proc/sys/{name}").read_text(encoding="ascii") for name in SYSCTLS]
    try:
        with claimed() as place, Cluster.running(place / "cluster") as cluster, inbox(cluster.network.machine) as told:
            rendered = _render(told)
            cluster.apply(rendered.objects)
            _await_ready(cluster, rendered)
            cluster.apply([*app("checkout", port=8000), *app("broken", port=9)])
            yield Running(cluster, told, rendered, time.time())
    except NotStartedError as problem:
        pytest.fail(str(problem))
    assert leftovers() == []
    assert [Path(f"/proc/sys/{name}").read_text(encoding="ascii") for name in SYSCTLS] == before


def _await_ready(cluster: Cluster, rendered: Rendered) -> None:
    for each in rendered.workloads:
        arguments = ("rollout", "status", f"{each['kind']}/{each['metadata']['name']}")
        place = f"--namespace={each['metadata']['namespace']}"
        said = cluster.control.kubectl(
            *arguments, place, f"--timeout={READY_SECONDS}s", check=False, seconds=READY_SECONDS + 30
        )
        if said.returncode != 0:
            seen = [cluster.control.kubectl(*words).stdout for words in (("get", "pods", "-A"), ("get", "events", "-A"))]
            pytest.fail(f"{said.stdout}{said.stderr}\n" + "\n".join(seen)[-6000:])


def test_every_pod_is_ready_and_none_was_restarted(running: Running) -> None:
    """The whole stack but for kube-state-metrics runs, under Pod Security, each program as its own user, with volumes
    and without a start that failed."""
    assert running.rendered.left_out == LONELY
    pods = [*running.cluster.pods(NAMESPACE), *running.cluster.pods(NODE_NAMESPACE)]
    wanted = sum(each["spec"].get("replicas", 1) for each in running.rendered.workloads)
    states = [state for pod in pods for state in pod["status"]["containerStatuses"]]
    assert len(pods) == wanted
    assert [(state["name"], state["restartCount"]) for state in states if not state["ready"] or state["restartCount"]] == []


def test_every_target_is_found_and_up(running: Running) -> None:
    """Both replicas of Prometheus find what the API server lists, pods, node, DNS and the API server itself, and scrape
    all of it: only the application that answers nobody is down."""
    jobs = {
        *("prometheus", "alertmanager", "loki", "jaeger", "collector", "agent", "blackbox-exporter", "node-exporter"),
        *("kubelet", "kubelet-containers", "kubelet-probes", "apiserver", "coredns", "applications", "probe"),
    }

    def down(pod: dict[str, Any]) -> set[str] | None:
        found = running.prometheus(pod, "up")
        if {each["metric"]["job"] for each in found} != jobs:
            return None
        return {each["metric"]["service"] for each in found if each["value"][1] != "1"}

    for pod in running.replicas():
        name = pod["metadata"]["name"]
        eventually(lambda pod=pod: down(pod) == {"broken"}, seconds=90, what=f"targets of {name}")  # type: ignore[misc]
        counted = running.prometheus(pod, 'work_done_total{app="shop",service="checkout",namespace="shop"}')
        assert len(counted) == 1, name
        limits = running.prometheus(pod, f'container_memory_working_set_bytes{{namespace="{NAMESPACE}",container="loki"}}')
        assert len(limits) == 1, name


def test_a_line_of_a_pod_is_in_loki_with_its_labels(running: Running) -> None:
    """What a container writes arrives under its system and service, and says which container of which pod on which node
    wrote it."""
    url = running.cluster.url("loki", 3100, NAMESPACE)
    query = {"query": '{app="shop",service_name="checkout"} | number > 3', "limit": "1"}

    def line() -> Any:
        answer = httpx.get(f"{url}/loki/api/v1/query_range", params=query, timeout=30).raise_for_status()
        return answer.json()["data"]["result"]

    stream = eventually(line, seconds=90, what="a line of the application in Loki")[0]
    pod = next(pod for pod in running.cluster.pods("shop") if pod["metadata"]["name"].startswith("checkout-"))
    assert stream["values"][0][1] == "work done"
    assert {name: stream["stream"].get(name) for name in ("namespace", "pod", "container", "node", "environment")} == {
        "namespace": "shop",
        "pod": pod["metadata"]["name"],
        "container": "work",
        "node": "node",
        "environment": "prod",
    }


def test_a_trace_is_read_back_from_jaeger(running: Running) -> None:
    """A span that a pod sends to the collector's Service is in Jaeger, under the trace that the pod's log line names."""
    url = running.cluster.url("jaeger", 16686, NAMESPACE)

    def spans() -> Any:
        said = running.cluster.control.kubectl("logs", "--namespace=shop", "deployment/checkout").stdout.splitlines()
        # The first ones may have been before the collector's name was known.
        sent = [line for line in map(json.loads, said) if line["sent"] == "200 OK"]
        if len(sent) < 2:
            return None
        answer = httpx.get(f"{url}/api/traces/{sent[0]['trace_id']}", timeout=30)
        return answer.json()["data"] if answer.status_code == 200 else None

    [trace] = eventually(spans, seconds=60, what="a trace in Jaeger")
    [process] = trace["processes"].values()
    assert [span["operationName"] for span in trace["spans"]] == ["work"]
    assert process["serviceName"] == "checkout"


def test_somebody_is_told_once_of_what_is_down(running: Running) -> None:
    """Two replicas of Prometheus tell three of Alertmanager, and one notification leaves the cluster, to the address
    that only a Secret has."""
    eventually(lambda: running.inbox.about("broken"), seconds=240, what="a notification")
    # Longer than the others wait for the first one's word.
    time.sleep(40)
    [told] = running.inbox.about("broken")
    assert [alert["labels"]["alertname"] for alert in told["alerts"]] == ["ServiceDown"]
    assert told["commonLabels"]["app"] == "shop"


def test_a_change_rolls_the_pair_without_a_gap(running: Running) -> None:
    """A changed threshold is another ConfigMap, which replaces one replica after the other: both have the new rule, all
    that they had scraped, and at no time was nobody scraping."""
    eventually(lambda: time.time() > running.since + 120, seconds=150, what="two minutes of samples")
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in running.replicas()}
    url = running.cluster.url("prometheus", 9090, NAMESPACE)
    stop, answers = Event(), list[bool]()

    def ask() -> None:
        while not stop.wait(0.1):
            try:
                answers.append(httpx.get(f"{url}/-/ready", timeout=5).status_code == 200)
            except httpx.TransportError:
                answers.append(False)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    rendered = running.apply(
        alerting={**stack.settings()["alerting"], "overrides": {"TargetSlow": {"threshold": 9.5}}}
    )
    _await_ready(running.cluster, rendered)
    stop.set()
    asking.join()

    replicas = running.replicas()
    assert {pod["metadata"]["name"] for pod in replicas} == before.keys()
    assert not {pod["metadata"]["uid"] for pod in replicas} & set(before.values())
    seen: set[float] = set()
    for pod in replicas:
        rules = httpx.get(f"http://{pod['status']['podIP']}:9090/api/v1/rules", timeout=30).json()["data"]["groups"]
        [slow] = [rule for group in rules for rule in group["rules"] if rule["name"] == "TargetSlow"]
        assert "9.5" in slow["query"]
        [series] = running.prometheus(pod, 'up{job="alertmanager",pod="alertmanager-0"}[30m]')
        seen |= {float(at) for at, value in series["values"] if value == "1"}
        assert min(float(at) for at, _ in series["values"]) < running.since + INTERVAL
    times = sorted(seen)
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    print(f"asked {len(answers)} times, {answers.count(False)} failed; longest gap {max(gaps):.1f} s")
    assert max(gaps) < INTERVAL + 5
    assert answers.count(False) <= len(answers) // 50, f"{answers.count(False)} of {len(answers)}"
