"""The inbox of a process stack: takes Alertmanager's webhooks, shows them, and is the dead man's switch.

    python -m tools.inbox --host 127.0.0.1 --port 9099 --log FILE

POST /alerts   Alertmanager's webhook JSON; each notification becomes a line of FILE, which the collector follows
POST /beat     the Watchdog's beat
GET  /         what arrived, for people; /notifications the same as JSON; /runbooks/<alert>.md
GET  /metrics, /healthy
"""

import argparse
import html
import json
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

RUNBOOKS = Path(__file__).resolve().parent.parent / "docs" / "runbooks"
_KEPT = 500
_LARGEST = 8 * 2**20

NOTIFICATIONS = Counter("inbox_notifications", "Alerts that arrived in notifications.", ["status", "severity"])
BEAT = Gauge(
    "inbox_last_beat_timestamp_seconds", "When the Watchdog's beat last arrived; at first, when the inbox started."
)


@dataclass
class Inbox:
    """What arrived, newest first, and where it is written."""

    log: TextIO
    arrived: deque[dict[str, Any]] = field(default_factory=lambda: deque[dict[str, Any]](maxlen=_KEPT))
    lock: Lock = field(default_factory=Lock)
    beat: float = field(default_factory=time.time)
    """When the Watchdog's beat last arrived; at first, when the inbox started."""

    def take(self, body: dict[str, Any]) -> None:
        """Keep each alert of a notification, or none: then it raises KeyError, TypeError, ValueError or AttributeError,
        since it is not Alertmanager's JSON."""
        now = time.time()
        taken: list[dict[str, Any]] = []
        for alert in body["alerts"]:
            labels, annotations = dict(alert["labels"]), dict(alert["annotations"])
            taken.append(
                {
                    "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z",
                    "level": "info" if alert["status"] == "resolved" else labels.get("severity", "info"),
                    "message": f"{alert['status']}: {labels.get('alertname')}: {annotations.get('summary', '')}",
                    "service": "inbox",
                    "status": alert["status"],
                    "receiver": body.get("receiver"),
                    "starts_at": alert.get("startsAt"),
                    "ends_at": alert.get("endsAt"),
                    "labels": labels,
                    "annotations": annotations,
                }
            )
        with self.lock:
            for seen in taken:
                NOTIFICATIONS.labels(status=seen["status"], severity=seen["labels"].get("severity", "")).inc()
                self.arrived.appendleft(seen)
                self.log.write(json.dumps(seen) + "\n")
            self.log.flush()

    def page(self) -> str:
        """What arrived, as HTML."""
        rows = "".join(map(_row, list(self.arrived)))
        ago = time.time() - self.beat
        return (
            "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=10><title>Alerts</title>"
            "<style>body{font:15px/1.4 system-ui;margin:2em}table{border-collapse:collapse;width:100%}"
            "td,th{border-bottom:1px solid #ddd;padding:.4em .8em;text-align:left;vertical-align:top}"
            ".firing{background:#fde8e8}.resolved{color:#666}</style>"
            f"<h1>Alerts that arrived</h1><p>Dead man's switch: last beat {ago:.0f} s ago.</p>"
            f"<table><tr><th>When<th>Status<th>Severity<th>Alert<th>Instance<th>What<th>{rows}</table>"
            + ("" if rows else "<p>None so far.</p>")
        )


def _row(seen: dict[str, Any]) -> str:
    """A table row. The page is ours, the texts are others': all is escaped, and only http links are links."""
    labels, annotations = seen["labels"], seen["annotations"]
    cells = [
        seen["timestamp"],
        seen["status"],
        *(labels.get(name, "") for name in ("severity", "alertname", "instance")),
    ]
    summary, description = annotations.get("summary", ""), annotations.get("description", "")
    runbook = str(annotations.get("runbook_url", ""))
    link = f'<a href="{html.escape(runbook)}">runbook</a>' if runbook.startswith(("http://", "https://")) else ""
    return (
        f'<tr class="{html.escape(str(seen["status"]))}">'
        + "".join(f"<td>{html.escape(str(cell))}" for cell in cells)
        + f"<td>{html.escape(str(summary))}<br><small>{html.escape(str(description))}</small><td>{link}"
    )


class _Server(ThreadingHTTPServer):
    inbox: Inbox


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] - only this server makes it
    server_version = "inbox"

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit()):
            self._answer(400, "not a length\n", "text/plain")
            return
        if int(length) > _LARGEST:
            self._answer(413, "", "text/plain")
            return
        # Also where nobody wants it: closing with a body unread would cut the answer off.
        body = self.rfile.read(int(length))
        if self.path == "/beat":
            self.server.inbox.beat = time.time()
            self._answer(204, "", "text/plain")
        elif self.path == "/alerts":
            self._alerts(body)
        else:
            self._answer(404, "", "text/plain")

    def _alerts(self, body: bytes) -> None:
        try:
            self.server.inbox.take(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            self._answer(400, f"not Alertmanager's webhook JSON: {problem!r}\n", "text/plain")
        else:
            self._answer(204, "", "text/plain")

    def do_GET(self) -> None:
        inbox = self.server.inbox
        if self.path == "/":
            self._answer(200, inbox.page(), "text/html; charset=utf-8")
        elif self.path == "/notifications":
            self._answer(200, json.dumps(list(inbox.arrived)), "application/json")
        elif self.path == "/metrics":
            self._answer(200, generate_latest().decode(), CONTENT_TYPE_LATEST)
        elif self.path == "/healthy":
            self._answer(200, "ok\n", "text/plain")
        elif self.path.startswith("/runbooks/"):
            self._runbook(self.path.rpartition("/")[2])
        else:
            self._answer(404, "", "text/plain")

    def _runbook(self, name: str) -> None:
        page = RUNBOOKS / name
        if name.endswith(".md") and page.parent == RUNBOOKS and page.is_file():
            self._answer(200, page.read_text(encoding="utf-8"), "text/plain; charset=utf-8")
        else:
            self._answer(404, "no such runbook\n", "text/plain")

    def _answer(self, status: int, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: requests are counted, not logged."""


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="Takes alerts and shows them.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    args.log.parent.mkdir(parents=True, exist_ok=True)
    with args.log.open("a", encoding="utf-8") as log, _Server((args.host, args.port), _Handler) as server:
        server.inbox = Inbox(log)
        BEAT.set_function(lambda: server.inbox.beat)
        server.serve_forever()


if __name__ == "__main__":
    main()
