"""Whether what a stack declares is there and healthy, as a table."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx
import psutil
from rich import box
from rich.table import Table

from processes import supervision
from processes.home import Home
from specs import prometheus
from specs.stack import Stack
from specs.workload import Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """One part, as it is now."""

    name: str
    url: str
    """What a person opens; empty when it stays inside the stack's network."""
    summary: str
    healthy: bool
    words: str
    """`healthy`, or what is wrong."""
    memory: int = 0
    """Resident bytes; 0 when that cannot be told."""
    uptime: float = 0.0
    """Seconds; 0 when that cannot be told."""


def _ask(url: str) -> str:
    try:
        status = httpx.get(url, timeout=3).status_code
    except httpx.HTTPError as problem:
        return f"no answer ({type(problem).__name__})"
    return "healthy" if status == 200 else f"answers {status}"


def _process(home: Home | None, name: str) -> tuple[str, int, float]:
    """What supervisor says when that is bad, memory and uptime."""
    if home is None:
        return "", 0, 0.0
    found = supervision.state(home, name)
    if found is None:
        return "not running", 0, 0.0
    if found.name != "RUNNING":
        return found.name.lower(), 0, 0.0
    try:
        return "", int(psutil.Process(found.pid).memory_info().rss), time.time() - found.started
    except psutil.Error:
        return "gone", 0, 0.0


def scraped(stack: Stack) -> dict[str, bool]:
    """What the stack's Prometheus says of its targets: `host:port` → whether the last scrape worked."""
    url = f"http://{stack.context.addresses.outside(prometheus.NAME, prometheus.PORT)}/api/v1/targets"
    try:
        targets = httpx.get(url, params={"state": "active"}, timeout=3).json()["data"]["activeTargets"]
    except (httpx.HTTPError, ValueError, KeyError):
        return {}
    return {urlsplit(str(target["scrapeUrl"])).netloc: target["health"] == "up" for target in targets}


def _inside(stack: Stack, seen: Mapping[str, bool], workload: Workload) -> str:
    """Health of a part whose ports stay inside its network: Prometheus, which is inside, tells what it has `seen`."""
    addresses = [stack.context.addresses.dial(workload.name, port.number) for port in workload.ports]
    answers = [seen[address] for address in addresses if address in seen]
    if not answers:
        return "not scraped yet"
    return "healthy" if all(answers) else "cannot be scraped"


def _look(stack: Stack, home: Home | None, seen: Mapping[str, bool], workload: Workload) -> Health:
    outside = stack.context.addresses.outside
    words, memory, uptime = _process(home, workload.name)
    health, page = workload.port(workload.probe.port), workload.ports[0]
    if not words:
        reachable = home is not None or health.published
        words = (
            _ask(f"http://{outside(workload.name, health.number)}{workload.probe.path}")
            if reachable
            else _inside(stack, seen, workload)
        )
    return Health(
        name=workload.name,
        url=f"http://{outside(workload.name, page.number)}{workload.page}" if home or page.published else "",
        summary=workload.summary,
        healthy=words == "healthy",
        words=words,
        memory=memory,
        uptime=uptime,
    )


def look(stack: Stack, home: Home | None) -> list[Health]:
    """Every part of the stack, asked at the same time."""
    # Every port of a process can be asked: only other runtimes keep some inside.
    seen = scraped(stack) if home is None else {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(partial(_look, stack, home, seen), stack.workloads))


def table(found: list[Health], title: str, *, wide: bool) -> Table:
    """Part, URL and health; `wide`: what it takes and what it does, too."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for column in ("part", "url", "health"):
        made.add_column(column, no_wrap=True)
    if wide:
        for column in ("memory", "up"):
            made.add_column(column, no_wrap=True, justify="right")
        made.add_column("what it does", no_wrap=True)
    for health in found:
        made.add_row(
            health.name,
            health.url,
            f"[green]{health.words}[/]" if health.healthy else f"[red]{health.words}[/]",
            *(_details(health) if wide else []),
        )
    return made


def _details(health: Health) -> list[str]:
    memory = f"{health.memory / 2**20:.0f} MB" if health.memory else ""
    return [memory, _span(health.uptime) if health.uptime else "", health.summary]


def _span(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if days >= 2:
        return f"{days:.0f} d"
    if hours >= 2:
        return f"{hours:.0f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
