"""Whether what a stack declares is there and healthy, as a table."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import psutil
from rich import box
from rich.table import Table

from processes import supervision
from processes.home import Home
from specs import links, prometheus
from specs.stack import Stack
from specs.workload import Port, Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """One part, as what keeps it running sees it."""

    words: str
    """What is wrong, or `healthy`; empty: it runs, and whoever wants to know more has to ask it."""
    memory: int = 0
    """Resident bytes; 0 when that cannot be told."""
    uptime: float = 0.0
    """Seconds; 0 when that cannot be told."""


class Keeper(Protocol):
    """What keeps a stack's programs running: a supervisor, a container engine, or a cluster."""

    def running(self) -> Mapping[str, Running]:
        """Every part by its name."""
        ...

    def reaches(self, port: Port) -> bool:
        """Whether a part can be asked on its port from here."""
        ...

    def targets(self) -> Mapping[str, bool]:
        """What the stack's Prometheus says of its targets: `host:port` → whether the last scrape worked."""
        ...

    def forwarding(self) -> str:
        """How people reach URLs that are another machine's; empty: they work here."""
        ...


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


@dataclass(frozen=True, slots=True)
class Supervised:
    """Processes of this machine."""

    stack: Stack
    home: Home

    def running(self) -> Mapping[str, Running]:
        """As supervisor sees them."""
        return {workload.name: self._process(workload.name) for workload in self.stack.workloads}

    def _process(self, name: str) -> Running:
        found = supervision.state(self.home, name)
        if found is None:
            return Running(words="not running")
        if found.name != "RUNNING":
            return Running(words=found.name.lower())
        try:
            memory = int(psutil.Process(found.pid).memory_info().rss)
        except psutil.Error:
            return Running(words="gone")
        return Running(words="", memory=memory, uptime=time.time() - found.started)

    def reaches(self, port: Port) -> bool:
        """Every port of a process can be asked: only other runtimes keep some inside."""
        del port
        return True

    def targets(self) -> Mapping[str, bool]:
        """Nobody needs them where every part can be asked."""
        return {}

    def forwarding(self) -> str:
        """Every URL is this machine's."""
        return ""


def targets_url(stack: Stack, address: str = "") -> str:
    """Where the stack's Prometheus tells its targets; `address`: how it is dialled, from outside by default."""
    dialled = address or stack.context.addresses.outside(prometheus.NAME, prometheus.PORT)
    return f"http://{dialled}/api/v1/targets?state=active"


def told(answer: Any) -> dict[str, bool]:
    """Prometheus' answer about its targets: `host:port` → whether the last scrape worked; empty: it is no answer."""
    try:
        return {
            urlsplit(str(target["scrapeUrl"])).netloc: target["health"] == "up"
            for target in answer["data"]["activeTargets"]
        }
    except (KeyError, TypeError):
        return {}


def scraped(stack: Stack) -> dict[str, bool]:
    """What the stack's Prometheus says of its targets, asked from outside; empty when it does not answer."""
    try:
        return told(httpx.get(targets_url(stack), timeout=3).json())
    except (httpx.HTTPError, ValueError):
        return {}


def _inside(stack: Stack, seen: Mapping[str, bool], workload: Workload) -> str:
    """Health of a part whose ports stay inside its network: Prometheus, which is inside, tells what it has `seen`."""
    addresses = [stack.context.addresses.dial(workload.name, port.number) for port in workload.ports]
    answers = [seen[address] for address in addresses if address in seen]
    if not answers:
        return "not scraped yet"
    return "healthy" if all(answers) else "cannot be scraped"


def _look(
    stack: Stack, keeper: Keeper, found: Mapping[str, Running], seen: Mapping[str, bool], workload: Workload
) -> Health:
    outside = stack.context.addresses.outside
    running = found[workload.name]
    asked, page = workload.port(workload.probe.port), workload.ports[0]
    words = running.words or (
        _ask(f"http://{outside(workload.name, asked.number)}{workload.probe.path}")
        if keeper.reaches(asked)
        else _inside(stack, seen, workload)
    )
    shown = stack.context.on_one_machine or page.published
    base = links.public_url(stack.context, workload.name) or f"http://{outside(workload.name, page.number)}"
    return Health(
        name=workload.name,
        url=f"{base}{workload.page}" if shown else "",
        summary=workload.summary,
        healthy=words == "healthy",
        words=words,
        memory=running.memory,
        uptime=running.uptime,
    )


def look(stack: Stack, keeper: Keeper) -> list[Health]:
    """Every part of the stack, asked at the same time."""
    found, seen = keeper.running(), keeper.targets()
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(partial(_look, stack, keeper, found, seen), stack.workloads))


_WORDS = 36
"""Columns that a health has in any terminal."""


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
    made.add_column("part", no_wrap=True)
    # In a narrow terminal a URL is broken, and opens still; the end of a long name is what goes.
    made.add_column("url", overflow="fold")
    made.add_column("health", overflow="fold", min_width=min(_WORDS, max(len(health.words) for health in found)))
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
