"""``python -m sample_app``: run the shop until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from types import FrameType
from typing import Final

import uvicorn

from sample_app import logs
from sample_app.app import Shop, build
from sample_app.database import Database
from sample_app.metrics import Metrics
from sample_app.scenarios import Scenarios
from sample_app.settings import Settings, parse
from sample_app.tracing import Tracing, TracingError

# Together below three seconds: what is being answered first, then the traces of it.
_DRAIN_SECONDS: Final = 1
_FLUSH_SECONDS: Final = 1.2
_BACKLOG: Final = 2048


def main() -> int:
    """Run the app; return its exit status."""
    settings = parse()
    try:
        tracing = Tracing(settings)
        settings.data.mkdir(parents=True, exist_ok=True)
        metrics = Metrics()
        log_file = logs.configure(settings.log, tracing.service, metrics)
        listener = _listen(settings)
    except (TracingError, OSError) as error:
        print(f"sample-app cannot start: {error}", file=sys.stderr)
        return 2
    _serve(settings, tracing, metrics, log_file, listener)
    return 0


def _serve(
    settings: Settings, tracing: Tracing, metrics: Metrics, log_file: logs.JsonFileHandler, listener: socket.socket
) -> None:
    scenarios = Scenarios(settings)
    database = Database(scenarios.database_file(settings.data), metrics, tracing.tracer)
    app = build(Shop(settings, tracing.service, metrics, tracing.tracer, database, scenarios, log_file))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_DRAIN_SECONDS)
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises the signal again once it has drained; without handlers of our own the process
    # would then die of it, before its traces are flushed.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    port = int(listener.getsockname()[1])
    start = f"{tracing.service} {settings.version} listens on http://{host}:{port} (scenario {settings.scenario})"
    logging.getLogger("sample_app").info(start)
    print(start, flush=True)
    try:
        server.run(sockets=[listener])
    finally:
        tracing.close(_FLUSH_SECONDS)
        logging.getLogger("sample_app").info("stopped")


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only on sockets that have it: without, every
    # answer on a kept connection would wait 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}") from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
