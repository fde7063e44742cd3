"""What the tests of load tests share: something to load, and the command that does it."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tools import paths

DESCRIPTION: dict[str, Any] = {
    "paths": {
        "/health": {"get": {}},
        "/products": {"get": {"parameters": [{"name": "page", "in": "query"}]}},
        "/products/{id}": {"get": {}},
        "/search": {"get": {"parameters": [{"name": "q", "in": "query", "required": True}]}},
        "/orders": {"post": {}},
        "/tenants": {"parameters": [{"name": "tenant", "in": "header", "required": True}], "get": {}},
    }
}


@dataclass
class Target:
    """A real server on a port of its own, and what it was asked for."""

    url: str = ""
    seen: Counter[str] = field(default_factory=Counter[str])


@contextmanager
def serving(status: Callable[[int], int] = lambda _: 200, seconds: float = 0, missing: int = 0) -> Generator[Target]:
    """Serve answers that take `seconds`; `status` is told which request it is, and says what to answer.
    Of each answer, `missing` bytes never come."""
    target = Target()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet an answer: two would wait for each other.
        wbufsize = -1

        def do_GET(self) -> None:
            with lock:
                target.seen[self.path] += 1
                number = target.seen.total()
            time.sleep(seconds)
            body = json.dumps(DESCRIPTION if self.path == "/openapi.json" else {}).encode()
            self.send_response(200 if self.path == "/openapi.json" else status(number))
            self.send_header("Content-Length", str(len(body) + missing))
            self.send_header("Location", "http://192.0.2.1/")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = missing > 0

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        target.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield target
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(*arguments: str, otlp: str = "none") -> "subprocess.Popen[str]":
    """Start the command that `make load` calls."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "OTEL_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "tools.cli", "load", "--otlp", otlp, *arguments],
        cwd=paths.ROOT,
        env={**environment, "COLUMNS": "140"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]", seconds: float = 40) -> tuple[int, str, str]:
    """Wait for it; exit status, output and errors."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, err


def load(*arguments: str, otlp: str = "none") -> tuple[int, str, str]:
    """Run the command that `make load` calls; exit status, output and errors."""
    return ended(start(*arguments, otlp=otlp))


def eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until `look` finds something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found
