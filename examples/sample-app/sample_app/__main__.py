"""``python -m sample_app``: run the shop, or a monitored system's stand-in, until it is told to stop."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Final

from sample_app import errors, logs, serving
from sample_app.app import Shop, build
from sample_app.database import Database
from sample_app.errors import ErrorsError
from sample_app.metrics import Metrics
from sample_app.scenarios import Scenarios
from sample_app.settings import Settings, parse
from sample_app.tracing import FLUSH_SECONDS, Tracing, TracingError

_STAND_IN: Final = "--system"


def main() -> int:
    """Run the app; return its exit status."""
    if any(argument.partition("=")[0] == _STAND_IN for argument in sys.argv[1:]):
        # Only here: the shop needs nothing of the project, a stand-in its profiles.
        from sample_app.impersonation import command

        return command.main()
    settings = parse()
    try:
        release = f"{settings.app}@{settings.version}"
        reporting = errors.configure(os.environ, release=release, deployment=settings.environment)
        tracing = Tracing(settings.app, version=settings.version, environment=settings.environment)
        settings.data.mkdir(parents=True, exist_ok=True)
        metrics = Metrics()
        log_file = logs.configure(settings.log, tracing.service, metrics)
        listener = serving.listen(settings.host, settings.port)
    except (ErrorsError, TracingError, OSError) as error:
        print(f"sample-app cannot start: {error}", file=sys.stderr)
        return 2
    _serve(settings, tracing, metrics, log_file, listener)
    if reporting:
        errors.flush(FLUSH_SECONDS)
    return 0


def _serve(
    settings: Settings, tracing: Tracing, metrics: Metrics, log_file: logs.JsonFileHandler, listener: socket.socket
) -> None:
    scenarios = Scenarios(settings)
    database = Database(scenarios.database_file(settings.data), metrics, tracing.tracer)
    app = build(Shop(settings, tracing.service, metrics, tracing.tracer, database, scenarios, log_file))
    start = f"{tracing.service} {settings.version} listens on {serving.url(listener)} (scenario {settings.scenario})"

    def started() -> None:
        logging.getLogger("sample_app").info(start)
        print(start, flush=True)

    try:
        serving.serve(app, listener, started)
    finally:
        tracing.close(FLUSH_SECONDS)
        logging.getLogger("sample_app").info("stopped")


if __name__ == "__main__":
    sys.exit(main())
