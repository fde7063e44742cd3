"""The command line of the sample app, as one typed value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Scenario(StrEnum):
    """What the app is made to do; everything but ``NORMAL`` goes wrong in one way."""

    NORMAL = "normal"
    ERRORS = "errors"
    SLOW = "slow"
    DATABASE_DOWN = "database-down"
    CRASH = "crash"
    LOG_BURST = "log-burst"
    LEAK = "leak"


@dataclass(frozen=True)
class Settings:
    """Everything the command line decides."""

    host: str
    port: int
    data: Path
    log: Path
    scenario: Scenario
    app: str
    environment: str
    version: str
    seed: int | None
    crash_after: float
    leak_limit_mb: int


_SCENARIO_HELP = """\
scenarios:
  normal         nothing goes wrong
  errors         about one shop request in four answers 500 with a logged exception
  slow           pricing is slow: 95 % of shop requests end within about 2 s
  database-down  the database cannot be opened: shop and health answer 503
  crash          the process exits with status 1 some 20 s after its start
  log-burst      about 50 error lines a second in the log
  leak           resident memory grows by about 1 MB/s, up to 200 MB

traces:
  Exported over OTLP/HTTP when OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set;
  OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override --app, --environment and --version.

in the place of a monitored system:
  --system NAME  expose everything of its profile instead of the shop; --system NAME --help has the options
"""


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line; a wrong one ends the process with status 2 and a usage line."""
    parser = argparse.ArgumentParser(
        prog="python -m sample_app",
        description="A small instrumented web shop.",
        epilog=_SCENARIO_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8000, help="port to listen on, 0 for any free one (default: %(default)s)")
    add("--data", type=Path, required=True, metavar="DIR", help="directory of the SQLite database; made if missing")
    add("--log", type=Path, metavar="FILE", help="file of JSON log lines (default: DIR/sample-app.log)")
    add(
        "--scenario",
        type=Scenario,
        choices=list(Scenario),
        default=Scenario.NORMAL,
        help="what to do wrong (default: %(default)s)",
    )
    add("--app", default="sample-app", help="service name in logs, metrics and traces (default: %(default)s)")
    add("--environment", default="local", help="deployment environment (default: %(default)s)")
    add("--version", default="1.0.0", help="service version (default: %(default)s)")
    add("--seed", type=int, help="seed of the fake users and of the scenario, for repeatable runs")
    add(
        "--crash-after",
        type=_positive,
        default=20.0,
        metavar="SECONDS",
        help="when the crash scenario crashes (default: %(default)s)",
    )
    add(
        "--leak-limit", type=int, default=200, metavar="MB", help="where the leak scenario stops (default: %(default)s)"
    )
    known = parser.parse_args(arguments)
    data: Path = known.data
    return Settings(
        host=known.host,
        port=known.port,
        data=data,
        log=known.log or data / "sample-app.log",
        scenario=known.scenario,
        app=known.app,
        environment=known.environment,
        version=known.version,
        seed=known.seed,
        crash_after=known.crash_after,
        leak_limit_mb=known.leak_limit,
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return port


def _positive(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return seconds
