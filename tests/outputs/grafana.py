"""A stand-in for Grafana's API of annotations: it keeps what it is asked, and answers what it is told to."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Grafana:
    """What is asked and answered."""

    port: int
    answers: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Status and body of the answers to come; when there are none any more, each is 200 and an id."""
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list[tuple[str, str, dict[str, Any]]])
    """Path, authorization and body of each request."""

    @property
    def url(self) -> str:
        """What the outputs say."""
        return f"http://127.0.0.1:{self.port}/api/annotations"


@contextmanager
def grafana() -> Generator[Grafana, None, None]:
    """One that listens on loopback as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append((self.path, self.headers["Authorization"], body))
            status, text = found.answers.pop(0) if found.answers else (200, json.dumps({"id": len(found.asked)}))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's name for it
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Grafana(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
