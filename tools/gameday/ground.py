"""The stack that a game day is played on: the programs of a stack file's alerting, beside any stack that runs."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import psutil

from processes.home import Home
from specs import alertmanager, collector, inbox, prometheus
from specs.model import parse
from specs.monitoring import ENVIRONMENT
from specs.settings import KEY, Settings, load, read_yaml
from specs.stack import Stack, build
from tools import paths, stacks
from tools.bench_programs import free_offset, running
from tools.bench_report import BenchError
from tools.gameday.pages import registered

SYSTEMS = ("personal-assistant", "wwmaa")
"""What the app stands in for."""
APP = paths.ROOT / "examples" / "sample-app"
_KEPT = ("routes", "services", "default", "backup", "stand_in")
"""What game days take of a stack's alerting: who is told. Receivers themselves are the inbox's pages."""
_START_SECONDS = 30.0


def _concerns(key: str, alerts: tuple[str, ...]) -> bool:
    """Whether the override `key`, `[system/]alert[@severity]`, is of one of `alerts`, and of a system that is there."""
    system, _, rest = key.rpartition("/")
    return rest.partition("@")[0] in alerts and system in ("", ENVIRONMENT, *SYSTEMS)


def settings(name: str, *, at_once: bool, alerts: tuple[str, ...], offset: int = 0) -> dict[str, Any]:
    """A process stack with the alerting of the stack `name`, without its receivers: nobody is told in earnest. With
    `at_once`, `alerts` do not wait until what they are about has lasted.

    Raises SettingsError for a stack file that is none.
    """
    file = paths.stack_file(name)
    load(file)
    asked = cast("dict[str, Any]", read_yaml(file)["config"])[KEY]
    alerting: dict[str, Any] = asked.get("alerting") or {}
    theirs: dict[str, dict[str, Any]] = alerting.get("overrides") or {}
    overrides = {key: value for key, value in theirs.items() if _concerns(key, alerts)}
    grouping: dict[str, Any] = alerting.get("grouping") or {}
    if at_once:
        overrides = {key: {**overrides.get(key, {}), "for": "0s"} for key in (*alerts, *overrides)}
        grouping = {"wait": "0s", "interval": "1s"}
    return {
        "environment": asked["environment"],
        "cluster": "game-day",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "2s",
        "evaluation_interval": "5s",
        "exporters": {"node": {}, "blackbox": {}},
        "grafana": False,
        "systems": {system: {} for system in SYSTEMS},
        "alerting": {
            **{key: alerting[key] for key in _KEPT if key in alerting},
            "overrides": overrides,
            "grouping": grouping,
        },
    }


def stack(name: str, *, at_once: bool, alerts: tuple[str, ...], offset: int = 0) -> Stack:
    """What these settings amount to. Raises SettingsError."""
    file = paths.stack_file(name).name
    found = settings(name, at_once=at_once, alerts=alerts, offset=offset)
    return build(parse(Settings, found, file=file, key=KEY), file=file)


def programs(name: str, alerts: tuple[str, ...]) -> list[str]:
    """Native programs that the stack's workloads take. Raises SettingsError."""
    return stacks.native(workload.program.binary for workload in stack(name, at_once=True, alerts=alerts).workloads)


@dataclass
class Ground:
    """A stack that runs, and what can be done to it."""

    stack: Stack
    home: Home
    peaks: dict[str, int] = field(default_factory=dict[str, int])
    """The most resident memory of each part, in bytes."""
    _parts: dict[str, tuple[ExitStack, psutil.Process]] = field(
        default_factory=dict[str, tuple[ExitStack, psutil.Process]]
    )
    ended: threading.Event = field(default_factory=threading.Event)
    """Set once the day is over, or broken off: nothing is started any more."""

    def start(self, name: str) -> None:
        """Run a part until it is healthy; nothing once the day has ended. Raises BenchError with its last words when it
        does not become so."""
        if self.ended.is_set():
            return
        kept = ExitStack()
        self._parts[name] = (kept, kept.enter_context(running(self.stack, name, self.home)))
        if self.ended.is_set():
            self.stop(name)

    def stop(self, name: str) -> None:
        """End a part, for good."""
        found = self._parts.pop(name, None)
        if found:
            found[0].close()

    def kill(self, name: str) -> None:
        """Kill a part, as the kernel does for want of memory; nobody starts it again."""
        kept, process = self._parts.pop(name)
        process.kill()
        kept.close()

    def end(self) -> None:
        """End everything."""
        self.ended.set()
        for name in list(self._parts):
            self.stop(name)

    def watch(self) -> None:
        """Note how much memory the parts take, until the end."""
        while not self.ended.wait(0.5):
            for name, (_, process) in list(self._parts.items()):
                try:
                    self.peaks[name] = max(self.peaks.get(name, 0), process.memory_info().rss)
                except psutil.Error:
                    continue

    def url(self, name: str, port: int) -> str:
        """Where a part listens."""
        return f"http://{self.stack.context.addresses.outside(name, port)}"

    @property
    def otlp(self) -> str:
        """Where applications send telemetry by HTTP."""
        return self.url(collector.NAME, collector.OTLP_HTTP)

    def notifications(self) -> list[dict[str, Any]]:
        """What arrived at the inbox, newest first; nothing when it does not answer."""
        return _json(f"{self.url(inbox.NAME, inbox.PORT)}/notifications") or []

    def firing(self) -> list[Mapping[str, str]]:
        """Labels of every alert that fires in Prometheus."""
        found = self.query('ALERTS{alertstate="firing"}')
        return [labels for labels, _ in found]

    def query(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and value of each series; none when Prometheus does not answer."""
        url = f"{self.url(prometheus.NAME, prometheus.PORT)}/api/v1/query"
        answer = _json(url, query=promql)
        found: list[dict[str, Any]] = answer["data"]["result"] if answer else []
        return [(each["metric"], float(each["value"][1])) for each in found]

    def beat(self) -> float:
        """Seconds since the Watchdog's beat last arrived."""
        found = self.query("time() - inbox_last_beat_timestamp_seconds")
        return found[0][1] if found else 0.0

    @contextmanager
    def app(self, name: str, *arguments: str, entries: list[dict[str, Any]] | None = None) -> Generator[str]:
        """Run the sample app with `arguments`, and have it scraped as `name`, or as `entries` say with `{address}` for
        where it listens; its base URL. Raises OSError when it does not start, or the day has ended."""
        if self.ended.is_set():
            raise OSError("the game day has ended")
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "PYTHONPATH": os.pathsep.join((str(APP), str(paths.ROOT))),
        }
        command = [sys.executable, "-m", "sample_app", "--port=0", *arguments]
        place = f"--environment={self.stack.context.settings.environment}"
        with subprocess.Popen(
            [*command, place],
            env=environment,
            cwd=self.home.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                url = _listens(process)
                address = url.removeprefix("http://")
                with registered(self.home.registry, name, address, entries=entries):
                    yield url
            finally:
                process.terminate()
                try:
                    process.wait(timeout=_START_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def _listens(process: "subprocess.Popen[str]") -> str:
    """The URL that the app names once it listens. Raises OSError when it ends before."""
    out = process.stdout
    said = out.readline() if out else ""
    _, _, rest = said.partition(" listens on ")
    if not rest:
        raise OSError(f"the sample app does not start: {said.strip()}")
    # What it says later must not fill the pipe.
    threading.Thread(target=out.read if out else str, daemon=True).start()
    return rest.split()[0]


def _json(url: str, **parameters: str) -> Any:
    try:
        return httpx.get(url, params=parameters, timeout=10, trust_env=False).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None


@contextmanager
def ground(name: str, directory: Path, alerts: tuple[str, ...]) -> Generator[Ground]:
    """Run everything but what this machine has no program for, in `directory`, and end it.

    Raises SettingsError for a stack file that is none, BenchError for a part that does not start.
    """
    ports = {port.number for workload in stack(name, at_once=True, alerts=alerts).workloads for port in workload.ports}
    offset = free_offset(ports)
    made = Ground(stack(name, at_once=True, alerts=alerts, offset=offset), Home(directory / "home"))
    made.home.make()
    watching = threading.Thread(target=made.watch, daemon=True)
    try:
        # Who is told has to be there before there is anything to tell.
        first = (inbox.NAME, alertmanager.NAME)
        for part in (*first, *sorted(made.stack.names - set(first))):
            made.start(part)
        watching.start()
        _await_beat(made)
        yield made
    finally:
        made.end()


def _await_beat(made: Ground) -> None:
    """Until the way to the inbox works: a game day on deaf ears proves nothing."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = made.query("sum(alertmanager_notifications_total) > 0")
        if found:
            return
        time.sleep(0.5)
    raise BenchError(f"the Watchdog's beat does not reach the inbox within {_START_SECONDS:.0f} s")
