"""Targets that game days have scraped: each a page on a port of its own, registered with the stack."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

_PIECE = 2**20


@contextmanager
def served(page: Callable[[], bytes]) -> Generator[str]:
    """Answer every GET with `page`, on loopback; the address, `host:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # Whoever has read as much as it wants hangs up.
            with suppress(OSError):
                for start in range(0, len(body), _PIECE):
                    self.wfile.write(body[start : start + _PIECE])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def registered(
    registry: Path,
    name: str,
    address: str,
    *,
    entries: Sequence[Mapping[str, Any]] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Generator[None]:
    """Have the stack scrape `address` as application `name`, or as `entries` of a file of targets say. `labels` may
    tell how often, as `__scrape_interval__`."""
    plain = {"labels": {"app": name, "service": name, **(labels or {})}}
    text = json.dumps([{**entry, "targets": [address]} for entry in entries or [plain]])
    file = registry / "scrape" / f"{name}.json"
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.rename(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def exploded(series: int, width: int = 0) -> bytes:
    """A page with that many series of one metric, which differ in the label `id` alone, of `width` digits or more."""
    return "".join(f'exploded{{id="{number:0{width}d}"}} 1\n' for number in range(series)).encode()
