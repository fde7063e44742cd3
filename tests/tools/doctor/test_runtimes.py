"""How the doctor gets at stacks in containers and pods: by stand-ins of an engine and of kubectl."""

import asyncio
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
import yaml

from components.manifests import manifests
from specs.stack import Stack
from tests.deployment import stack_of
from tests.tools.docker_stand_in import Engine, serving
from tools.docker_engine import Where, connected
from tools.doctor.findings import Level, Result
from tools.doctor.opening import opened
from tools.doctor.placed import Files, InContainers
from tools.doctor.running import run
from tools.health import Keeper
from tools.kubernetes_cluster import Pods

KUBECTL = """#!{python}
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
words = [word for word in sys.argv[1:] if not word.startswith("--request-timeout")]
with (here / "asked").open("a") as asked:
    asked.write(json.dumps([os.getpid(), words]) + "\\n")
options = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
if "port-forward" in words:
    if words[-2] in (here / "broken").read_text().split():
        sys.exit("error: pod is not running")
    print(f"Forwarding from 127.0.0.1:{{os.environ['STAND_IN_PORT']}} -> 1", flush=True)
    time.sleep(60)
elif "get" in words:
    kinds = {{"pods": "Pod", "configmaps": "ConfigMap"}}
    wanted = [kinds.get(kind) for kind in words[words.index("get") + 1].split(",")]
    items = json.loads((here / "cluster.json").read_text())
    found = [i for i in items if i["kind"] in wanted and i["metadata"]["namespace"] == options["namespace"]]
    print(json.dumps({{"items": found}}))
"""


def looked(stack: Stack, keeper: Keeper, *checks: str) -> dict[str, Result]:
    """What the checks find, by their names."""

    async def look() -> list[Result]:
        async with opened("prod", stack, keeper) as live:
            return await run(live, checks, lambda _: None)

    return {result.check: result for result in asyncio.run(look())}


def said(result: Result, level: Level = Level.FAIL) -> list[str]:
    """Every finding of that level."""
    return [finding.words for finding in result.findings if finding.level is level]


# Pods.


@dataclass(frozen=True)
class Cluster:
    """A cluster of which a kubectl on the PATH knows."""

    directory: Path

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Its pods and ConfigMaps."""
        found: list[dict[str, Any]] = json.loads((self.directory / "cluster.json").read_text())
        return found

    def write(self, objects: list[dict[str, Any]]) -> None:
        """Have it hold these."""
        (self.directory / "cluster.json").write_text(json.dumps(objects))

    def asked(self) -> list[tuple[int, list[str]]]:
        """Pid and words of each kubectl that ran."""
        return [json.loads(line) for line in (self.directory / "asked").read_text().splitlines()]


@pytest.fixture(scope="module")
def prod() -> Stack:
    """The shipped production stack."""
    return stack_of("prod")


@pytest.fixture(scope="module")
def deployed(prod: Stack) -> list[dict[str, Any]]:
    """Its ConfigMaps, and a pod of each of its controllers, as the runtime declares them."""
    documents = [
        each for text in manifests(prod).values() for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each
    ]
    found = [each for each in documents if each["kind"] == "ConfigMap"]
    for each in documents:
        if each["kind"] in {"Deployment", "StatefulSet", "DaemonSet"}:
            template = each["spec"]["template"]
            named = {"name": f"{each['metadata']['name']}-0", "namespace": each["metadata"]["namespace"]}
            found.append({"kind": "Pod", "metadata": {**template["metadata"], **named}, "spec": template["spec"]})
    return found


class Part(BaseHTTPRequestHandler):
    """Whatever a part of the stack is asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Prometheus' time, and that all is well."""
        body = json.dumps({"data": {"result": [0, str(time.time())]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""
        del format, args


@pytest.fixture
def cluster(tmp_path: Path, deployed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The production stack, deployed; every port that is forwarded leads to one program that answers."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL.format(python=os.path.realpath("/proc/self/exe")))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in ("asked", "broken"):
        (tmp_path / name).touch()
    made = Cluster(tmp_path)
    made.write(deployed)
    with ThreadingHTTPServer(("127.0.0.1", 0), Part) as server:
        monkeypatch.setenv("STAND_IN_PORT", str(server.server_port))
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        server.shutdown()


def test_pods_are_asked_through_ports_that_are_closed_again(cluster: Cluster, prod: Stack) -> None:
    """Proves that each replica of Prometheus and Alertmanager, and one of every other part that is asked, answers
    through kubectl, that files of pods are those that the runtime declares, and that no kubectl is left."""
    found = looked(prod, Pods(stack=prod), "clock", "files", "orphans")

    words = [words for _, words in cluster.asked() if "port-forward" in words]
    targets = {each[-2] for each in words}
    assert {"pod/prometheus-0", "pod/prometheus-1", "pod/alertmanager-2", "service/loki", "service/grafana"} <= targets
    assert len(targets) == len(words) <= 16
    assert all(each[-1].startswith(":") and "--address=127.0.0.1" in each for each in words)
    assert said(found["clock"], Level.OK) == [f"{len(targets)} clocks agree within 0.1 s"]
    count = sum(len(workload.files) for workload in prod.workloads)
    assert said(found["files"], Level.OK) == [f"{count} files are as declared"]
    assert not [finding for finding in said(found["orphans"], Level.WARN) if "files" in finding]
    assert not [pid for pid, _ in cluster.asked() if psutil.pid_exists(pid)]


def test_a_config_map_of_another_deployment_is_named(cluster: Cluster, prod: Stack) -> None:
    """Proves that a pod with older files than declared is told, that of two pods the newer one counts, and that a part
    without pods is missing its files."""
    objects = cluster.objects
    for each in objects:
        labels: dict[str, str] = each["metadata"]["labels"]
        if each["kind"] == "ConfigMap" and labels.get("app.kubernetes.io/instance") == "loki":
            each["data"] = {key: f"{text}# older\n" for key, text in each["data"].items()}
    kept = [each for each in objects if each["metadata"]["name"] != "jaeger-0"]
    cluster.write(kept)

    found = looked(prod, Pods(stack=prod), "files")

    failed = said(found["files"])
    assert "loki: loki.yml differs from what is declared in 1 line" in failed
    assert "jaeger: has no files" in failed
    assert all(each.startswith(("loki: ", "jaeger: ")) for each in failed)


def test_a_pod_that_cannot_be_reached_is_named(cluster: Cluster, prod: Stack) -> None:
    """Proves that a forward that does not come is a finding of what needs it, while the others are asked."""
    (cluster.directory / "broken").write_text("service/jaeger service/collector")

    found = looked(prod, Pods(stack=prod), "traces", "logs", "clock")

    away = "cannot be reached from here (kubectl port-forward)"
    assert said(found["traces"]) == [f"collector: {away}"]
    assert said(found["logs"]) == [f"collector: {away}"]
    assert found["clock"].level is Level.OK
    assert not [pid for pid, _ in cluster.asked() if psutil.pid_exists(pid)]


# Containers.


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A Docker engine."""
    with serving(tmp_path / "docker.sock") as made:
        yield made


def packed(files: Mapping[str, str]) -> bytes:
    """The archive that an engine makes of a container's configuration directory."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        directory = tarfile.TarInfo("config")
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
        for path, text in files.items():
            member = tarfile.TarInfo(f"config/{path}")
            member.size, member.mtime = len(text.encode()), 1_700_000_000
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


def test_files_of_containers_are_read_and_secrets_are_not(engine: Engine) -> None:
    """Proves that what the engine hands out is compared with what is declared, that an edit, a file of nobody and a
    program older than its files are told, and that no secret's text is ever kept."""
    stack = stack_of("dev")
    secret = "the-canary"  # noqa: S105 - what must not be found
    for workload in stack.workloads:
        name = f"observability-{workload.name}"
        engine.add(name, StartedAt="2026-01-02T03:04:05.678901234Z")
        engine.archives[name] = packed({**workload.files, **dict.fromkeys(workload.secrets, secret)})
    loki = stack.workload("loki")
    edited = {**loki.files, "loki.yml": loki.files["loki.yml"].replace("30d", "1d"), "mine.yml": "{}\n"}
    engine.archives["observability-loki"] = packed(edited)
    engine.add("observability-jaeger", StartedAt="2020-01-02T03:04:05.678901234Z")
    del engine.containers["observability-collector"]

    with connected(Where(url=engine.url, chosen_by="a test"), stack) as containers:
        assert containers.name("loki") == "observability-loki"
        read: Mapping[str, Files] = InContainers(containers).read()
        found = looked(stack, containers, "files", "orphans")

    assert secret not in repr(read)
    assert sorted(said(found["files"])) == [
        "collector: has no files",
        "loki: loki.yml differs from what is declared in 2 lines",
    ]
    (todo,) = [each.todo for each in found["files"].findings if "loki.yml" in each.words]
    assert "by hand, docker rm -f observability-loki observability-loki-files before" in todo
    assert said(found["files"], Level.WARN) == [
        "jaeger: runs since before its files changed, and reads them only when it starts"
    ]
    assert "loki: files that nobody declared: mine.yml" in said(found["orphans"], Level.WARN)
