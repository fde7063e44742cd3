"""Errors of the sample app: the real SDK sends them to an endpoint of Sentry's kind, without a single secret."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sample_app.errors import FILTERED, ErrorsError, configure, scrub
from sample_app_support import EXAMPLE, clean_environment, eventually, running


@dataclass
class Ingest:
    """What takes envelopes, as Sentry and GlitchTip do."""

    dsn: str
    paths: set[str] = field(default_factory=set[str])
    items: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    raw: list[str] = field(default_factory=list[str])

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Items of a kind that came in so far."""
        return [item for found, item in list(self.items) if found == kind]


@contextmanager
def ingesting() -> Generator[Ingest]:
    """Run an endpoint that remembers what was sent to it."""
    ingest = Ingest("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            packed = self.rfile.read(int(self.headers["Content-Length"]))
            encoding = self.headers.get("Content-Encoding", "identity")
            body = httpx.Response(200, headers={"Content-Encoding": encoding}, content=packed).content
            ingest.paths.add(self.path)
            ingest.raw.append(body.decode())
            lines = body.decode().splitlines()[1:]
            for head, payload in zip(lines[::2], lines[1::2], strict=True):
                ingest.items.append((json.loads(head)["type"], json.loads(payload)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ingest.dsn = f"http://public@127.0.0.1:{server.server_address[1]}/1"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield ingest
        finally:
            server.shutdown()
            thread.join()


SECRETS = ("hunter22", "eyJhbGciOiJIUzI1NiJ9", "sk-live-0123456789", "c2Vzc2lvbg")


def test_an_error_is_sent_without_its_secrets(tmp_path: Path) -> None:
    """Proves that an unhandled exception reaches the DSN with release and environment, that a transaction does, and
    that nothing of what the request brought along to identify itself goes with them."""
    with ingesting() as ingest:
        environment = {
            "ENABLE_SENTRY": "true",
            "SENTRY_DSN": ingest.dsn,
            "SENTRY_ENVIRONMENT": "staging",
            "SENTRY_RELEASE": "shop@4.5.6",
            "SENTRY_TRACES_SAMPLE_RATE": "1",
        }
        with running(tmp_path, "--scenario", "errors", environment=environment) as service:
            headers = {
                "Authorization": f"Bearer {SECRETS[1]}",
                "X-Api-Key": SECRETS[2],
                "Cookie": f"session={SECRETS[3]}",
            }
            asked = {"password": SECRETS[0], "token": SECRETS[1], "page": "7"}
            statuses = {service.client.get("/products", headers=headers, params=asked).status_code for _ in range(30)}
            error = eventually(lambda: next(iter(ingest.of("event")), None), "an event")
            transaction = eventually(lambda: next(iter(ingest.of("transaction")), None), "a transaction")

    assert statuses == {200, 500}
    assert ingest.paths == {"/api/1/envelope/"}
    for sent in (error, transaction):
        assert (sent["release"], sent["environment"]) == ("shop@4.5.6", "staging")
    assert error["exception"]["values"][-1]["type"]
    assert [secret for secret in SECRETS if any(secret in text for text in ingest.raw)] == []
    request = cast("dict[str, Any]", error["request"])
    given = {name.lower(): value for name, value in request["headers"].items()}
    assert (given["authorization"], given["x-api-key"]) == (FILTERED, FILTERED)
    # The rest is what one looks for in an error.
    assert "page=7" in request["query_string"]
    assert given["user-agent"].startswith("python-httpx")


def test_the_share_of_transactions_is_the_stacks(tmp_path: Path) -> None:
    """Proves that the rate of the environment is obeyed: at 0 errors arrive and no transactions."""
    with ingesting() as ingest:
        environment = {"ENABLE_SENTRY": "true", "SENTRY_DSN": ingest.dsn, "SENTRY_TRACES_SAMPLE_RATE": "0"}
        with running(tmp_path, "--scenario", "errors", "--version", "7.8.9", environment=environment) as service:
            for _ in range(30):
                service.client.get("/products")
            error = eventually(lambda: next(iter(ingest.of("event")), None), "an event")
            assert service.terminate() < 5

    assert (error["release"], error["environment"]) == ("sample-app@7.8.9", "local")
    assert ingest.of("transaction") == []
    assert ingest.of("session") == []


def test_nothing_is_sent_unless_asked(tmp_path: Path) -> None:
    """Proves that a DSN alone sends nothing."""
    with ingesting() as ingest:
        environment = {"ENABLE_SENTRY": "false", "SENTRY_DSN": ingest.dsn}
        with running(tmp_path, "--scenario", "errors", environment=environment) as service:
            for _ in range(20):
                service.client.get("/products")
            service.terminate()

    assert ingest.raw == []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "SENTRY_DSN: required with ENABLE_SENTRY=true, but missing (accepted: the DSN of a project)"),
        (
            {"SENTRY_DSN": "http://a@127.0.0.1/1", "SENTRY_TRACES_SAMPLE_RATE": "10%"},
            'SENTRY_TRACES_SAMPLE_RATE: "10%" is not a share (accepted: a number from 0 to 1)',
        ),
    ],
)
def test_what_cannot_be(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    """Proves that a bad environment is one line on standard error and status 2."""
    done = subprocess.run(
        [sys.executable, "-m", "sample_app", "--port", "0", "--data", str(tmp_path)],
        cwd=EXAMPLE,
        env=clean_environment({"ENABLE_SENTRY": "true", **environment}),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stderr) == (2, f"sample-app cannot start: {said}\n")


def test_bad_dsn() -> None:
    """Proves that a DSN that is none is named as such."""
    with pytest.raises(ErrorsError, match=r"^SENTRY_DSN: .+ \(accepted: the DSN of a project\)$"):
        configure({"ENABLE_SENTRY": "true", "SENTRY_DSN": "nowhere"}, release="a", deployment="b")


@pytest.mark.parametrize(
    ("value", "scrubbed"),
    [
        ({"Authorization": "Bearer abc", "Accept": "json"}, {"Authorization": FILTERED, "Accept": "json"}),
        ({"user": {"db_password": "x", "name": "a"}}, {"user": {"db_password": FILTERED, "name": "a"}}),
        ({"X-API-Key": "x", "apikey": "y"}, {"X-API-Key": FILTERED, "apikey": FILTERED}),
        ({"access_token": None}, {"access_token": None}),
        ([{"refresh_token": ["a", "b"]}, ("secret=x",)], [{"refresh_token": FILTERED}, [f"secret={FILTERED}"]]),
        ("login with password=hunter2 failed", f"login with password={FILTERED} failed"),
        ('{"token": "abc", "page": 7}', f'{{"token": "{FILTERED}", "page": 7}}'),
        ("{'Authorization': 'Bearer abc'}", f"{{'Authorization': '{FILTERED}'}}"),
        ("https://example.com/?api_key=abc&page=7", f"https://example.com/?api_key={FILTERED}&page=7"),
        ("sent Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", f"sent Bearer {FILTERED}"),
        ("nothing of the kind: 7", "nothing of the kind: 7"),
        (7, 7),
    ],
)  # fmt: skip
def test_scrubbed(value: object, scrubbed: object) -> None:
    """Proves that the four kinds of secrets go, by their names and out of texts, and that the rest stays."""
    assert scrub(value) == scrubbed
