"""What the tests of the stack's pods look at it with: its answers, a receiver of its notifications, an application."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest

from tests.cluster import stack
from tests.cluster.cluster import Cluster
from tests.cluster.images import POD
from tests.cluster.stack import NAMESPACE, Rendered

READY_SECONDS = 300

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

    # Policies let Alertmanager dial the ports that receivers have.
    with ThreadingHTTPServer((address, 80), Receive) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Inbox(f"http://{address}/alerts", told)
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
        rendered = render(self.inbox, **more)
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


def render(inbox: Inbox, **more: Any) -> Rendered:
    """The stack that tells the inbox, with further settings."""
    return stack.render(stack.settings(**more), {"webhook": inbox.url})


def waiting(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """A pod that waits, in the namespace of the system `shop`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"containers": [{"name": "work", "image": POD}]},
    }


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


def await_ready(cluster: Cluster, rendered: Rendered) -> None:
    """Wait until each workload has all its pods, and no older ones; fails with what the cluster says of them."""
    for each in rendered.workloads:
        arguments = ("rollout", "status", f"{each['kind']}/{each['metadata']['name']}")
        place = f"--namespace={each['metadata']['namespace']}"
        said = cluster.control.kubectl(
            *arguments, place, f"--timeout={READY_SECONDS}s", check=False, seconds=READY_SECONDS + 30
        )
        if said.returncode != 0:
            seen = [cluster.control.kubectl("get", kind, "--all-namespaces").stdout for kind in ("pods", "events")]
            pytest.fail(f"{said.stdout}{said.stderr}\n" + "\n".join(seen)[-6000:])
