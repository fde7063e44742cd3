"""Three Alertmanagers of a rendered Kubernetes stack gossip: people are told once, whichever of them is away."""

import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from specs import alertmanager, loki
from tests.distributed.processes import OUTSIDE, Pods
from tests.distributed.stacks import kubernetes_stack

REPLICAS = range(3)
WAIT = 1
"""Seconds that the first notification of a group waits."""
TURN = 15
"""Seconds that a replica leaves to those before it, each: Alertmanager's default."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook that remembers the alerts that it was told of."""

    port: int
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Name and status of each alert of each notification."""

    def of(self, name: str) -> list[str]:
        """What was told of the alert, in order."""
        return [status for alert, status in list(self.told) if alert == name]


@contextmanager
def hook() -> Generator[Hook]:
    """A running webhook."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.told.extend((alert["labels"]["alertname"], alert["status"]) for alert in body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer((OUTSIDE, 0), Handler) as server:
        made = Hook(server.server_port)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Trio:
    """Three Alertmanagers and who they tell."""

    pods: Pods
    hook: Hook

    def api(self, index: int) -> str:
        """A replica's API."""
        return f"{self.pods.url(alertmanager.NAME, 'http', index)}/api/v2"

    def fire(self, name: str, replicas: Sequence[int] = REPLICAS) -> None:
        """Post an alert to each of `replicas`, as every Prometheus does."""
        ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        alert = {"labels": {"alertname": name, "severity": "critical", "app": "shop"}, "endsAt": ends}
        for index in replicas:
            assert httpx.post(f"{self.api(index)}/alerts", json=[alert], timeout=10).status_code == 200

    def members(self, index: int) -> float:
        """How many members a replica knows."""
        return self.gauge(index, "alertmanager_cluster_members")

    def gauge(self, index: int, name: str) -> float:
        """A gauge of a replica."""
        text = httpx.get(f"{self.pods.url(alertmanager.NAME, 'http', index)}/metrics", timeout=10).text
        (found,) = (
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        )
        return found


def _eventually(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Generator[Trio]:
    """Alertmanagers that know each other."""
    with hook() as told:
        made = kubernetes_stack(
            evaluation_interval="1s",
            alerting={
                "receivers": {"team": {"webhook": {"url": f"http://{OUTSIDE}:{told.port}/"}}},
                "default": "team",
                "grouping": {"wait": f"{WAIT}s", "interval": "5m"},
            },
        )
        with Pods(tmp_path_factory.mktemp("trio"), made.workloads, "observability") as pods:
            pods.start(alertmanager.NAME)
            found = Trio(pods, told)
            _eventually(lambda: all(found.members(index) == 3 for index in REPLICAS), 60, "three members")
            yield found


def test_one_notification(trio: Trio) -> None:
    """Proves that an alert that every replica hears of is told once: by the first, which the others wait for."""
    trio.fire("Once")

    _eventually(lambda: trio.hook.of("Once") != [], 30, "a notification")
    # The others have had their turns.
    time.sleep(WAIT + 2 * TURN + 3)
    assert trio.hook.of("Once") == ["firing"]


def test_every_replica_has_the_same_configuration(trio: Trio) -> None:
    """Proves what the alert about different configurations measures: the hash is the same for replicas of one stack."""
    assert len({trio.gauge(index, "alertmanager_config_hash") for index in REPLICAS}) == 1


def _await_silence(trio: Trio, index: int, silence: str) -> None:
    url = f"{trio.api(index)}/silence/{silence}"
    _eventually(lambda: httpx.get(url, timeout=10).status_code == 200, 30, f"the silence at {index}")


def test_a_silence_holds_everywhere(trio: Trio) -> None:
    """Proves that a silence made at one replica is known to the others, which tell nobody either."""
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": "Silenced", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "a test",
        "comment": "of silences",
    }
    made = httpx.post(f"{trio.api(0)}/silences", json=silence, timeout=10).json()["silenceID"]

    for index in (1, 2):
        _await_silence(trio, index, made)
    trio.fire("Silenced")
    time.sleep(WAIT + 2 * TURN + 3)
    assert trio.hook.of("Silenced") == []
    for index in REPLICAS:
        (alert,) = httpx.get(f"{trio.api(index)}/alerts", params={"filter": 'alertname="Silenced"'}, timeout=10).json()
        assert alert["status"]["silencedBy"] == [made]


def test_one_notification_with_one_replica_away(trio: Trio) -> None:
    """Proves that when the replica whose turn is first is killed, an alert is still told, and once; and that the one
    that comes back with its volume is a member again and does not tell it another time."""
    (first,) = (index for index in REPLICAS if trio.gauge(index, "alertmanager_peer_position") == 0)
    others = [index for index in REPLICAS if index != first]
    trio.pods.kill(alertmanager.NAME, first)
    trio.fire("Survived", others)

    _eventually(lambda: trio.hook.of("Survived") != [], WAIT + 2 * TURN + 30, "a notification of those left")
    _eventually(lambda: all(trio.members(index) == 2 for index in others), 60, "two members")
    assert all(trio.gauge(index, "alertmanager_cluster_failed_peers") == 1 for index in others)

    trio.pods.start(alertmanager.NAME, first)
    _eventually(lambda: all(trio.members(index) == 3 for index in REPLICAS), 60, "three members again")
    trio.fire("Survived")
    time.sleep(WAIT + 2 * TURN + 3)
    assert trio.hook.of("Survived") == ["firing"]


def test_an_alert_on_lines_is_told_once(trio: Trio) -> None:
    """Proves that Loki's ruler tells every replica of an alert on log lines, which is told once."""
    trio.pods.start(loki.NAME)
    stream = {"app": "bakery", "service_name": "oven", "environment": "prod", "severity_text": "ERROR"}
    body = {"streams": [{"stream": stream, "values": [[str(time.time_ns()), "panic: runtime error: no flour"]]}]}
    pushed = httpx.post(f"{trio.pods.url(loki.NAME)}/loki/api/v1/push", json=body, timeout=30)
    assert pushed.status_code == 204, pushed.text

    def heard(index: int) -> bool:
        found = httpx.get(f"{trio.api(index)}/alerts", params={"filter": 'alertname="LogPanics"'}, timeout=10).json()
        return len(found) == 1

    for index in REPLICAS:
        _eventually(partial(heard, index), 60, f"the alert at {index}")
    _eventually(lambda: trio.hook.of("LogPanics") != [], 30, "a notification")
    time.sleep(2 * TURN + 3)
    assert trio.hook.of("LogPanics") == ["firing"]
