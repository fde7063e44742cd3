"""The stack comes up from nothing and does what it says, on real servers and the real engine."""

import json
import time
from pathlib import Path
from typing import cast

import httpx
import jsonschema
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from processes.keeper import marked
from specs.settings import load
from specs.stack import build
from tests.local.around import POSTGRES_PASSWORD, REDIS_PASSWORD, Around
from tests.local.old_clients import jaeger_udp, zipkin_http
from tests.local.servers import celery_call
from tests.local.stacks import Local, eventually
from tools.health import scraped

PARTS = {
    "prometheus", "alertmanager", "loki", "jaeger", "collector",
    "node-exporter", "blackbox-exporter", "postgres-exporter-main", "redis-exporter-main", "nginx-exporter-main",
    "flower-main",
}  # fmt: skip


def test_every_target_is_up(local: Local) -> None:
    """Proves that Prometheus scrapes every part and every exporter, each sample with its app and environment."""

    def all_up() -> bool:
        targets = httpx.get(f"{local.url(9090)}/api/v1/targets", timeout=5).json()["data"]["activeTargets"]
        assert all({"app", "environment", "job", "instance"} <= target["labels"].keys() for target in targets)
        targets = [target for target in targets if target["labels"]["job"] != "applications"]
        healths = {f"{target['labels']['job']} {target['labels']['instance']}": target["health"] for target in targets}
        seen.update(healths)
        return len(healths) == 16 and set(healths.values()) == {"up"}

    seen: dict[str, str] = {}
    # Probes run every half minute.
    eventually(all_up, 60, f"every target up: {seen}")


def test_status_tells_each_part_its_url_and_health(local: Local) -> None:
    """Proves that `make status` names every part, and says by its exit status that all are healthy."""
    said = local.cli("status").stdout
    for part in PARTS:
        (line,) = [line for line in said.splitlines() if line.strip().startswith(f"{part} ")]
        assert "http://127.0.0.1:" in line
        assert " healthy " in line


def test_prometheus_tells_the_health_of_parts_that_cannot_be_asked(local: Local) -> None:
    """Proves what `make status` of a Docker stack relies on: each part's scraped address is told as up."""
    stack = build(load(local.file), file=local.file.name, absent=["grafana"])
    seen = eventually(lambda: scraped(stack) if all(scraped(stack).values()) else None, 60)
    for workload in stack.workloads:
        dialled = {stack.context.addresses.dial(workload.name, port.number) for port in workload.ports}
        assert [seen[address] for address in dialled & seen.keys()] == [True], workload.name


def test_prometheus_shows_people_its_targets_and_alerts(local: Local) -> None:
    """Proves that the console page of a Prometheus without web pages renders, with every job and the Watchdog."""
    eventually(lambda: local.query('ALERTS{alertname="Watchdog"}'))
    page = httpx.get(f"{local.url(9090)}/consoles/index.html", timeout=5)
    assert page.status_code == 200
    assert "<td>Watchdog</td><td>firing</td>" in page.text
    for entry in local.query("up"):
        assert f"<td>{entry['metric']['job']}</td><td>{entry['metric']['instance']}</td>" in page.text


def test_everything_listens_on_loopback_only(local: Local) -> None:
    """Proves that no program of the stack binds another address, TCP or UDP."""
    eventually(lambda: len(marked(local.home)) >= len(PARTS))
    addresses = {
        connection.laddr.ip
        for process in marked(local.home)
        for connection in process.net_connections(kind="inet")
        if connection.status in ("LISTEN", "NONE") and connection.laddr
    }
    assert addresses == {"127.0.0.1"}


def test_databases_are_seen_through_their_exporters(local: Local, around: Around) -> None:
    """Proves that real PostgreSQL, Redis and nginx servers are read, with passwords that came as secrets."""
    eventually(lambda: local.value("pg_up") == 1, 20, "pg_up")
    eventually(lambda: local.value("redis_up") == 1, 20, "redis_up")
    eventually(lambda: local.value("nginx_up") == 1, 20, "nginx_up")
    (found,) = local.query("pg_up")
    assert found["metric"]["app"] == "shop"
    assert found["metric"]["instance"] == f"127.0.0.1:{around.postgres}"
    assert (local.value('sum(pg_stat_database_numbackends{app="shop"})') or 0) >= 1
    statements = "pg_stat_statements_seconds_total * on (queryid) group_left (query) pg_stat_statements_query_id"
    eventually(lambda: local.query(statements), 20, "what statements took, with their texts")


def test_celery_is_seen_through_flower(local: Local, around: Around) -> None:
    """Proves that a real worker and the tasks it does and fails are seen, by a broker URL that came as a secret."""
    worker = 'flower_worker_online{app="shop", service="celery"}'
    eventually(lambda: local.value(worker) == 1, 30, "the worker")
    for task in ("sweep", "spill"):
        celery_call(around.worker, task)
    done = 'flower_events_total{app="shop", task="sweep", type="task-succeeded"}'
    failed = 'flower_events_total{app="shop", task="spill", type="task-failed"}'
    eventually(lambda: local.value(done) == 1, 20, "the task that works")
    eventually(lambda: local.value(failed) == 1, 20, "the task that fails")


def test_only_the_watchdog_fires_on_a_healthy_stack(fresh: Local, around: Around) -> None:
    """Proves that a fresh install is quiet, and that the Watchdog's beat reaches the dead man's switch again."""
    groups = httpx.get(f"{fresh.url(9090)}/api/v1/rules", params={"type": "alert"}, timeout=10).json()["data"]["groups"]
    # Whether this machine is busy, and who keeps its clock, is beyond the stack.
    names = {rule["name"] for group in groups if group["name"] != "node" for rule in group["rules"]}

    def told() -> set[str]:
        return {found["metric"]["alertname"] for found in fresh.query("ALERTS")} & names

    eventually(lambda: told() == {"Watchdog"}, 60, "only the Watchdog, pending ones included")
    eventually(lambda: fresh.name in around.webhook.beats, 60, "the first beat")
    assert told() == {"Watchdog"}


def test_a_log_line_is_found_by_its_request_id(local: Local) -> None:
    """Proves that a JSON line in a registered file reaches Loki with its level as label and its ids beside it."""
    outputs = local.outputs()
    directory = Path(outputs["logs"]["directory"]) / "shop"
    directory.mkdir(parents=True, exist_ok=True)
    line = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "level": "error",
        "message": "payment refused",
        "request_id": "req-4711",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }
    with (directory / "checkout.json").open("a") as log:
        log.write(json.dumps(line) + "\n")
    (stream,) = eventually(lambda: local.logs('{app="shop", service_name="checkout"} | request_id="req-4711"'), 20)
    assert stream["stream"]["environment"] == "test"
    assert stream["stream"]["severity_text"] == "ERROR"
    assert stream["stream"]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert [entry[1] for entry in stream["values"]] == ["payment refused"]


def test_a_text_line_is_found(local: Local) -> None:
    """Proves that a registered text file is followed line by line."""
    directory = Path(local.outputs()["logs"]["directory"]) / "shop"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "nginx.log").open("a") as log:
        log.write('127.0.0.1 - - "GET /cart HTTP/1.1" 200 needle-814\n')
    (stream,) = eventually(lambda: local.logs('{app="shop", service_name="nginx"} |= "needle-814"'), 20)
    assert stream["values"][0][1].startswith("127.0.0.1 - -")


def test_a_log_line_over_otlp_and_by_push_is_found(local: Local) -> None:
    """Proves that the addresses in the outputs take logs: OTLP at the collector, and Loki's own push."""
    outputs = local.outputs()
    now = str(time.time_ns())
    record = {"timeUnixNano": now, "severityText": "WARN", "body": {"stringValue": "needle-otlp"}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]}
    httpx.post(
        f"{outputs['otlp']['http']}/v1/logs",
        json={"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]},
        timeout=5,
    ).raise_for_status()
    pushed = {"streams": [{"stream": {"app": "billing"}, "values": [[now, "needle-push"]]}]}
    httpx.post(outputs["loki"]["push_url"], json=pushed, timeout=5).raise_for_status()
    (stream,) = eventually(lambda: local.logs('{service_name="billing"} |= "needle-otlp"'))
    assert stream["stream"]["app"] == "billing"
    eventually(lambda: local.logs('{app="billing"} |= "needle-push"'))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_trace_over_otlp_is_read_back(local: Local, protocol: str) -> None:
    """Proves that a span of the OpenTelemetry SDK, by either protocol, is in Jaeger and counted as span metrics."""
    service = f"otlp-{protocol}"
    otlp = local.outputs()["otlp"]
    exporter: SpanExporter = (
        HttpExporter(f"{otlp['http']}/v1/traces") if protocol == "http" else GrpcExporter(otlp["grpc"], insecure=True)
    )
    provider = TracerProvider(resource=Resource({"service.name": service, "app": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("checkout", attributes={"http.route": "/cart"}) as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()
    (found,) = eventually(lambda: local.trace(trace_id))
    assert found["operationName"] == "checkout"
    labels = f'service_name="{service}", app="shop", environment="test", http_route="/cart"'
    calls = f"traces_span_metrics_calls_total{{{labels}}}"
    assert eventually(lambda: local.value(calls), 45, "span metrics") == 1
    exemplars = httpx.get(
        f"{local.url(9090)}/api/v1/query_exemplars",
        params={
            "query": f'traces_span_metrics_duration_seconds_bucket{{service_name="{service}"}}',
            "start": str(time.time() - 300),
            "end": str(time.time() + 60),
        },
        timeout=5,
    ).json()["data"]
    assert trace_id in json.dumps(exemplars)


def test_a_span_of_an_old_jaeger_client_is_read_back(local: Local) -> None:
    """Proves that compact Thrift over UDP 6831, as agents took it, ends in Jaeger."""
    trace_id = jaeger_udp(6831 + local.offset, "old-jaeger", "legacy-checkout")
    (found,) = eventually(lambda: local.trace(trace_id))
    assert found["operationName"] == "legacy-checkout"


def test_a_span_of_a_zipkin_client_is_read_back(local: Local) -> None:
    """Proves that Zipkin's JSON ends in Jaeger."""
    trace_id = zipkin_http(local.url(9411), "old-zipkin", "zipkin-checkout")
    (found,) = eventually(lambda: local.trace(trace_id))
    assert found["operationName"] == "zipkin-checkout"


def test_secrets_are_in_files_for_their_program_alone(local: Local) -> None:
    """Proves that no password stands in a configuration, a log, the outputs or the state, nor in a readable file."""
    state = local.pulumi("stack", "export", "--stack", local.name).stdout
    shown = local.pulumi("preview", "--diff", "--stack", local.name).stdout + json.dumps(local.outputs())
    for canary in (POSTGRES_PASSWORD, REDIS_PASSWORD):
        assert canary not in state
        assert canary not in shown
        holders = [
            path
            for path in local.project.joinpath(".state").rglob("*")
            if path.is_file() and canary.encode() in path.read_bytes()
        ]
        assert holders
        for holder in holders:
            assert "secrets" in holder.parts
            assert holder.stat().st_mode & 0o077 == 0


def test_outputs_are_as_documented(local: Local) -> None:
    """Proves that docs/outputs.md has a row for each output of a real stack, and none too many, and that they are of
    the schema."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    page = (docs / "outputs.md").read_text()
    schema = json.loads((docs / "outputs.schema.json").read_text())
    jsonschema.validate(local.outputs(), schema, cls=jsonschema.Draft202012Validator)
    documented = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}

    def leaves(value: object, path: str) -> set[str]:
        if isinstance(value, dict) and path not in ("otel_env", "scrape.labels"):
            inside = cast("dict[str, object]", value)
            return {leaf for key, inner in inside.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))}
        return {path}

    real = leaves(local.outputs(), "")
    optional = {
        *(f"urls.{name}" for name in ("grafana", "inbox", "elasticsearch", "kibana", "glitchtip")),
        *("scrape.annotations", "logstash", "elastic_apm_env", "sentry_env", "docker", "kubernetes"),
        *(name for name in documented if name.startswith(("docker.", "kubernetes."))),
    }
    assert {name for name in documented if name not in optional} == real - optional
