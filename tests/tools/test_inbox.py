"""The inbox, as the process that a stack runs: what arrives is shown, logged and counted, and harms nobody."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tools import inbox as module
from tools import paths


@dataclass(frozen=True)
class Running:
    """An inbox and where it writes."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def raw(self, request: bytes) -> int:
        """Status of the answer to bytes that no library would send."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status

    def metric(self, name: str, **labels: str) -> float | None:
        """Value of a sample; None when there is none."""
        text = httpx.get(f"{self.url}/metrics", timeout=5).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if (sample.name, sample.labels) == (name, labels):
                    return float(sample.value)
        return None

    def notifications(self) -> list[dict[str, Any]]:
        """What arrived, as JSON."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/notifications", timeout=5).json()
        return found


@pytest.fixture
def inbox(tmp_path: Path) -> Generator[Running]:
    """Run an inbox of its own for each test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Running(port, tmp_path / "new" / "inbox.json")
    command = [sys.executable, "-m", "tools.inbox", f"--port={port}", f"--log={made.log}"]
    with subprocess.Popen(command, cwd=paths.ROOT, env={**os.environ, "TZ": "Asia/Tokyo"}) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    assert httpx.get(f"{made.url}/healthy", timeout=3).text == "ok\n"
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield made
        finally:
            process.send_signal(signal.SIGTERM)


def alert(status: str = "firing", **changes: Any) -> dict[str, Any]:
    """An alert as Alertmanager sends it."""
    return {
        "status": status,
        "labels": {"alertname": "ServiceDown", "severity": "critical", "instance": "127.0.0.1:9", "app": "shop"},
        "annotations": {
            "summary": "shop is down",
            "description": "It does not answer.",
            "runbook_url": "https://runbooks.example.com/ServiceDown.md",
        },
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    } | changes


def post(inbox: Running, *alerts: dict[str, Any]) -> None:
    """Send a notification as Alertmanager does."""
    body = {"version": "4", "receiver": "inbox", "status": "firing", "alerts": list(alerts)}
    answer = httpx.post(f"{inbox.url}/alerts", json=body, timeout=5)
    assert (answer.status_code, answer.text) == (204, "")


def test_an_alert_is_in_json_log_metrics_and_page(inbox: Running) -> None:
    """Proves that one notification is seen in all four places, newest first, with what it says."""
    sent = alert()
    post(inbox, sent)
    post(inbox, alert("resolved"))
    resolved, firing = inbox.notifications()
    at = firing.pop("timestamp")
    assert abs(time.time() - time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone) < 30
    assert firing == {
        "level": "critical",
        "message": "firing: ServiceDown: shop is down",
        "service": "inbox",
        "status": "firing",
        "receiver": "inbox",
        "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "0001-01-01T00:00:00Z",
        "labels": sent["labels"],
        "annotations": sent["annotations"],
    }
    assert (resolved["status"], resolved["level"]) == ("resolved", "info")
    logged = [json.loads(line) for line in inbox.log.read_text().splitlines()]
    assert logged == [{**firing, "timestamp": at}, resolved]
    for status in ("firing", "resolved"):
        assert inbox.metric("inbox_notifications_total", status=status, severity="critical") == 1
    page = httpx.get(inbox.url, timeout=5)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.index('<tr class="resolved">') < page.text.index('<tr class="firing">')
    for word in ("ServiceDown", "shop is down", "It does not answer.", "127.0.0.1:9", "critical"):
        assert word in page.text
    assert '<a href="https://runbooks.example.com/ServiceDown.md">runbook</a>' in page.text


def test_at_first_nothing_has_arrived(inbox: Running) -> None:
    """Proves that an empty inbox says so."""
    assert "<p>None so far.</p>" in httpx.get(inbox.url, timeout=5).text
    assert inbox.notifications() == []


def test_what_others_say_is_text(inbox: Running) -> None:
    """Proves that no label, annotation or status becomes markup of the page."""
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    names = ("alertname", "severity", "instance")
    texts = ("summary", "description")
    post(inbox, alert(evil, labels=dict.fromkeys(names, evil), annotations=dict.fromkeys(texts, evil)))
    page = httpx.get(inbox.url, timeout=5).text
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&gt;&lt;img src=x onerror=alert(1)&gt;"
    assert "<script" not in page
    assert "<img" not in page
    assert page.count(escaped) == 1 + 1 + len(names) + len(texts)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//example.com", ""],
)
def test_only_web_addresses_are_links(inbox: Running, url: str) -> None:
    """Proves that a runbook which is no http address is no link, so that a click runs nothing."""
    post(inbox, alert(annotations={"summary": "s", "runbook_url": url}))
    page = httpx.get(inbox.url, timeout=5).text
    assert "<a " not in page
    assert "href" not in page.partition("<table>")[2]


def test_a_link_cannot_be_broken_out_of(inbox: Running) -> None:
    """Proves that quotes in a runbook's address stay within it."""
    post(inbox, alert(annotations={"runbook_url": 'https://example.com/"onclick="alert(1)'}))
    assert '<a href="https://example.com/&quot;onclick=&quot;alert(1)">runbook</a>' in httpx.get(inbox.url).text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"7", b'"alerts"', b"\xff\xfe", b"{}", b'{"alerts": 7}', b'{"alerts": [7]}',
        b'{"alerts": [{}]}', b'{"alerts": [{"status": "firing", "labels": 7, "annotations": {}}]}',
        b'{"alerts": [{"status": "firing", "labels": ["x"], "annotations": {}}]}', b"[" * 100000,
    ],
)  # fmt: skip
def test_what_is_no_notification_is_refused(inbox: Running, body: bytes) -> None:
    """Proves that bad JSON, and JSON of another shape, is answered with 400 and a sentence, and keeps nothing."""
    answer = httpx.post(f"{inbox.url}/alerts", content=body, timeout=10)
    assert answer.status_code == 400
    assert answer.text.startswith("not Alertmanager's webhook JSON: ")
    assert (inbox.notifications(), inbox.log.read_text()) == ([], "")


def test_a_notification_is_kept_whole_or_not_at_all(inbox: Running) -> None:
    """Proves that Alertmanager, which sends a refused notification again, does not so make its good alerts double."""
    answer = httpx.post(f"{inbox.url}/alerts", json={"alerts": [alert(), {"status": "firing"}]}, timeout=5)
    assert answer.status_code == 400
    assert (inbox.notifications(), inbox.log.read_text()) == ([], "")
    assert inbox.metric("inbox_notifications_total", status="firing", severity="critical") is None


def test_too_large_is_refused_unread(inbox: Running) -> None:
    """Proves that a body of more than 8 MiB is answered with 413 before any of it is taken in."""
    assert inbox.raw(b"POST /alerts HTTP/1.1\r\nContent-Length: 8388609\r\n\r\n") == 413


def test_a_large_one_is_taken(inbox: Running) -> None:
    """Proves that the limit is no obstacle to what Alertmanager may send at once."""
    post(inbox, *[alert(annotations={"description": "x" * 10000})] * 600)
    assert len(inbox.notifications()) == 500
    assert len(inbox.log.read_text().splitlines()) == 600


@pytest.mark.parametrize("length", [b"-1", b"many", b"1e3"])
def test_a_length_that_is_none_is_refused(inbox: Running, length: bytes) -> None:
    """Proves that nonsense in the header is answered, and nobody waits for the rest."""
    assert inbox.raw(b"POST /alerts HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n") == 400


@pytest.mark.parametrize("path", ["/nothing", "/alerts", "/metrics/", "/notifications/1", "/runbooks"])
def test_unknown_pages_are_not_found(inbox: Running, path: str) -> None:
    """Proves that only what is documented is there."""
    assert httpx.get(f"{inbox.url}{path}", timeout=5).status_code == 404


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthy", "/alerts/", "/beat/"])
def test_nothing_is_taken_elsewhere(inbox: Running, path: str) -> None:
    """Proves that a notification to another path is refused, so that a wrong webhook URL shows."""
    assert httpx.post(f"{inbox.url}{path}", json={"alerts": [alert()]}, timeout=5).status_code == 404
    assert inbox.notifications() == []


def test_runbooks_are_served(inbox: Running) -> None:
    """Proves that each alert's page is there, as the links of a process stack's alerts name it."""
    page = paths.ROOT / "docs" / "runbooks" / "ServiceDown.md"
    answer = httpx.get(f"{inbox.url}/runbooks/ServiceDown.md", timeout=5)
    assert (answer.status_code, answer.text) == (200, page.read_text(encoding="utf-8"))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert page.parent == module.RUNBOOKS


@pytest.mark.parametrize(
    "path",
    [
        "/runbooks/../../README.md", "/runbooks/../configuration.md", "/runbooks/%2e%2e/configuration.md",
        "/runbooks/..%2f..%2fREADME.md", "/runbooks//etc/passwd", "/runbooks/.md", "/runbooks/", "/runbooks/..",
        "/runbooks/None.md", "/runbooks/../../pyproject.toml", "/runbooks/\\..\\README.md",
    ],
)  # fmt: skip
def test_no_other_file_can_be_read(inbox: Running, path: str) -> None:
    """Proves that no spelling of a path leads out of the runbooks' directory."""
    assert inbox.raw(f"GET {path} HTTP/1.1\r\n\r\n".encode()) == 404


def test_the_beat_moves_its_gauge(inbox: Running) -> None:
    """Proves that the gauge is the start at first and the last beat then, which is what the alert compares."""
    at_first = inbox.metric("inbox_last_beat_timestamp_seconds")
    assert at_first is not None
    assert abs(time.time() - at_first) < 30
    before = time.time()
    assert httpx.post(f"{inbox.url}/beat", json={"alerts": []}, timeout=5).status_code == 204
    beat = inbox.metric("inbox_last_beat_timestamp_seconds")
    assert beat is not None
    assert before - 0.01 <= beat <= time.time()
    assert beat > at_first
    assert "last beat 0 s ago" in httpx.get(inbox.url, timeout=5).text
