"""Where spans go, what is kept of them, and what one collector of several says of itself."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes.place import executable
from specs import agent, collector, jaeger, sampling
from specs.stack import Stack
from specs.workload import ApiAccess, ApiRule, HostPaths, NodeData, SecretRef, Workload
from tests.specs.support import EVERY_RECEIVER, complaint, stack, yaml_file

LOGIN = {"username": "jaeger", "password": {"secret": "traces"}}
BY_FILE = "${file:../config/secrets/traces-password}"


def prod(**changes: object) -> Stack:
    """A Kubernetes stack."""
    return stack(runtime="kubernetes", alerting=EVERY_RECEIVER, **changes)


def _accepted(workload: Workload, home: Path) -> list[str]:
    """What the collector's own checker says against the workload's files."""
    for path, text in workload.files.items():
        (home / path).write_text(text, encoding="utf-8")
    said: list[str] = []
    for check in workload.checks:
        argv = [str(executable(check.argv[0])), *check.argv[1:]]
        done = subprocess.run(argv, cwd=home, capture_output=True, text=True, timeout=60, check=False)
        said += [done.stderr] if done.returncode else []
    return said


@pytest.mark.parametrize(
    ("store", "servers", "expected"),
    [
        (
            "elasticsearch",
            ["https://es.example.com:9200"],
            {
                "server_urls": ["https://es.example.com:9200"],
                "auth": {"basic": {"username": "jaeger", "password_file": "../config/secrets/traces-password"}},
                "max_span_age": "168h",
            },
        ),
        (
            "opensearch",
            ["http://a:9200", "http://b:9200"],
            {
                "server_urls": ["http://a:9200", "http://b:9200"],
                "auth": {"basic": {"username": "jaeger", "password_file": "../config/secrets/traces-password"}},
                "max_span_age": "168h",
            },
        ),
        (
            "cassandra",
            ["a:9042", "b:9042"],
            {
                "schema": {
                    "keyspace": "jaeger",
                    "create": True,
                    "datacenter": "datacenter1",
                    "replication_factor": 2,
                    "trace_ttl": "168h",
                    "dependencies_ttl": "168h",
                },
                "connection": {
                    "servers": ["a:9042", "b:9042"],
                    "auth": {"basic": {"username": "jaeger", "password": BY_FILE}},
                    "tls": {},
                },
            },
        ),
        (
            "clickhouse",
            ["a:9440"],
            {
                "addresses": ["a:9440"],
                "database": "jaeger",
                "auth": {"basic": {"username": "jaeger", "password": BY_FILE}},
                "tls": {},
                "create_schema": True,
                "ttl": "168h",
            },
        ),
    ],
)
def test_stores_elsewhere(store: str, servers: list[str], expected: dict[str, Any]) -> None:
    """Proves each store's configuration, that its retention is the stack's where the store can have one, that the
    password is in a file only, and that several Jaegers share it without a volume."""
    made = prod(
        traces={"store": store, "servers": servers, **LOGIN}, replicas={"jaeger": 2}, retention={"traces": "7d"}
    )
    workload = made.workload(jaeger.NAME)
    storage = yaml_file(made, jaeger.NAME, "jaeger.yml")["extensions"]["jaeger_storage"]

    assert storage == {"backends": {"main": {store: expected}}}
    assert dict(workload.secrets) == {"secrets/traces-password": SecretRef("traces")}
    assert (workload.replicas, workload.volume, workload.peers) == (2, None, ())


@pytest.mark.parametrize(("store", "told"), [("elasticsearch", True), ("opensearch", True), ("badger", False)])
def test_retention_that_is_not_applied_is_told(store: str, told: bool) -> None:
    """Proves that a stack whose spans nobody deletes says so."""
    made = prod(traces={"store": store, "servers": [] if store == "badger" else ["https://search:9200"]})
    words = f"retention.traces: not applied in {store}, where Jaeger deletes nothing (docs/traces.md has what does)"

    assert made.left_out == ((words,) if told else ())


def test_what_a_store_may_be_told() -> None:
    """Proves that names of the store's own can be given, and that a store without a login or TLS is dialled so."""
    named = {"store": "elasticsearch", "servers": ["http://es:9200"], "database": "shop"}
    plain = {"store": "clickhouse", "servers": ["ch:9000"], "tls": False, "database": "shop"}
    local = {"store": "cassandra", "servers": ["cas:9042"], "tls": False, "datacenter": "fra"}

    def backend(traces: Mapping[str, object]) -> dict[str, Any]:
        (found,) = yaml_file(prod(traces=traces), jaeger.NAME, "jaeger.yml")["extensions"]["jaeger_storage"][
            "backends"
        ]["main"].values()
        return dict(found)

    assert backend(named) == {
        "server_urls": ["http://es:9200"],
        "indices": {"index_prefix": "shop"},
        "max_span_age": "168h",
    }
    assert backend(plain) == {"addresses": ["ch:9000"], "database": "shop", "create_schema": True, "ttl": "168h"}
    assert backend(local)["connection"] == {"servers": ["cas:9042"], "tls": {"insecure": True}}
    assert (backend(local)["schema"]["datacenter"], backend(local)["schema"]["replication_factor"]) == ("fra", 1)


@pytest.mark.parametrize(
    ("traces", "expected"),
    [
        (
            {"store": "elasticsearch", "servers": ["es:9200"]},
            '"es:9200" is no server of elasticsearch (accepted: URLs)',
        ),
        (
            {"store": "clickhouse", "servers": ["https://ch:9440"]},
            '"https://ch:9440" is no server of clickhouse (accepted: host:port)',
        ),
    ],
)
def test_servers_of_another_form_are_refused(traces: dict[str, object], expected: str) -> None:
    """Proves that an address in the form of another store is named in one line."""
    assert complaint(runtime="kubernetes", traces=traces) == (
        f"Pulumi.test.yaml: observability:settings.traces.servers: {expected}"
    )


@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_one_collector_samples_itself(runtime: str, tmp_path: Path) -> None:
    """Proves that where there is one collector, it decides itself, after span metrics are made of everything; and that
    its checker accepts it."""
    made = stack(runtime=runtime, alerting=EVERY_RECEIVER, traces={"sampling": {"percent": 5, "slow": "2s"}})
    config = yaml_file(made, collector.NAME, "collector.yml")
    pipelines = config["service"]["pipelines"]

    assert {
        name: (pipelines[name]["processors"], pipelines[name]["exporters"]) for name in ("traces", "traces/kept")
    } == {
        "traces": (["memory_limiter", "resource", "batch"], ["span_metrics"]),
        "traces/kept": (["memory_limiter", "resource", "tail_sampling", "batch"], ["otlp_grpc/jaeger"]),
    }
    assert pipelines["traces"]["receivers"] == pipelines["traces/kept"]["receivers"]
    assert config["processors"]["tail_sampling"]["policies"] == [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": 2000}},
        {"name": "by-lot", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5.0}},
    ]
    assert sampling.NAME not in made.names
    assert _accepted(made.workload(collector.NAME), tmp_path) == []


@pytest.mark.parametrize("name", [collector.NAME, sampling.NAME, agent.NAME])
def test_the_checker_accepts_what_is_only_on_a_cluster(name: str, tmp_path: Path) -> None:
    """Proves that the collector's checker accepts the files of each kind of collector that a cluster has."""
    made = prod(
        traces={"sampling": True}, log_files=[{"name": "audit", "app": "cluster", "include": ["/var/log/audit/*.log"]}]
    )
    workload = made.workload(name)

    assert workload.checks
    assert _accepted(workload, tmp_path) == []


def test_several_collectors_are_told_apart() -> None:
    """Proves that each collector of a cluster names itself in the span metrics that it counts, pushes them to every
    Prometheus, and follows no file; and that on one machine nothing of that is so."""
    clustered = prod(replicas={"collector": 3, "prometheus": 2})
    config = yaml_file(clustered, collector.NAME, "collector.yml")

    assert clustered.workload(collector.NAME).replicas == 3
    assert config["service"]["telemetry"]["resource"] == {"collector.instance.id": "${env:POD_NAME}"}
    assert {name: exporter["endpoint"] for name, exporter in config["exporters"].items() if "prometheus" in name} == {
        f"otlp_http/prometheus-{index}": f"http://prometheus-{index}.prometheus-peers.observability.svc:9090/api/v1/otlp"
        for index in range(2)
    }
    assert config["service"]["pipelines"]["metrics"]["exporters"] == [
        "otlp_http/prometheus-0",
        "otlp_http/prometheus-1",
    ]
    assert set(config["receivers"]) == {"otlp", "jaeger", "zipkin"}

    alone = yaml_file(stack(), collector.NAME, "collector.yml")
    assert "resource" not in alone["service"]["telemetry"]
    assert "otlp_http/prometheus" in alone["exporters"]


@pytest.mark.parametrize(("percent", "threshold"), [(None, 0.1), (10, 1.0), (50, 0.2)])
def test_an_alert_waits_for_what_is_kept(percent: float | None, threshold: float) -> None:
    """Proves that fewer traces at Jaeger are no alarm where few are kept."""
    traces = {"sampling": {"percent": percent}} if percent else {}
    (alert,) = (
        alert
        for group in prod(traces=traces).groups
        for alert in group.alerts
        if alert.name == "JaegerIngestionStopped"
    )

    assert alert.threshold == threshold


def test_alerts_are_about_every_kind_of_collector() -> None:
    """Proves that on a cluster the collector's alerts look at agents and samplers as well."""

    def looked_at(made: Stack) -> set[str]:
        return {
            service
            for group in made.groups
            for alert in group.alerts
            if alert.name.startswith("Collector")
            for service in (agent.NAME, collector.NAME, sampling.NAME)
            if f'service=~"{agent.NAME}|{collector.NAME}|{sampling.NAME}"' in alert.expr
            or f'service="{service}"' in alert.expr
        }

    assert looked_at(prod()) == {agent.NAME, collector.NAME, sampling.NAME}
    assert looked_at(stack()) == {collector.NAME}


def test_the_agent_may_little() -> None:
    """Proves that the agent runs on every node with the right to ask about pods and no other, sees the logs of its node
    and files of the settings, read-only, whoever owns them, and keeps its place in a directory of its own."""
    made = prod(log_files=[{"name": "audit", "app": "cluster", "include": ["/srv/audit/*.log"]}])
    workload = made.workload(agent.NAME)
    receivers = yaml.safe_load(workload.files["agent.yml"])["receivers"]

    assert [type(extra).__name__ for extra in workload.extras] == [
        "EveryNode",
        "HostPaths",
        "HostPaths",
        "NodeData",
        "Identity",
        "ApiAccess",
        "AnyFile",
    ]
    assert workload.extras[1:4] == (
        HostPaths((("/var/log/pods", "/var/log/pods"),)),
        HostPaths((("/srv/audit", "/host/srv/audit"),)),
        NodeData("/var/lib/observability-agent"),
    )
    assert workload.extras[5] == ApiAccess((ApiRule(resources=("pods",)),))
    assert set(receivers) == {"file_log/pods", "file_log/audit"}
    assert receivers["file_log/pods"]["exclude"] == ["/var/log/pods/observability-node_agent-*/*/*"]
    assert made.left_out == ()


def test_without_agents() -> None:
    """Proves that agents can be left away, and that files which nobody follows then are told."""
    files = [{"name": "audit", "app": "cluster", "include": ["/srv/audit/*.log"]}]
    quiet = prod(kubernetes={"pod_logs": False})
    told = prod(kubernetes={"pod_logs": False}, log_files=files)

    assert agent.NAME not in quiet.names
    assert quiet.left_out == ()
    assert told.left_out == (
        "log files: not followed, since kubernetes.pod_logs is false: no agent sees the files of its node",
    )
    assert [
        name for name in ("process", "docker") if agent.NAME in stack(runtime=name, alerting=EVERY_RECEIVER).names
    ] == []
