"""The incidents of a game day: what is done, and which alert has to tell of it."""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from specs import alertmanager, prometheus, scrape_limits
from specs.exporters import node
from specs.model import SettingsError
from tools.demonstration import troubles
from tools.gameday.flood import flood
from tools.gameday.ground import Ground
from tools.gameday.pages import exploded, registered, served

SERIES = 1_000_000
RATE = 20_000
"""Log lines a second."""
_PAUSE = 0.15
"""Seconds between two requests of a light load."""
_GIB = 2**30

Happens = Callable[[Ground, "Wishes", list[str]], AbstractContextManager[None]]
"""Has it happen, until the end; what people should know of it beside goes to the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """How much of it."""

    flood_seconds: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """Something that goes wrong."""

    name: str
    says: str
    """What is done, in a line; and whether it is real or made up."""
    alert: str
    """The one that has to tell of it."""
    happens: Happens
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its alert carries: it names who is meant."""
    within: float = 90.0
    """Seconds until somebody has to be told, where alerts do not wait."""
    alone: bool = False
    """Whether it would disturb others."""
    silent: bool = False
    """Whether nobody can be told by Alertmanager: the missing beat tells."""


@contextmanager
def _shop(ground: Ground, name: str, scenario: str) -> Generator[None]:
    """The sample app in a scenario, under a light load."""
    ended = threading.Event()
    data = ground.home.path / name
    with ground.app(name, f"--app={name}", f"--scenario={scenario}", f"--data={data}") as url:

        def visit() -> None:
            with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
                while not ended.wait(_PAUSE):
                    try:
                        client.get("/products")
                    except httpx.HTTPError:
                        continue

        visitors = [threading.Thread(target=visit, daemon=True) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        try:
            yield
        finally:
            ended.set()
            for visitor in visitors:
                visitor.join()


@contextmanager
def _errors(ground: Ground, _wishes: Wishes, _notes: list[str]) -> Generator[None]:
    with _shop(ground, "gameday-errors", "errors"):
        yield


@contextmanager
def _slow(ground: Ground, _wishes: Wishes, _notes: list[str]) -> Generator[None]:
    with _shop(ground, "gameday-slow", "slow"):
        yield


def _stand_in(system: str, alert: str) -> Happens:
    """The sample app in the place of a system, whose `alert` it brings about."""

    @contextmanager
    def happens(ground: Ground, _wishes: Wishes, _notes: list[str]) -> Generator[None]:
        (known,) = (each for each in ground.stack.systems if each.name == system)
        troubles(known)
        # The app is found where it runs from, which the line above has seen to.
        from sample_app.impersonation.targets import targets

        labels = {"environment": ground.stack.context.settings.environment}
        found: list[dict[str, Any]] = [dict(entry) for entry in targets(system, known.profile, "", labels)]
        logs = ground.home.registry / "logs" / system
        with ground.app(system, f"--system={system}", f"--fail={alert}", f"--logs={logs}", entries=found):
            yield

    return happens


@contextmanager
def _full_disk(ground: Ground, _wishes: Wishes, _notes: list[str]) -> Generator[None]:
    where = '{mountpoint="/srv",fstype="ext4",device="/dev/gameday"}'
    page = f"node_filesystem_avail_bytes{where} {5 * _GIB}\nnode_filesystem_size_bytes{where} {100 * _GIB}\n"
    with served(page.encode) as address, registered(ground.home.registry, "gameday-disk", address):
        yield


@contextmanager
def _dead(ground: Ground, name: str) -> Generator[None]:
    """A part that is killed, and started again at the end."""
    ground.kill(name)
    try:
        yield
    finally:
        ground.start(name)


@contextmanager
def _dead_exporter(ground: Ground, _wishes: Wishes, _notes: list[str]) -> Generator[None]:
    with _dead(ground, node.NAME):
        yield


@contextmanager
def _dead_alertmanager(ground: Ground, _wishes: Wishes, notes: list[str]) -> Generator[None]:
    with _dead(ground, alertmanager.NAME):
        yield
        firing = sorted(
            {labels["alertname"] for labels in ground.firing() if labels.get("service") == alertmanager.NAME}
        )
        notes.append(f"in Prometheus, which can tell nobody: {', '.join(firing) or 'nothing'}")


@contextmanager
def _explosion(ground: Ground, _wishes: Wishes, notes: list[str]) -> Generator[None]:
    page = exploded(SERIES)
    name = "gameday-explosion"
    pace = {"__scrape_interval__": "15s", "__scrape_timeout__": "15s"}
    with served(lambda: page) as address, registered(ground.home.registry, name, address, labels=pace):
        yield
        head = ground.query("max_over_time(prometheus_tsdb_head_series[2m])")
        kept = ground.query("count(last_over_time(exploded[10m]))")
        notes.append(
            f"{_only(kept):.0f} of {SERIES:,} series kept; Prometheus had {_only(head):,.0f} series"
            f" and took {ground.peaks.get(prometheus.NAME, 0) / 2**20:.0f} MiB at most"
        )


def _only(found: Sequence[tuple[Mapping[str, str], float]]) -> float:
    """The value of the only series; 0: there is none."""
    return found[0][1] if found else 0.0


@contextmanager
def _flood(ground: Ground, wishes: Wishes, notes: list[str]) -> Generator[None]:
    ended = threading.Event()

    def pour() -> None:
        tally = flood(ground.otlp, "gameday-flood", RATE, wishes.flood_seconds, ended=ended)
        took = ", ".join(f"{part} {ground.peaks.get(part, 0) / 2**20:.0f} MiB" for part in ("collector", "loki"))
        notes.append(
            f"{tally.offered:,} lines in {tally.seconds:.0f} s: {tally.accepted:,} accepted,"
            f" {tally.offered - tally.accepted:,} not; {took} at most"
        )

    pouring = threading.Thread(target=pour, daemon=True)
    pouring.start()
    try:
        yield
    except BaseException:
        ended.set()
        raise
    finally:
        pouring.join()


INCIDENTS: Sequence[Incident] = (
    Incident(
        name="errors",
        says="the sample app answers every fourth request with a 500, under a light load (real)",
        alert="ApplicationErrors",
        labels={"app": "gameday-errors"},
        happens=_errors,
    ),
    Incident(
        name="slow-app",
        says="the sample app takes up to two seconds, under a light load (real)",
        alert="ApplicationSlow",
        labels={"app": "gameday-slow"},
        happens=_slow,
    ),
    Incident(
        name="slow-database",
        says="wwmaa's log tells of queries of many seconds (the sample app stands in)",
        alert="VerySlowQueries",
        labels={"app": "wwmaa"},
        happens=_stand_in("wwmaa", "VerySlowQueries"),
        within=120,
    ),
    Incident(
        name="queue-backlog",
        says="tasks of personal-assistant pile up (the sample app stands in)",
        alert="TaskQueueBackup",
        labels={"app": "personal-assistant"},
        happens=_stand_in("personal-assistant", "TaskQueueBackup"),
    ),
    Incident(
        name="full-disk",
        says="a disk with 5 % left (made up: a page in the words of node_exporter)",
        alert="DiskSpaceLow",
        labels={"app": "gameday-disk", "mountpoint": "/srv"},
        happens=_full_disk,
    ),
    Incident(
        name="dead-exporter",
        says="node_exporter is killed, and stays dead (real)",
        alert="ServiceDown",
        labels={"job": node.JOB},
        happens=_dead_exporter,
    ),
    Incident(
        name="cardinality",
        says=f"a target shows {SERIES:,} series (real)",
        alert=scrape_limits.OVER,
        labels={"app": "gameday-explosion"},
        happens=_explosion,
        within=120,
    ),
    Incident(
        name="log-flood",
        says=f"an application sends {RATE:,} log lines a second (real)",
        alert="CollectorLogFlood",
        labels={"receiver": "otlp"},
        happens=_flood,
        alone=True,
    ),
    Incident(
        name="dead-alertmanager",
        says="Alertmanager is killed, and stays dead (real)",
        alert=alertmanager.WATCHDOG,
        happens=_dead_alertmanager,
        within=150,
        alone=True,
        silent=True,
    ),
)
"""In the order in which they happen: those that do not disturb each other at once, then the others."""


def chosen(names: str) -> tuple[Incident, ...]:
    """The incidents of a list with commas; an empty one: all. Raises SettingsError for a name that is none."""
    known = {incident.name: incident for incident in INCIDENTS}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise SettingsError(
                f"INCIDENTS={name}: no such incident (accepted: {', '.join(known)}; several with commas)"
            )
    return tuple(incident for incident in INCIDENTS if not wanted or incident.name in wanted)
