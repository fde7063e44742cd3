"""The command line of a stand-in, and its life: time passes, work is done, lines and spans are written."""

from __future__ import annotations

import argparse
import logging
import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from sample_app import serving
from sample_app.impersonation import levels, log_lines
from sample_app.impersonation.log_lines import LogLines
from sample_app.impersonation.pages import Pages
from sample_app.impersonation.simulation import Impersonation
from sample_app.impersonation.spans import told
from sample_app.impersonation.traffic import Traffic
from sample_app.logs import KEPT_FILES, MAX_BYTES
from sample_app.tracing import FLUSH_SECONDS, Tracing, TracingError
from specs import profile as profiles
from specs.model import SettingsError
from specs.profile import Profile

_BEAT: Final = 0.25
_VERSION: Final = "1.0.0"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that the command line decides."""

    system: str
    profile: Profile
    fail: tuple[str, ...]
    down: bool
    rate: float
    host: str
    port: int
    logs: Path | None
    environment: str
    seed: int


def troubles(system: str, profile: Profile) -> tuple[str, ...]:
    """Names of every alert that `--fail` accepts for a system: its own, and those on its log lines."""
    return (*levels.drivable(profile), *log_lines.accepted(system, profile))


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; a wrong one ends the process with status 2 and a usage line.

    Raises SettingsError for a system, or an alert of it, that does not exist.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sample_app", description="Stands in for a monitored system, by its profile alone."
    )
    add = parser.add_argument
    add("--system", required=True, help="name of the system, which becomes its label app")
    add("--profile", type=Path, metavar="FILE", help="its profile (default: systems/<system>.yaml)")
    add(
        "--fail",
        action="append",
        default=[],
        metavar="ALERT",
        help="drive this alert's signal beyond its limit; several times for several",
    )
    add("--down", action="store_true", help="listen, and answer nothing but 503")
    add("--rate", type=_positive, default=1.0, help="how many times the usual load (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8000, help="port to listen on, 0 for any free one (default: %(default)s)")
    add("--logs", type=Path, metavar="DIR", help="directory of its log files; made if missing (default: none)")
    add("--environment", default="local", help="deployment environment (default: %(default)s)")
    add("--seed", type=int, default=0, help="for another run of chance (default: %(default)s)")
    known = parser.parse_args(arguments)
    place: Path | None = known.profile
    if place is None:
        profile = profiles.find(known.system, None, file="--system", key=known.system)
    elif place.is_file():
        profile = profiles.read(place)
    else:
        raise SettingsError(f"--profile {place}: no such file")
    fail: list[str] = known.fail
    accepted = troubles(known.system, profile)
    for name in fail:
        if name.partition("@")[0] not in accepted:
            raise SettingsError(f"--fail {name}: no such alert of {known.system} (accepted: {', '.join(accepted)})")
    return Options(
        system=known.system,
        profile=profile,
        fail=tuple(fail),
        down=known.down,
        rate=known.rate,
        host=known.host,
        port=known.port,
        logs=known.logs,
        environment=known.environment,
        seed=known.seed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stand-in; return its exit status."""
    try:
        options = parse(arguments)
        in_logs = [name for name in options.fail if name in log_lines.TROUBLES]
        impersonation = Impersonation(
            options.system,
            profile=options.profile,
            fail=[name for name in options.fail if name not in in_logs],
            rate=options.rate,
            seed=options.seed,
            start=time.time(),
        )
        tracing = Tracing(
            f"{options.system}-{options.profile.first}",
            version=_VERSION,
            environment=options.environment,
            system=options.system,
        )
        lines = LogLines(options.system, options.profile, in_logs, options.seed)
        files = _Files(options.logs, lines.files)
        listener = serving.listen(options.host, options.port)
    except (SettingsError, TracingError, OSError) as error:
        print(f"sample-app cannot start: {error}", file=sys.stderr)
        return 2
    pages = Pages(impersonation=impersonation, down=options.down)
    life = _Life(pages, Traffic(options.profile, impersonation.levels, options.seed), lines, files, tracing)

    def started() -> None:
        trouble = ", ".join(options.fail) or ("down" if options.down else "well")
        print(f"{options.system} listens on {serving.url(listener)} ({trouble})", flush=True)
        if not options.down:
            life.start()

    try:
        serving.serve(pages.app(), listener, started)
    finally:
        life.end()
        tracing.close(FLUSH_SECONDS)
        files.close()
    return 0


class _Files:
    """Log files, each of which rotates."""

    def __init__(self, directory: Path | None, names: Sequence[str]) -> None:
        self._open: dict[str, RotatingFileHandler] = {}
        if directory is None:
            return
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            self._open[name] = RotatingFileHandler(
                directory / name, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
            )

    def write(self, name: str, line: str) -> None:
        if name in self._open:
            self._open[name].emit(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        for file in self._open.values():
            file.close()


class _Life(threading.Thread):
    """Does the system's work, a beat at a time."""

    def __init__(self, pages: Pages, traffic: Traffic, lines: LogLines, files: _Files, tracing: Tracing) -> None:
        super().__init__(name="life", daemon=True)
        self._pages = pages
        self._traffic = traffic
        self._lines = lines
        self._files = files
        self._tracing = tracing
        self._ended = threading.Event()

    def run(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(_BEAT):
            now = time.monotonic()
            self._beat(now - before)
            before = now

    def _beat(self, seconds: float) -> None:
        with self._pages.lock:
            self._pages.catch_up()
        for work in self._traffic.passed(seconds):
            at = time.time()
            traced = told(self._tracing.tracer, work, at)
            with self._pages.lock:
                self._pages.impersonation.observed(work.metric, work.labels, work.seconds, traced.trace_id)
            for name, line in self._lines.of(work, traced, at):
                self._files.write(name, line)
        for name, line in self._lines.passed(seconds, time.time()):
            self._files.write(name, line)

    def end(self) -> None:
        """Do no more work, and wait for what is being done."""
        self._ended.set()
        if self.is_alive():
            self.join()


def _positive(text: str) -> float:
    number = float(text)
    if not (number > 0 and math.isfinite(number)):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number
