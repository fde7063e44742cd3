"""The collectors of a rendered Kubernetes stack count every span once, and hand on the traces that somebody will want.

Two stand in for a whole: the exporter that divides traces among samplers is not in the collector that runs here, so
that everything goes to the first sampler; what the stack renders for it is compared word by word.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import yaml

from specs import collector, jaeger, prometheus, sampling
from specs.monitoring import to_yaml
from specs.stack import Stack
from specs.workload import Workload
from tests.distributed.processes import Pods
from tests.distributed.stacks import kubernetes_stack
from tests.log_stack import eventually

PERCENT = 25
SERVICE = "checkout"
WAIT = 2
ALERTING = {"default": "team", "receivers": {"team": {"webhook": {"url": "http://example.com"}}}}
SAMPLED = {"sampling": {"percent": PERCENT, "slow": "1s", "wait": f"{WAIT}s"}}
LATE = "late"
PLAIN, FAILED, SLOW = 400, 30, 30
"""How many traces are sent of each kind."""


def _here(workload: Workload) -> Workload:
    """The workload with what the programs of this machine know."""
    match workload.name:
        case collector.NAME:
            merged = yaml.load(workload.files["collector.yml"], Loader=yaml.CSafeLoader)
            apart = yaml.load(workload.files[sampling.FILE], Loader=yaml.CSafeLoader)
            (name, balancer), *others = apart["exporters"].items()
            assert others == []
            first = balancer["resolver"]["static"]["hostnames"][0]
            merged["exporters"]["otlp_grpc/first"] = {"endpoint": first, **balancer["protocol"]["otlp"]}
            chosen = apart["service"]["pipelines"]["traces"]["exporters"]
            merged["service"]["pipelines"]["traces"]["exporters"] = [
                "otlp_grpc/first" if each == name else each for each in chosen
            ]
            file = "collector.yml"
            args = tuple(arg for arg in workload.args if arg.endswith(file))
            return replace(workload, files={file: to_yaml(merged)}, args=args)
        case prometheus.NAME:
            config = yaml.load(workload.files["prometheus.yml"], Loader=yaml.CSafeLoader)
            del config["alerting"], config["rule_files"]
            files = {"prometheus.yml": to_yaml({**config, "scrape_configs": []})}
            return replace(workload, files=files, checks=())
        case _:
            return workload


def _span(trace: str, span: str, *, parent: str = "", seconds: float = 0.01, failed: bool = False) -> dict[str, Any]:
    end = time.time_ns()
    return {
        "traceId": trace,
        "spanId": span,
        **({"parentSpanId": parent} if parent else {}),
        "name": "pay" if parent else "POST /checkout",
        "kind": 1 if parent else 2,
        "startTimeUnixNano": str(end - round(seconds * 1e9)),
        "endTimeUnixNano": str(end),
        "status": {"code": 2 if failed else 0},
    }


def _sent(url: str, spans: list[dict[str, Any]]) -> None:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    httpx.post(f"{url}/v1/traces", json=body, timeout=30).raise_for_status()


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """Two collectors, a sampler, Jaeger and two Prometheus, and the traces that were sent."""

    pods: Pods
    plain: frozenset[str]
    failed: frozenset[str]
    slow: frozenset[str]

    def kept(self) -> Mapping[str, int]:
        """Traces that Jaeger has, with how many spans of each."""
        url = f"{self.pods.url(jaeger.NAME, 'ui')}/api/traces"
        answer = httpx.get(url, params={"service": SERVICE, "limit": "1500", "lookback": "1h"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return {trace["traceID"].zfill(32): len(trace["spans"]) for trace in answer.json()["data"]}

    def counted(self, index: int) -> list[tuple[dict[str, str], float]]:
        """Calls by series, as a replica of Prometheus knows them."""
        url = f"{self.pods.url(prometheus.NAME, index=index)}/api/v1/query"
        query = f'traces_span_metrics_calls_total{{service_name="{SERVICE}", span_name!="{LATE}"}}'
        answer = httpx.get(url, params={"query": query}, timeout=10)
        assert answer.status_code == 200, answer.text
        return [(series["metric"], float(series["value"][1])) for series in answer.json()["data"]["result"]]


def _send(pods: Pods) -> Flow:
    """Traces of three kinds, the same each time. The two spans of each go to one collector and to the other."""
    chance = random.Random(6)

    def ids(count: int) -> list[str]:
        return [f"{chance.getrandbits(128):032x}" for _ in range(count)]

    plain, failed, slow = ids(PLAIN), ids(FAILED), ids(SLOW)
    everything = [*plain, *failed, *slow]
    first = {trace: f"{chance.getrandbits(64):016x}" for trace in everything}
    roots = [_span(trace, first[trace], seconds=1.5 if trace in slow else 0.02) for trace in everything]
    leaves = [
        _span(trace, f"{chance.getrandbits(64):016x}", parent=first[trace], failed=trace in failed)
        for trace in everything
    ]
    _sent(pods.url(collector.NAME, "otlp-http", 0), roots)
    _sent(pods.url(collector.NAME, "otlp-http", 1), leaves)
    return Flow(pods=pods, plain=frozenset(plain), failed=frozenset(failed), slow=frozenset(slow))


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Generator[Flow]:
    """The running parts, with everything sent."""
    made = kubernetes_stack(
        replicas={"collector": 2, "prometheus": 2, "alertmanager": 1}, traces=SAMPLED, alerting=ALERTING
    )
    workloads = [_here(workload) for workload in made.workloads]
    home = tmp_path_factory.mktemp("traces")
    with Pods(home, workloads, made.context.settings.kubernetes.namespace) as pods:
        for name in (prometheus.NAME, jaeger.NAME):
            pods.start(name)
        pods.start(sampling.NAME, 0)
        pods.start(collector.NAME)
        yield _send(pods)


def _settled(read: Callable[[], int], what: str) -> None:
    """Until what is read is more than nothing and stays."""
    last = [0]

    def same() -> bool:
        before, last[0] = last[0], read()
        time.sleep(2)
        return bool(last[0]) and last[0] == before == read()

    eventually(same, 60, what)


def test_what_somebody_will_want_is_kept(flow: Flow) -> None:
    """Proves that every trace with an error and every slow one is in Jaeger, whole, though its spans came by different
    collectors; and of the others about the part that was asked for."""
    eventually(lambda: flow.failed | flow.slow <= set(flow.kept()), 60, "failed and slow traces")
    _settled(lambda: len(flow.kept()), "traces")
    kept = flow.kept()

    assert {trace: kept[trace] for trace in flow.failed | flow.slow} == dict.fromkeys(flow.failed | flow.slow, 2)
    others = flow.plain & set(kept)
    assert {kept[trace] for trace in others} == {2}
    # Four standard deviations of as many draws.
    assert abs(len(others) - PLAIN * PERCENT / 100) < 4 * (PLAIN * PERCENT / 100 * (1 - PERCENT / 100)) ** 0.5
    assert set(kept) <= flow.plain | flow.failed | flow.slow


def test_late_spans_share_the_decision(flow: Flow) -> None:
    """Proves that a span which comes after its trace was judged is kept when the trace was, and dropped when not."""
    eventually(lambda: flow.failed <= set(flow.kept()), 60, "failed traces")
    _settled(lambda: len(flow.kept()), "traces")
    before = flow.kept()
    kept, dropped = min(flow.failed), min(flow.plain - set(before))
    spans = [{**_span(trace, "00000000000000aa"), "name": LATE} for trace in (kept, dropped)]
    _sent(flow.pods.url(collector.NAME, "otlp-http", 0), spans)

    eventually(lambda: flow.kept().get(kept) == 3, 60, "the late span")
    time.sleep(2 * WAIT)
    assert dropped not in flow.kept()


def test_every_span_is_counted_once(flow: Flow) -> None:
    """Proves that span metrics are of all spans, not of those that are kept; that the series of two collectors are told
    apart by the collector's name; and that each Prometheus has all of them."""
    sent = 2 * (PLAIN + FAILED + SLOW)

    for index in range(2):
        eventually(lambda index=index: sum(value for _, value in flow.counted(index)) >= sent, 60, "span metrics")  # type: ignore[misc]
        found = flow.counted(index)
        assert sum(value for _, value in found) == sent
        of_failed = sum(value for labels, value in found if labels["status_code"] == "STATUS_CODE_ERROR")
        assert of_failed == FAILED
        assert {labels["collector_instance_id"] for labels, _ in found} == {"collector-0", "collector-1"}
        assert {(labels["app"], labels["environment"]) for labels, _ in found} == {(SERVICE, "prod")}


def _counted_orders(flow: Flow) -> set[tuple[str, float]]:
    url = f"{flow.pods.url(prometheus.NAME)}/api/v1/query"
    answer = httpx.get(url, params={"query": 'orders_total{app="kiosk"}'}, timeout=10)
    return {(found["metric"]["instance"], float(found["value"][1])) for found in answer.json()["data"]["result"]}


def test_replicas_without_names_are_told_apart(flow: Flow) -> None:
    """Proves that counters which two pods of an application push without saying which of them they are stay two
    series, by the address that they come from."""
    for index, (address, value) in enumerate((("127.0.0.2", 5), ("127.0.0.3", 7))):
        point = {
            "asInt": str(value),
            "timeUnixNano": str(time.time_ns()),
            "startTimeUnixNano": str(time.time_ns() - 10**9),
        }
        metric = {
            "name": "orders",
            "sum": {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True},
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "kiosk"}}]}
        body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as pod:
            url = flow.pods.url(collector.NAME, "otlp-http", index)
            pod.post(f"{url}/v1/metrics", json=body, timeout=30).raise_for_status()

    eventually(lambda: len(_counted_orders(flow)) == 2, 60, "both pods' orders")
    assert _counted_orders(flow) == {("127.0.0.2", 5.0), ("127.0.0.3", 7.0)}


def _of(**changes: object) -> Stack:
    return kubernetes_stack(alerting=ALERTING, **changes)


def test_traces_are_divided_among_samplers() -> None:
    """Proves that every collector hands a trace to the one sampler that its id belongs to, by names that stay, and that
    there are as many samplers as collectors."""
    made = _of(replicas={"collector": 3}, traces=SAMPLED)
    gateway, sampler = made.workload(collector.NAME), made.workload(sampling.NAME)

    assert yaml.load(gateway.files[sampling.FILE], Loader=yaml.CSafeLoader) == {
        "exporters": {
            "load_balancing": {
                "routing_key": "traceID",
                "protocol": {"otlp": {"tls": {"insecure": True}}},
                "resolver": {
                    "static": {
                        "hostnames": [f"sampler-{index}.sampler-peers.observability.svc:4317" for index in range(3)]
                    }
                },
            }
        },
        "service": {"pipelines": {"traces": {"exporters": ["load_balancing", "span_metrics"]}}},
    }
    assert (gateway.replicas, sampler.replicas, sampler.peers, sampler.volume) == (3, 3, ("otlp-grpc",), None)
    assert "otlp_grpc/jaeger" not in yaml.load(gateway.files["collector.yml"], Loader=yaml.CSafeLoader)["exporters"]


def test_without_sampling_there_is_no_sampler() -> None:
    """Proves that by default every trace goes straight to Jaeger."""
    made = _of()
    pipelines = yaml.load(made.workload(collector.NAME).files["collector.yml"], Loader=yaml.CSafeLoader)["service"][
        "pipelines"
    ]

    assert sampling.NAME not in made.names
    assert sampling.FILE not in made.workload(collector.NAME).files
    assert pipelines["traces"]["exporters"] == ["otlp_grpc/jaeger", "span_metrics"]
