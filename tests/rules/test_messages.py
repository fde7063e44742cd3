"""What people read: a real Alertmanager's notifications by each channel, as they arrive."""

import email
import json
import socketserver
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml

from specs import alertmanager
from specs.messages import FILE, TEMPLATES
from tests.rules.real_alertmanager import fire, lay_out, running
from tests.specs.support import EVERY_RECEIVER, context, stack

ALERT = {
    "labels": {
        "alertname": "HighErrorRate",
        "severity": "critical",
        "app": "roadtrip",
        "service": "api",
        "environment": "prod",
        "cluster": "eu",
        "instance": "api:8000",
    },
    "annotations": {
        "summary": "Error Rate of roadtrip is too high",
        "description": "Error Rate is 7% <!channel> & more (limit 5%).",
        "runbook_url": "https://runbooks.example.com/HighErrorRate.md",
        "dashboard_url": "https://grafana.example.com/d/roadtrip-prod-overview",
    },
    "startsAt": "2026-01-02T03:04:05Z",
    "generatorURL": "https://prometheus.example.com/graph?g0.expr=up&g0.tab=1",
}
TITLE = "[FIRING:1] critical HighErrorRate of roadtrip/api (prod)"
WHERE = "critical HighErrorRate: roadtrip/api in prod, api:8000, since 2026-01-02 03:04:05 UTC"
RUNBOOK, DASHBOARD = (
    "https://runbooks.example.com/HighErrorRate.md",
    "https://grafana.example.com/d/roadtrip-prod-overview",
)
QUERY = "https://prometheus.example.com/graph?g0.expr=up&g0.tab=1"
HERE = "http://alerts.example.com/#/alerts?receiver=all"


@contextmanager
def _serving(server: socketserver.TCPServer) -> Generator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@contextmanager
def _http(arrived: dict[str, Any]) -> Generator[int]:
    """Takes JSON by HTTP; what arrives is found by its path."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            arrived.setdefault(self.path.strip("/"), json.loads(body))
            # PagerDuty says that it accepted, the others that it is well.
            self.send_response(202 if self.path == "/pagerduty" else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Be quiet."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Taker)) as port:
        yield port


@contextmanager
def _smtp(arrived: dict[str, Any]) -> Generator[int]:
    """Takes one mail by SMTP."""

    class Taker(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line.split()[0].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    arrived["email"] = email.message_from_bytes(b"".join(lines), policy=default)
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Taker)) as port:
        yield port


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one critical alert became, by channel."""
    root: Path = tmp_path_factory.mktemp("messages")
    found: dict[str, Any] = {}
    workload = stack(alerting={**EVERY_RECEIVER, "grouping": {"wait": "0s"}}).workload("alertmanager")
    config: dict[str, Any] = yaml.load(workload.files["alertmanager.yml"], Loader=yaml.CSafeLoader)
    with _http(found) as web, _smtp(found) as mail:
        channels = config["receivers"][0]
        channels["pagerduty_configs"][0]["url"] = f"http://127.0.0.1:{web}/pagerduty"
        relay = channels["email_configs"][0]
        relay |= {"smarthost": f"127.0.0.1:{mail}", "require_tls": False}
        # A login needs TLS, which is not what is proved here.
        del relay["auth_username"], relay["auth_password_file"]
        urls = {path: f"http://127.0.0.1:{web}/{path.rpartition('-')[2]}" for path in workload.secrets}
        config["receivers"] = [
            {"name": "team"} if receiver["name"] == "team" else receiver for receiver in config["receivers"]
        ]
        lay_out(root, config, {**urls, "secrets/all-pagerduty": "key", FILE: TEMPLATES})
        with running(root) as api:
            fire(api, [ALERT])
            deadline = time.monotonic() + 20
            while len(found) < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
    assert sorted(found) == ["email", "pagerduty", "slack", "webhook"], (root / "log").read_text(encoding="utf-8")
    return found


def test_slack(arrived: dict[str, Any]) -> None:
    """Proves what Slack shows: what and where in the title, the value, links that can be clicked, and no command that
    somebody wrote into a label."""
    (shown,) = arrived["slack"]["attachments"]

    assert arrived["slack"]["channel"] == "#alerts"
    assert (shown["title"], shown["title_link"], shown["fallback"]) == (TITLE, HERE, TITLE)
    assert shown["text"].strip() == (
        "*Error Rate of roadtrip is too high*\n"
        "Error Rate is 7% &lt;!channel&gt; &amp; more (limit 5%).\n"
        f"{WHERE}\n"
        f"<{RUNBOOK}|Runbook> · <{DASHBOARD}|Dashboard> · <{QUERY}|Query>"
    )


TEXT = (
    "Error Rate of roadtrip is too high\n"
    "Error Rate is 7% <!channel> & more (limit 5%).\n"
    f"{WHERE}\n"
    f"Runbook: {RUNBOOK}\n"
    f"Dashboard: {DASHBOARD}\n"
    f"Query: {QUERY}\n\n"
    f"Alertmanager: {HERE}\n"
)


def test_pagerduty(arrived: dict[str, Any]) -> None:
    """Proves what an incident says: severity, system, service, the whole text, and its links."""
    incident = arrived["pagerduty"]
    payload = incident["payload"]

    assert payload["summary"] == f"{TITLE}: Error Rate of roadtrip is too high"
    assert (payload["severity"], payload["class"], payload["component"], payload["group"]) == (
        "critical",
        "HighErrorRate",
        "api",
        "roadtrip",
    )
    assert (payload["custom_details"]["environment"], payload["custom_details"]["alerts"]) == ("prod", TEXT)
    assert incident["links"] == [{"href": RUNBOOK, "text": "Runbook"}, {"href": DASHBOARD, "text": "Dashboard"}]
    assert (incident["client"], incident["client_url"]) == ("Alertmanager", HERE)


def test_email(arrived: dict[str, Any]) -> None:
    """Proves subject and both bodies of a mail: plain text with its URLs, and HTML with links."""
    mail = cast("EmailMessage", arrived["email"])
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    shown = html.get_content()

    assert (mail["Subject"], mail["To"], mail["From"]) == (TITLE, "team@example.com", "stack@example.com")
    assert plain.get_content().replace("\r\n", "\n") == TEXT
    assert "<p>Error Rate is 7% &lt;!channel&gt; &amp; more (limit 5%).</p>" in shown
    assert f"<p>{WHERE}</p>" in shown
    for url, words in ((RUNBOOK, "Runbook"), (DASHBOARD, "Dashboard"), (QUERY.replace("&", "&amp;"), "Query")):
        assert f'<a href="{url}">{words}</a>' in shown
    assert f'<a href="{HERE}">Alertmanager</a>' in shown


def test_webhook(arrived: dict[str, Any]) -> None:
    """Proves that a webhook gets all of it as Alertmanager's JSON."""
    (alert,) = arrived["webhook"]["alerts"]

    assert (alert["labels"], alert["annotations"]) == (ALERT["labels"], ALERT["annotations"])
    assert (arrived["webhook"]["receiver"], arrived["webhook"]["status"]) == ("all", "firing")


def test_tickets_are_muted_and_pages_are_not(tmp_path: Path) -> None:
    """Proves that a mute time holds a warning back while a page of the same moment arrives, and that Alertmanager shows
    by which one."""
    arrived: dict[str, Any] = {}
    with _http(arrived) as web:
        receivers = {name: {"webhook": {"url": f"http://127.0.0.1:{web}/{name}"}} for name in ("pages", "tickets")}
        alerting = {
            "receivers": receivers,
            "routes": {"critical": ["pages"], "warning": ["tickets"]},
            "default": "pages",
            "grouping": {"wait": "0s", "interval": "1s"},
            "mute_times": {"always": [{"to": "12:00"}, {"from": "12:00"}]},
            "mute": {"warning": ["always"]},
        }
        config, _ = alertmanager.configuration(context(alerting=alerting), None)
        lay_out(tmp_path, config, {FILE: TEMPLATES})
        muted: dict[str, list[str]] = {}
        with running(tmp_path) as api:
            # Of two names, lest one silences the other.
            kinds = {"Page": "critical", "Ticket": "warning"}
            fire(api, [{"labels": {"alertname": name, "severity": each}} for name, each in kinds.items()])
            deadline = time.monotonic() + 20
            while not (muted.get("warning") and arrived) and time.monotonic() < deadline:
                groups: list[dict[str, Any]] = httpx.get(f"{api}/alerts/groups", timeout=30).json()
                alerts = [alert for group in groups for alert in group["alerts"]]
                muted = {alert["labels"]["severity"]: alert["status"]["mutedBy"] for alert in alerts}
                time.sleep(0.1)

    assert muted == {"critical": [], "warning": ["always"]}
    assert list(arrived) == ["pages"]
