"""The small production stack as real pods: Kubernetes' own programs, containers, volumes, Services, names and policies.

What runs is what tools/native makes, in images of nothing else.
"""

import json
import re
import time
from collections.abc import Generator
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from specs.settings import KEY
from tests.cluster import stack
from tests.cluster.cluster import Cluster
from tests.cluster.place import Place
from tests.cluster.stack import NAMESPACE
from tests.cluster.support import Running, app, await_ready, eventually, inbox, render, waiting
from tests.kubernetes.control_plane import NotStartedError
from tools import cli, paths
from tools.doctor.checks import CHECKS

pytestmark = pytest.mark.timeout(900)

NODE_NAMESPACE = f"{NAMESPACE}-node"
PLACE = Place("tests")
INTERVAL = 15
"""Seconds between scrapes."""
SYSCTLS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom")


@pytest.fixture(scope="module")
def running() -> Generator[Running]:
    """Return the stack, with all its pods ready; nothing of the cluster is left afterwards."""
    before = [Path(f"/proc/sys/{name}").read_text(encoding="ascii") for name in SYSCTLS]
    try:
        begun = time.monotonic()
        with PLACE.claimed(), Cluster.running(PLACE) as cluster, inbox(cluster.network.machine) as told:
            there = time.monotonic()
            rendered = render(told)
            cluster.apply(rendered.objects)
            await_ready(cluster, rendered)
            print(f"cluster ready after {there - begun:.0f} s, the stack's pods {time.monotonic() - there:.0f} s later")
            cluster.apply([*app("checkout", port=8000), *app("broken", port=9)])
            yield Running(cluster, told, rendered, time.time())
    except NotStartedError as problem:
        pytest.fail(str(problem))
    assert PLACE.leftovers() == []
    assert [Path(f"/proc/sys/{name}").read_text(encoding="ascii") for name in SYSCTLS] == before


def test_every_pod_is_ready_and_none_was_restarted(running: Running) -> None:
    """The whole stack runs, under Pod Security, each program as its own user, with volumes
    and without a start that failed."""
    assert running.rendered.left_out == ()
    pods = [*running.cluster.pods(NAMESPACE), *running.cluster.pods(NODE_NAMESPACE)]
    wanted = sum(each["spec"].get("replicas", 1) for each in running.rendered.workloads)
    states = [state for pod in pods for state in pod["status"]["containerStatuses"]]
    assert len(pods) == wanted
    assert [state for state in states if not state["ready"] or state["restartCount"]] == []


def test_every_target_is_found_and_up(running: Running) -> None:
    """Both replicas of Prometheus find what the API server lists, pods, node, DNS and the API server itself, and scrape
    all of it: only the application that answers nobody is down."""
    jobs = {
        *("prometheus", "alertmanager", "loki", "jaeger", "collector", "agent", "blackbox-exporter", "node-exporter"),
        *("kubelet", "kubelet-containers", "kubelet-probes", "apiserver", "coredns", "applications", "probe"),
        *("kube-state-metrics", "kube-state-metrics-self"),
    }

    def is_all_there(replica: dict[str, Any]) -> bool:
        found = running.prometheus(replica, "up")
        services = {each["metric"]["service"] for each in found}
        down = {each["metric"]["service"] for each in found if each["value"][1] != "1"}
        there = {each["metric"]["job"] for each in found} == jobs and {"checkout", "broken"} <= services
        return there and down == {"broken"}

    def measures_itself(replica: dict[str, Any]) -> bool:
        name = replica["metadata"]["name"]
        used = running.prometheus(replica, f'container_memory_working_set_bytes{{pod="{name}",container="prometheus"}}')
        done = running.prometheus(replica, 'work_done_total{app="shop",service="checkout",namespace="shop"}')
        return len(used) == 1 and len(done) == 1

    for replica in running.replicas():
        eventually(partial(is_all_there, replica), seconds=90, what=f"targets of {replica['metadata']['name']}")
        eventually(partial(measures_itself, replica), seconds=60, what=f"samples in {replica['metadata']['name']}")


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


def test_no_line_is_lost_or_doubled_when_the_agent_is_replaced(running: Running) -> None:
    """A new agent goes on where the last one stopped: the application numbers its lines, and each is there once."""
    url = running.cluster.url("loki", 3100, NAMESPACE)
    [agent] = [pod for pod in running.cluster.pods(NODE_NAMESPACE) if pod["metadata"]["name"].startswith("agent-")]
    [old] = [pod for pod in running.cluster.pods("shop") if pod["metadata"]["name"].startswith("checkout-")]
    lines = f'{{app="shop",service_name="checkout"}} | pod="{old["metadata"]["name"]}"'
    query = {
        "query": f'{lines} | line_format "{{{{.number}}}}"',
        "start": str(int(running.since - 60) * 10**9),
        "limit": "4000",
        "direction": "forward",
    }

    def numbers() -> list[int]:
        answer = httpx.get(f"{url}/loki/api/v1/query_range", params=query, timeout=30).raise_for_status()
        return sorted(int(line) for each in answer.json()["data"]["result"] for _, line in each["values"])

    before = eventually(numbers, seconds=60, what="lines of the application")[-1]
    running.cluster.control.kubectl("delete", "pod", f"--namespace={NODE_NAMESPACE}", agent["metadata"]["name"])
    eventually(lambda: numbers()[-1] > before + 30, seconds=180, what="lines after the agent was replaced")
    time.sleep(5)
    found = numbers()
    assert found == list(range(1, found[-1] + 1))


def test_a_trace_is_read_back_from_jaeger(running: Running) -> None:
    """A span that a pod sends to the collector's Service is in Jaeger, in the trace that the pod's log line names."""
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


def test_only_the_flows_of_the_model_get_through(running: Running) -> None:
    """While everything above works, an application's pod reaches what it sends telemetry to and nothing else; with the
    label of a client it also reaches what clients ask; and no pod reaches what only Prometheus scrapes."""
    sent, scraped = f"collector.{NAMESPACE}.svc:4318", f"node-exporter.{NODE_NAMESPACE}.svc:9100"
    clients_ask = {"alertmanager": 9093, "jaeger": 16686, "loki": 3100, "prometheus": 9090}
    asked = [f"{service}.{NAMESPACE}.svc:{port}" for service, port in clients_ask.items()]
    pods: dict[str, dict[str, str]] = {"stranger": {}, "client": {"observability/client": "true"}}
    running.cluster.apply([waiting(name, labels) for name, labels in pods.items()])

    def reached(name: str) -> list[str]:
        command = ("exec", "--namespace=shop", name, "--", "/bin/observability-pod", "dial", sent, *asked, scraped)
        return running.cluster.control.kubectl(*command, check=False).stdout.splitlines()

    eventually(lambda: reached("stranger") == [sent], seconds=60, what="a pod that reaches the collector alone")
    eventually(lambda: reached("client") == [sent, *asked], seconds=60, what="a pod that reaches what clients ask")


def test_the_doctor_finds_all_well_through_kubectl(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make doctor` asks every replica through forwarded ports, reads files of pods, sends a line and a trace through
    and reads them back: it finds what was put there on purpose, and nothing else."""
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump({"config": {KEY: stack.settings()}}), encoding="utf-8")

    def stack_file(_: str) -> Path:
        return file

    monkeypatch.setattr(paths, "stack_file", stack_file)
    monkeypatch.setenv("KUBECONFIG", str(running.cluster.control.kubeconfig()))

    done = CliRunner().invoke(cli.app, ["doctor", "--stack", "test", "--json"])

    report: dict[str, Any] = json.loads(done.stdout)
    troubles = {
        check["check"]: [finding["words"] for finding in check["findings"] if finding["todo"]]
        for check in report["checks"]
        if check["level"] != "ok"
    }
    assert done.exit_code == 1
    # What stands in for the collector's receiver of Alertmanager's history is another file.
    [file_changed] = troubles.pop("files")
    assert file_changed.startswith("collector: alert-history.yml differs from what is declared")
    [unscraped] = troubles.pop("targets")
    assert re.match(r"applications: broken-\S+:9 is down: .*connection refused", unscraped)
    assert troubles == {"firing": ["critical: ServiceDown of shop/broken"]}
    assert len(report["checks"]) == len(CHECKS)


def test_a_change_rolls_the_pair_without_a_gap(running: Running) -> None:
    """A changed threshold is another ConfigMap, which replaces one replica after the other: both have the new rule, all
    that they had scraped, and at no time was nobody scraping."""
    eventually(lambda: time.time() > running.since + 120, seconds=150, what="two minutes of samples")
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in running.replicas()}
    url = running.cluster.url("prometheus", 9090, NAMESPACE)
    stop, asked, refused = Event(), list[float](), list[str]()

    def ask() -> None:
        while not stop.wait(0.1):
            asked.append(time.monotonic())
            try:
                httpx.get(f"{url}/-/ready", timeout=2).raise_for_status()
            except httpx.HTTPError as problem:
                refused.append(f"after {asked[-1] - asked[0]:.1f} s: {problem!r}")

    asking = Thread(target=ask, daemon=True)
    asking.start()
    rendered = running.apply(alerting={**stack.settings()["alerting"], "overrides": {"TargetSlow": {"threshold": 9.5}}})
    await_ready(running.cluster, rendered)
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
        # Its volume, and with it what it had scraped before, came along.
        started = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
        assert min(float(at) for at, _ in series["values"]) < started - INTERVAL
    times = sorted(seen)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    used = running.prometheus(replicas[0], 'sum(container_memory_working_set_bytes{container!=""})')[0]["value"][1]
    print(f"all containers use {float(used) / 1e6:.0f} MB")
    print(f"asked {len(asked)} times in {asked[-1] - asked[0]:.0f} s; longest gap {max(gaps):.1f} s")
    assert max(gaps) < INTERVAL + 5
    assert refused == []
