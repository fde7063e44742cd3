"""`make demo`: the sample app beside the stack, as a shop under a light load or in the place of a monitored system."""

import importlib
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from processes import supervision
from processes.home import of_stack
from specs.model import SettingsError, seconds
from specs.profile import SystemAlert
from specs.settings import RuntimeKind
from specs.signal import SPOKEN, Signal
from specs.stack import Stack
from specs.system import System
from tools import paths
from tools.engine import Engine, environment

APP = "sample-app"
PROJECT = paths.ROOT / "examples" / APP
PORT = 8000
SCENARIOS = ("normal", "errors", "slow", "database-down", "crash", "log-burst", "leak")
"""What can happen to the shop; to a system, each of its alerts can."""
OF_SYSTEMS = ("normal", "down")
"""What can happen to every system, beside its alerts."""
_LONGEST = 1800
_USUAL = 120.0
_UNTIL_TOLD = 150.0
"""From an alert that fires to whoever is told: two scrapes, an evaluation, and the time that Alertmanager gathers."""
_GROWTH = 3600.0
_WINDOW = 300.0
_LOOK = 3.0


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a demonstration shows."""

    scenario: str = "normal"
    run_time: str = ""
    """Like 90s or 2m; empty: two minutes, or as long as the scenario's alert takes."""
    system: str = ""
    """Monitored system; empty: the shop."""


def run(console: Console, declared: Stack, stack_engine: Engine, wishes: Wishes) -> None:
    """Deploy the app against the stack, load it, and show what the stack saw.

    Raises SettingsError for an unknown system or scenario, a run time that is none, or a stack that is not up.
    """
    stack = stack_engine.stack
    system = system_of(declared, wishes.system) if wishes.system else None
    refuse_unknown(system, wishes.scenario)
    length = length_of(system, wishes)
    if declared.context.settings.runtime is not RuntimeKind.PROCESS:
        raise SettingsError(f"STACK={stack}: the sample app deploys itself beside a process stack (accepted: local)")
    urls: Mapping[str, str] = declared.outputs(home=str(of_stack(stack).path))["urls"]
    refuse_absent(stack, urls)
    port = PORT + declared.context.settings.port_offset
    _deploy(_engine(stack_engine), stack, system, wishes.scenario, port)
    url = f"http://127.0.0.1:{port}"
    if system is not None:
        console.print(
            f"{APP} stands in for {system.name} at {url} in scenario {wishes.scenario};"
            f" at most {length:g}s, Ctrl-C ends it early",
            highlight=False,
        )
        stand_in(console, urls, system, wishes, length)
        return
    console.print(
        f"{APP} runs at {url} in scenario {wishes.scenario}; load for {length:g}s, Ctrl-C ends it early",
        highlight=False,
    )
    subprocess.run(
        [
            sys.executable, "-m", "locust", "--locustfile", str(PROJECT / "locustfile.py"), "--headless",
            "--only-summary", "--users", "5", "--spawn-rate", "2", "--run-time", f"{length:.0f}s", "--host", url,
            "--exit-code-on-error", "0", "--loglevel", "WARNING",
        ],
        check=False,
    )  # fmt: skip
    console.print(_seen(urls))


def system_of(declared: Stack, name: str) -> System:
    """The system of that name. Raises SettingsError when the stack lists none."""
    for system in declared.systems:
        if system.name == name:
            return system
    known = ", ".join(system.name for system in declared.systems) or f"none: {declared.context.file} lists no systems"
    raise SettingsError(f"SYSTEM={name}: not a system of this stack (accepted: {known})")


def troubles(system: System) -> tuple[str, ...]:
    """Names of the alerts that the app can bring about in a system's place."""
    # The app is no part of the project: it is found where it runs from.
    if str(PROJECT) not in sys.path:
        sys.path.append(str(PROJECT))
    command = importlib.import_module("sample_app.impersonation.command")
    found: tuple[str, ...] = command.troubles(system.name, system.profile)
    return found


def refuse_unknown(system: System | None, scenario: str) -> None:
    """Raise SettingsError for what cannot happen to the system, or to the shop."""
    accepted = (*OF_SYSTEMS, *troubles(system)) if system else SCENARIOS
    levels = {f"{alert.name}@{alert.severity.value}" for alert in system.profile.alerts} if system else set[str]()
    if scenario not in accepted and scenario not in levels:
        raise SettingsError(f"SCENARIO={scenario}: no such scenario (accepted: {', '.join(accepted)})")


def _alerts(system: System, scenario: str) -> list[SystemAlert]:
    return [alert for alert in system.profile.alerts if alert.name == scenario.partition("@")[0]]


def length_of(system: System | None, wishes: Wishes) -> float:
    """Seconds that the demonstration takes. Raises SettingsError for a run time that is none."""
    if wishes.run_time:
        try:
            length = seconds(wishes.run_time) if wishes.run_time.rstrip("smh").isdigit() else 0
        except KeyError:
            length = 0
        if not 0 < length <= _LONGEST:
            raise SettingsError(f"RUN_TIME={wishes.run_time}: not a run time (accepted: like 90s or 2m, at most 30m)")
        return length
    if system is None or wishes.scenario == "normal":
        return _USUAL
    waits = [
        seconds(alert.for_) + _until_seen(system.signals[alert.signal]) for alert in _alerts(system, wishes.scenario)
    ]
    # Alerts of others, on log lines and on targets that are down, wait for a minute or two.
    return max(waits, default=_USUAL) + _UNTIL_TOLD


def _until_seen(signal: Signal) -> float:
    """Seconds until a signal that was driven from the start is beyond its limit."""
    if signal.growth:
        return _GROWTH
    # A rate is low until it fills its window; what is summed up over weeks comes within minutes.
    return min(seconds(signal.window), _WINDOW)


def _engine(stack_engine: Engine) -> Engine:
    return replace(stack_engine, stack="local", project=PROJECT)


def _deploy(engine: Engine, stack: str, system: System | None, scenario: str, port: int) -> None:
    config = {"scenario": scenario, "port": str(port), "stack": f"organization/observability/{stack}"}
    if system is not None:
        config["system"] = system.name
        if system.settings.profile is not None:
            config["profile"] = str(paths.ROOT / system.settings.profile)
    engine.ready()
    done = engine.work(
        "up", "--yes", "--skip-preview", "--suppress-outputs",
        *(word for key, value in config.items() for word in ("--config", f"{APP}:{key}={value}")),
    )  # fmt: skip
    if done.returncode:
        raise SettingsError(f"the sample app did not come up (its log: {of_stack(APP).log(APP)})")


def refuse_absent(stack: str, urls: Mapping[str, str]) -> None:
    """Raise SettingsError when no Prometheus answers."""
    try:
        httpx.get(f"{urls['prometheus']}/-/ready", timeout=3).raise_for_status()
    except httpx.HTTPError:
        raise SettingsError(f"STACK={stack}: not up (make up STACK={stack} brings it up)") from None


def _query(prometheus: str, promql: str) -> list[tuple[Mapping[str, str], float]]:
    """Labels and value of each series; none when Prometheus does not answer."""
    try:
        answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": promql}, timeout=5).json()
        return [(entry["metric"], float(entry["value"][1])) for entry in answer["data"]["result"]]
    except (httpx.HTTPError, KeyError, ValueError):
        return []


def _table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", show_header=bool(columns), box=None, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def _seen(urls: Mapping[str, str]) -> Table:
    """What the stack knows of the shop by now, and where to look further."""
    requests = f'http_requests_total{{app="{APP}"}}'
    failed = f'http_requests_total{{app="{APP}", status=~"5.."}}'
    buckets = f'http_request_duration_seconds_bucket{{app="{APP}"}}'
    figures = {
        "requests per second": f"sum(rate({requests}[1m]))",
        "share of 5xx": f"sum(rate({failed}[1m])) / sum(rate({requests}[1m]))",
        "p95, seconds": f"histogram_quantile(0.95, sum by (le) (rate({buckets}[1m])))",
    }
    made = _table("what the stack saw")
    for name, promql in figures.items():
        made.add_row(name, ", ".join(f"{value:.3g}" for _, value in _query(urls["prometheus"], promql)) or "none")
    alerts = _query(urls["prometheus"], f'ALERTS{{app="{APP}"}}')
    made.add_row("alerts", ", ".join(f"{of['alertname']} {of['alertstate']}" for of, _ in alerts) or "none")
    _further(made, urls, APP, APP)
    return made


def _further(made: Table, urls: Mapping[str, str], app: str, service: str) -> None:
    """Where to look further: as many more columns as the table has stay empty."""
    made.add_row("traces", f"{urls['jaeger']}/search?service={service}")
    made.add_row("logs", f"logcli --addr={urls['loki']} query '{{app=\"{app}\"}}'")
    made.add_row("alerts that arrived", urls.get("inbox", urls["alertmanager"]))


def stand_in(console: Console, urls: Mapping[str, str], system: System, wishes: Wishes, length: float) -> None:
    """Wait until the scenario's alert was told to somebody, or as long as it takes; then show what the stack saw."""
    wanted = "ServiceDown" if wishes.scenario == "down" else wishes.scenario.partition("@")[0]
    deadline = time.monotonic() + length
    # A length that was asked for is kept; else it ends with what it is to show.
    until_told = not wishes.run_time and wanted != "normal"
    try:
        with console.status(f"{system.name}: {wishes.scenario}"):
            while time.monotonic() < deadline and not (until_told and wanted in arrived(urls, system.name)):
                time.sleep(_LOOK)
    except KeyboardInterrupt:
        # What was seen until then is shown.
        pass
    console.print(measured(urls["prometheus"], system))
    console.print(told(urls, system))
    console.print(f"{APP} keeps running; make demo-stop ends it", highlight=False)


def measured(prometheus: str, system: System) -> Table:
    """The signals of the system's alerts: value, limit, and what became of the alert."""
    made = _table(f"what the stack measures of {system.name}", "signal", "value", "limit", "alert", "state")
    states = {
        (of["alertname"], of.get("severity", "")): of["alertstate"]
        for of, _ in sorted(
            _query(prometheus, f'ALERTS{{app="{system.name}"}}'), key=lambda found: found[0]["alertstate"], reverse=True
        )
    }
    for alert in system.profile.alerts:
        signal = system.signals[alert.signal]
        values = [value for _, value in _query(prometheus, signal.expr(system.scope))]
        above = alert.below is None
        limit = alert.above if above else alert.below
        worst = (max if above else min)(values, default=None)
        unit = SPOKEN[signal.unit][1]
        made.add_row(
            signal.title,
            "none" if worst is None else f"{worst:.4g}{unit}",
            f"{'above' if above else 'below'} {limit:g}{unit}",
            f"{alert.name} ({alert.severity.value})",
            states.get((alert.name, alert.severity.value), "quiet"),
        )
    return made


def told(urls: Mapping[str, str], system: System) -> Table:
    """Alerts of the system that Alertmanager holds, and who is told; then where to look further."""
    made = _table("who was told", "alert", "receivers")
    for alert in _held(urls["alertmanager"], system.name):
        labels = alert["labels"]
        silent = "" if alert["status"]["state"] == "active" else f" ({alert['status']['state']})"
        receivers = ", ".join(receiver["name"] for receiver in alert["receivers"])
        made.add_row(f"{labels['alertname']} ({labels.get('severity', '')})", f"{receivers}{silent}")
    if not made.row_count:
        made.add_row("none", "")
    _further(made, urls, system.name, f"{system.name}-{system.profile.first}")
    return made


def _held(alertmanager: str, app: str) -> list[dict[str, Any]]:
    """Active alerts of an app, those on log lines too; none when Alertmanager does not answer."""
    try:
        answer = httpx.get(f"{alertmanager}/api/v2/alerts", params={"filter": f'app="{app}"'}, timeout=5)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return []
    return found


def arrived(urls: Mapping[str, str], app: str) -> set[str]:
    """Names of the alerts of an app that somebody was told of: by the inbox where there is one, else what Alertmanager
    holds."""
    if "inbox" not in urls:
        return {alert["labels"]["alertname"] for alert in _held(urls["alertmanager"], app)}
    try:
        notifications: list[dict[str, Any]] = httpx.get(f"{urls['inbox']}/notifications", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return set()
    firing = [seen for seen in notifications if seen["status"] == "firing" and seen["labels"].get("app") == app]
    return {seen["labels"]["alertname"] for seen in firing}


def stop(console: Console) -> None:
    """Take the app down; its data stays."""
    home = of_stack(APP)
    if not home.path.exists():
        return
    found, own = environment(RuntimeKind.PROCESS)
    engine = Engine(stack="local", project=PROJECT, environment=found, own=own)
    if engine.exists():
        engine.work("destroy", "--yes", "--skip-preview", "--suppress-outputs", capture=True)
    supervision.stop(home)
    console.print(f"{APP} is down", highlight=False)
