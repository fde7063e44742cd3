"""`make demo`: the sample app beside the stack, under a light load, well or in trouble."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import httpx
from rich.console import Console
from rich.table import Table

from processes import supervision
from processes.home import of_stack
from specs.model import SettingsError, seconds
from specs.settings import RuntimeKind
from specs.stack import Stack
from tools import paths
from tools.engine import Engine, environment

APP = "sample-app"
PROJECT = paths.ROOT / "examples" / APP
PORT = 8000
SCENARIOS = ("normal", "errors", "slow", "database-down", "crash", "log-burst", "leak")
_LONGEST = 1800


def _engine(stack_engine: Engine) -> Engine:
    return replace(stack_engine, stack="local", project=PROJECT)


def run(console: Console, declared: Stack, stack_engine: Engine, scenario: str, run_time: str) -> None:
    """Deploy the app against the stack, load it, and show what the stack saw.

    Raises SettingsError for an unknown scenario, a run time that is none, or a stack that is not up.
    """
    stack = stack_engine.stack
    if scenario not in SCENARIOS:
        raise SettingsError(f"SCENARIO={scenario}: no such scenario (accepted: {', '.join(SCENARIOS)})")
    try:
        length = seconds(run_time) if run_time.rstrip("smh").isdigit() else 0
    except KeyError:
        length = 0
    if not 0 < length <= _LONGEST:
        raise SettingsError(f"RUN_TIME={run_time}: not a run time (accepted: like 90s or 2m, at most 30m)")
    if declared.context.settings.runtime is not RuntimeKind.PROCESS:
        raise SettingsError(f"STACK={stack}: the sample app deploys itself beside a process stack (accepted: local)")
    outputs = declared.outputs(home=str(of_stack(stack).path))
    _refuse_absent(stack, outputs["urls"])
    engine = _engine(stack_engine)
    engine.ready()
    done = engine.work(
        "up", "--yes", "--skip-preview", "--suppress-outputs",
        "--config", f"sample-app:scenario={scenario}",
        "--config", f"sample-app:port={PORT + declared.context.settings.port_offset}",
        "--config", f"sample-app:stack=organization/observability/{stack}",
    )  # fmt: skip
    if done.returncode:
        raise SettingsError(f"the sample app did not come up (its log: {of_stack(APP).log(APP)})")
    url = f"http://127.0.0.1:{PORT + declared.context.settings.port_offset}"
    console.print(
        f"{APP} runs at {url} in scenario {scenario}; load for {run_time}, Ctrl-C ends it early", highlight=False
    )
    subprocess.run(
        [
            sys.executable, "-m", "locust", "--locustfile", str(PROJECT / "locustfile.py"), "--headless",
            "--only-summary", "--users", "5", "--spawn-rate", "2", "--run-time", run_time, "--host", url,
            "--exit-code-on-error", "0", "--loglevel", "WARNING",
        ],
        check=False,
    )  # fmt: skip
    console.print(_seen(outputs["urls"]))


def _refuse_absent(stack: str, urls: Mapping[str, str]) -> None:
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


def _seen(urls: Mapping[str, str]) -> Table:
    """What the stack knows of the app by now, and where to look further."""
    requests = f'http_requests_total{{app="{APP}"}}'
    failed = f'http_requests_total{{app="{APP}", status=~"5.."}}'
    buckets = f'http_request_duration_seconds_bucket{{app="{APP}"}}'
    figures = {
        "requests per second": f"sum(rate({requests}[1m]))",
        "share of 5xx": f"sum(rate({failed}[1m])) / sum(rate({requests}[1m]))",
        "p95, seconds": f"histogram_quantile(0.95, sum by (le) (rate({buckets}[1m])))",
    }
    made = Table(title="what the stack saw", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, promql in figures.items():
        made.add_row(name, ", ".join(f"{value:.3g}" for _, value in _query(urls["prometheus"], promql)) or "none")
    alerts = _query(urls["prometheus"], f'ALERTS{{app="{APP}"}}')
    made.add_row("alerts", ", ".join(f"{of['alertname']} {of['alertstate']}" for of, _ in alerts) or "none")
    made.add_row("traces", f"{urls['jaeger']}/search?service={APP}")
    made.add_row("logs", f"logcli --addr={urls['loki']} query '{{app=\"{APP}\"}}'")
    made.add_row("alerts that arrived", urls.get("inbox", urls["alertmanager"]))
    return made


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
