"""The flows of a rendered Kubernetes stack are enough: parts that run for real open no connection that is none."""

import re
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import yaml

from specs import alertmanager, collector, jaeger, loki, prometheus
from specs.flow import Flow, Net, Part
from specs.flows import flows
from specs.monitoring import to_yaml
from specs.stack import Stack
from specs.thanos import names
from specs.workload import Workload
from tests.distributed.buckets import ACCESS_KEY, storage
from tests.distributed.processes import Pods
from tests.distributed.stacks import kubernetes_stack

TEAM = {"receivers": {"team": {"webhook": {"url": "http://team.example.com"}}}, "default": "team"}
RUNNING = (prometheus.NAME, names.QUERY, names.FRONTEND, names.STORE, alertmanager.NAME, collector.NAME, jaeger.NAME)
LOKIS = (*(("loki-write", index) for index in range(3)), ("loki-read", 0), ("loki-read", 1), ("loki-backend", 0))
"""As few as are a majority of those that write."""
SECONDS = 15
Connection = tuple[str, str, int]
"""Name of the part that dials, address and port that it dials."""


def _established() -> Iterator[tuple[str, tuple[str, int], tuple[str, int]]]:
    """Inode, own and other address of each connection of this machine."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, own, other, state, *_, inode = line.split()[:10]
        if state == "01":
            yield inode, _address(own), _address(other)


def _address(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return socket.inet_ntoa(struct.pack("<I", int(host, 16))), int(port, 16)


def _owners(pids: Mapping[int, str]) -> dict[str, str]:
    """Part by the inode of each socket that its processes hold."""
    found: dict[str, str] = {}
    for pid, name in pids.items():
        try:
            links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            # Descriptors come and go: the next look sees them.
            continue
        found |= {match[1]: name for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
    return found


def _dialled(pods: Pods, stack: Stack) -> set[Connection]:
    """Connections that parts have opened and hold at this moment."""
    owners = _owners(pods.pids())
    taken = {
        (pods.ip(workload.name, index), port.number)
        for workload in stack.workloads
        for index in range(workload.replicas)
        for program in (workload, *workload.beside)
        for port in program.ports
    }
    return {(owners[inode], *other) for inode, own, other in _established() if inode in owners and own not in taken}


def _places(pods: Pods, stack: Stack) -> dict[str, str]:
    """Part by the addresses of its pods and of its Service."""
    found = {
        pods.ip(workload.name, index): workload.name
        for workload in stack.workloads
        for index in range(workload.replicas)
    }
    for workload in stack.workloads:
        found[httpx.URL(pods.url(workload.name, workload.ports[0].name, None)).host] = workload.name
    return found


def _is_flow(found: tuple[Flow, ...], source: str, target: str, port: int, places: Mapping[str, str]) -> bool:
    def reaches(flow: Flow) -> bool:
        match flow.target:
            case Part(name):
                return name == places.get(target)
            case Net(ranges):
                return target not in places and any(ip_address(target) in ip_network(each) for each in ranges)
            case _:
                return False

    return any(
        isinstance(flow.source, Part)
        and flow.source.name == source
        and reaches(flow)
        and any(reach.number in {0, port} and reach.protocol == "tcp" for reach in flow.ports)
        for flow in found
    )


def _here(workload: Workload, stack: Stack) -> Workload:
    """The workload without what only a cluster has, or the programs of this machine lack."""
    if workload.name == prometheus.NAME:
        file = yaml.load(workload.files["prometheus.yml"], Loader=yaml.CSafeLoader)
        # In the place of what an API server would list: the parts' own jobs, which are named after them.
        ports = {
            flow.target.name: flow.ports
            for flow in flows(stack)
            if isinstance(flow.target, Part) and str(flow.source) == prometheus.NAME
        }
        scraped = [f"{name}.observability.svc:{port.number}" for name, each in ports.items() for port in each]
        file["scrape_configs"] = [{"job_name": "parts", "static_configs": [{"targets": scraped}]}]
        file["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        return replace(workload, files={**workload.files, "prometheus.yml": to_yaml(file)})
    if workload.name == collector.NAME:
        return replace(workload, args=tuple(arg for arg in workload.args if "alert-history" not in arg))
    return workload


def _used(pods: Pods) -> None:
    """Something of each kind that goes through the parts."""
    line = [{"stream": {"app": "shop"}, "values": [[str(time.time_ns()), "hello"]]}]
    httpx.post(f"{pods.url('loki-write', 'http', None)}/loki/api/v1/push", json={"streams": line}, timeout=30)
    httpx.get(f"{pods.url('loki-read', 'http', None)}/loki/api/v1/query_range?query={{app=%22shop%22}}", timeout=30)
    httpx.get(f"{pods.url(names.FRONTEND, 'http', None)}/api/v1/query?query=up", timeout=30)
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    now = str(time.time_ns())
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "x", "startTimeUnixNano": now, "endTimeUnixNano": now}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    httpx.post(f"{pods.url(collector.NAME, 'otlp-http', None)}/v1/traces", json=body, timeout=30)
    logs = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}
    httpx.post(f"{pods.url(collector.NAME, 'otlp-http', None)}/v1/logs", json=logs, timeout=30)


def test_every_connection_of_running_parts_is_a_flow(tmp_path: Path) -> None:
    """Proves that policies of the model's flows would let through all that parts do: Lokis that find each other, Thanos
    over a pair of Prometheus, Alertmanagers that gossip, telemetry that comes in, and queries."""
    with storage() as objects:
        made = kubernetes_stack(
            size="large",
            replicas={"shards": 1, "alertmanager": 2, "loki": 3, "collector": 1, "jaeger": 1, "grafana": 1},
            thanos=True,
            object_storage={
                "endpoint": objects.address,
                "metrics_bucket": "metrics",
                "logs_bucket": "logs",
                "access_key": {"secret": "access"},
                "secret_key": {"secret": "secret"},
                "insecure": True,
                "path_style": True,
            },
            alerting=TEAM,
            evaluation_interval="1s",
        )
        found = flows(made)
        workloads = [_here(workload, made) for workload in made.workloads]
        with Pods(tmp_path, workloads, "observability", {"access": ACCESS_KEY}) as pods:
            pods.start_all(*LOKIS)
            for name in RUNNING:
                pods.start(name)
            places, seen = _places(pods, made), set[Connection]()
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                _used(pods)
                for _ in range(10):
                    seen |= _dialled(pods, made)
                    time.sleep(0.05)

    named = {(source, places.get(target, target), port) for source, target, port in seen}
    assert {each for each in seen if not _is_flow(found, *each, places)} == set(), named
    # What was looked at was not nothing: connections of each kind that stays open are among it.
    assert {
        (names.FRONTEND, names.QUERY, 10902),
        (names.QUERY, prometheus.NAME, 10901),
        (prometheus.NAME, alertmanager.NAME, alertmanager.PORT),
        (prometheus.NAME, collector.NAME, collector.METRICS),
        (collector.NAME, "loki-write", loki.PORT),
        (collector.NAME, jaeger.NAME, jaeger.OTLP),
        ("loki-read", "loki-write", loki.GRPC),
        ("loki-read", "loki-backend", loki.GRPC),
    } <= named, named
