"""What many systems cost: rendering 5, 50 and 500 of them, and a real Prometheus that evaluates the rules of 50."""

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from processes.home import Home
from processes.place import executable
from specs import objectives, prometheus
from specs.exporters import blackbox
from specs.model import parse, seconds
from specs.part import APP
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from specs.system import System
from tools import paths
from tools.bench_programs import free_offset, running
from tools.bench_report import BenchError, Measured
from tools.scratch import Scratch

PROFILE = "wwmaa"
"""The typical system: each of the many is one like it."""
COUNTS = (5, 50, 500)
WATCHED = 50
"""Systems whose rules Prometheus evaluates."""
_EVALUATION_SECONDS = 15
_RENDER_SECONDS = 300.0
_DATA_SECONDS = 60.0
_MONTH_SECONDS = 30 * 24 * 3600
_HEAD_SECONDS = 3 * 3600
"""What Prometheus still has in memory, and no block may reach into."""
_EVENTS_SECONDS = 6 * 3600
"""How far back rules read events of every evaluation; further back they read averages."""
_BLOCK_SECONDS = 54 * 3600
"""The longest block that Prometheus makes itself."""
_BLOCK_TIMEOUT = 300.0

# In a process of its own: what a process took at most counts what its parent had when it was started.
_METER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
took = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([took, used.ru_utime + used.ru_stime, used.ru_maxrss * unit]))
sys.exit(done.returncode)
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What rendering took, the whole process."""

    seconds: float
    cpu: float
    """Seconds of the processors."""
    peak: float
    """The most memory, in MB."""


def settings(
    count: int, *, offset: int = 0, backend: str = "h{index}:8000", redis: str = "h{index}:9121"
) -> dict[str, Any]:
    """A process stack that watches `count` systems, at its default evaluation interval."""
    return {
        "environment": "bench",
        "cluster": "bench",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "5s",
        "evaluation_interval": f"{_EVALUATION_SECONDS}s",
        "exporters": {"node": {}, "blackbox": {}},
        "systems": {
            f"s{index}": {
                "profile": f"systems/{PROFILE}.yaml",
                "services": {"backend": [backend.format(index=index)]},
                "redis": {"main": {"exporter": redis.format(index=index)}},
            }
            for index in range(count)
        },
    }


def growth(costs: Mapping[int, float]) -> float:
    """What a further system costs between the greater two counts, as against the lesser two: 1 is linear, and what
    every render costs is no part of it."""
    few, some, many = sorted(costs)
    early = (costs[some] - costs[few]) / (some - few)
    return (costs[many] - costs[some]) / (many - some) / early


def metered(command: list[str], scratch: Scratch) -> Rendered:
    """What a command takes that is run in the copy. Raises BenchError with its words when it fails."""
    with subprocess.Popen(
        [sys.executable, "-c", _METER, *command],
        cwd=scratch.project,
        env=scratch.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=_RENDER_SECONDS)
        except BaseException:
            # The command is a child of the meter, and ends with it.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise BenchError(f"{' '.join(command)}: {err.strip()}")
    took, cpu, peak = json.loads(out)
    return Rendered(took, cpu, peak / 2**20)


def _renders(runs: int, directory: Path, say: Callable[[str], None]) -> dict[int, list[Rendered]]:
    """Rendering each count of systems by the command that people type."""
    found: dict[int, list[Rendered]] = {}
    for count in COUNTS:
        scratch = Scratch.make(directory / "project", f"s{count}", 0)
        scratch.write_settings(settings(count))
        out = directory / "rendered"
        command = [sys.executable, "-m", "tools.cli", "render", "--stack", scratch.name, "--out", str(out)]
        if count == COUNTS[0]:
            # The first compiles the copy's modules.
            metered(command, scratch)
        found[count] = [metered(command, scratch) for _ in range(runs)]
        for one in found[count]:
            say(f"render of {count} systems: {one.seconds:.2f} s ({one.cpu:.2f} s CPU), {one.peak:.0f} MB")
    return found


def _of_renders(found: Mapping[int, list[Rendered]]) -> tuple[Measured, ...]:
    few, some, many = COUNTS
    cpu = {count: statistics.median(one.cpu for one in each) for count, each in found.items()}
    peak = {count: statistics.median(one.peak for one in each) for count, each in found.items()}
    further = f"a further system, {some} to {many} as against {few} to {some}"
    return (
        *(
            Measured(
                what=f"render of {count} systems, the whole process",
                values=tuple(one.seconds for one in each),
                target=15 if count == many else None,
            )
            for count, each in found.items()
        ),
        *(
            Measured(what=f"render of {count} systems: peak memory", values=tuple(one.peak for one in each), unit="MB")
            for count, each in found.items()
        ),
        Measured(what=f"render: CPU time of {further}", values=(growth(cpu),), target=1.5, unit="times"),
        Measured(what=f"render: memory of {further}", values=(growth(peak),), target=1.5, unit="times"),
    )


class StandIn:
    """The pages of one system. They do for all of them: the labels of their targets tell the systems apart."""

    def __init__(self) -> None:
        # The app is no part of the project: it is found where it runs from.
        place = str(paths.ROOT / "examples" / "sample-app")
        if place not in sys.path:
            sys.path.append(place)
        from sample_app.impersonation import Impersonation

        self._system = Impersonation(PROFILE)
        self._began = time.monotonic()
        self._lock = Lock()

    def page(self, exporter: str = "") -> str:
        """The page of an exporter; none: the system's own."""
        with self._lock:
            self._system.advance(time.monotonic() - self._began - self._system.elapsed)
            return self._system.exporters(exporter) if exporter else self._system.exposition()


@contextmanager
def _serving(path: str, page: Callable[[], str], port: int = 0) -> Generator[str]:
    """Answer for `path`; the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == path
            body = page().encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def past(systems: Sequence[System], environment: str, events: range, averages: range) -> Iterator[str]:
    """OpenMetrics of the events of every objective of `systems`, nearly all of them good, a sample at each moment of
    `events`, and of their averages at each of `averages`."""
    # As uneven as real ones, so that they take as long to read.
    usual = {
        objectives.EVENTS: [10 + math.sin(step) for step in range(997)],
        objectives.BAD: [(1 + math.sin(step)) / 10000 for step in range(991)],
    }
    written = [(record, values, events) for record, values in usual.items()]
    written += [(objectives.AVERAGED[record], values, averages) for record, values in usual.items()]
    for record, values, moments in written:
        yield f"# TYPE {record} gauge\n"
        for system in systems:
            for name, objective in system.profile.objectives.items():
                labels = {
                    "app": system.name,
                    "environment": environment,
                    "service": objective.service or system.profile.first,
                    "slo": name,
                }
                series = record + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
                lines = zip(cycle(values), moments, strict=False)
                yield "".join([f"{series} {value} {moment}\n" for value, moment in lines])
    yield "# EOF\n"


def _month(stack: Stack, database: Path, beside: Path, say: Callable[[str], None]) -> None:
    """Fill `database` with what the longest windows of the objectives look back on."""
    end = int(time.time()) // _EVALUATION_SECONDS * _EVALUATION_SECONDS - _HEAD_SECONDS
    start = end + _HEAD_SECONDS - _MONTH_SECONDS
    environment = stack.context.settings.environment
    promtool = str(executable("promtool"))

    def fill(edge: int) -> None:
        last = min(edge + _BLOCK_SECONDS, end)
        events = range(max(edge, end - _EVENTS_SECONDS), last, _EVALUATION_SECONDS)
        averages = range(max(edge, start), last, int(seconds(objectives.PACE)))
        text, made = beside / f"{edge}.txt", beside / str(edge)
        with text.open("w", encoding="utf-8") as file:
            file.writelines(past(stack.systems, environment, events, averages))
        argv = [promtool, "tsdb", "create-blocks-from", f"--max-block-duration={_BLOCK_SECONDS // 3600}h"]
        argv += ["openmetrics", "--quiet", str(text), str(made)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_BLOCK_TIMEOUT)
        text.unlink()
        if done.returncode:
            raise BenchError(f"promtool cannot make a block: {done.stderr.strip()}")
        for block in made.glob("*/meta.json"):
            block.parent.rename(database / block.parent.name)

    database.mkdir(parents=True)
    began = time.monotonic()
    edges = range(start // _BLOCK_SECONDS * _BLOCK_SECONDS, end, _BLOCK_SECONDS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # What has not begun is left out when one fails.
        list(pool.map(fill, edges))
    say(f"a month of events of {len(stack.systems)} systems is there, after {time.monotonic() - began:.0f} s")


def _own(url: str) -> dict[str, dict[str, float]]:
    """What Prometheus tells of itself: metric → group of rules, or nothing → value."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[sample.labels.get("rule_group", "")] = sample.value
    return found


def _count(url: str, series: str) -> int:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": f"count({series})"}, timeout=30).raise_for_status()
    result = answer.json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def _await(url: str, series: str, wanted: int) -> None:
    deadline = time.monotonic() + _DATA_SECONDS
    while (found := _count(url, series)) != wanted:
        if time.monotonic() > deadline:
            raise BenchError(f"Prometheus has {found} of {wanted} {series} after {_DATA_SECONDS:.0f} s")
        time.sleep(1)


def _evaluate(cycles: int, directory: Path, say: Callable[[str], None]) -> tuple[Measured, ...]:
    """A real Prometheus with the rules of many systems, data for all of them, and a month of their objectives."""
    offset, stand_in = free_offset((prometheus.PORT, blackbox.EXPORTER.port)), StandIn()
    with ExitStack() as programs:
        backend = programs.enter_context(_serving("/metrics", stand_in.page))
        redis = programs.enter_context(_serving("/metrics", lambda: stand_in.page("redis")))
        probes = blackbox.EXPORTER.port + offset
        programs.enter_context(_serving("/probe", lambda: stand_in.page("blackbox"), probes))
        wanted = settings(WATCHED, offset=offset, backend=backend, redis=redis)
        stack = build(parse(Settings, wanted, file="bench", key=KEY), file="bench")
        home = Home(directory / "home")
        _month(stack, home.data(prometheus.NAME), directory, say)
        programs.enter_context(running(stack, prometheus.NAME, home))
        url = f"http://{stack.context.addresses.outside(prometheus.NAME, prometheus.PORT)}"
        # Every objective of every system: their rules have what they ask for.
        promises = sum(len(system.profile.objectives) for system in stack.systems)
        _await(url, "slo:events:rate5m", promises)
        _await(url, "redis_up == 1", WATCHED)
        _await(url, f'probe_success{{app!="{APP}"}} == 1', WATCHED)
        say(f"Prometheus has data of {WATCHED} systems; a minute more")
        time.sleep(60)
        lasted: list[list[float]] = []
        for number in range(cycles):
            if number:
                time.sleep(_EVALUATION_SECONDS)
            groups = _own(url)["prometheus_rule_group_last_duration_seconds"]
            longest = max(groups, key=lambda name: groups[name])
            lasted.append(list(groups.values()))
            name = longest.rpartition(";")[2]
            say(f"a cycle of all rules: {sum(lasted[-1]):.3f} s, the longest group {groups[longest]:.3f} s ({name})")
        own = _own(url)
        if failed := sum(own["prometheus_rule_evaluation_failures_total"].values()):
            raise BenchError(f"Prometheus could not evaluate rules {failed:.0f} times")
        reloads: list[float] = []
        for _ in range(cycles):
            began = time.perf_counter()
            httpx.post(f"{url}/-/reload", timeout=60).raise_for_status()
            reloads.append(time.perf_counter() - began)
    rules = sum(len(group.records) + len(group.alerts) for group in stack.groups)
    loaded = sum(own["prometheus_rule_group_rules"].values())
    if loaded != rules:
        raise BenchError(f"Prometheus has {loaded:.0f} of {rules} rules")
    series = own["prometheus_tsdb_head_series"][""]
    which = f"Prometheus with {WATCHED} systems"
    return (
        Measured(what=f"{which}: rules", values=(rules,), unit="rules"),
        Measured(what=f"{which}: series", values=(series,), unit="series"),
        Measured(what=f"{which}: all rules loaded anew", values=tuple(reloads)),
        Measured(
            what=f"{which}: a cycle after a month, its groups one after the other",
            values=tuple(map(sum, lasted)),
            target=3,
        ),
        Measured(what=f"{which}: the longest group of a cycle", values=tuple(map(max, lasted))),
    )


def run(runs: int, say: Callable[[str], None]) -> tuple[Measured, ...]:
    """Measure both; nothing that ran for it is left."""
    with tempfile.TemporaryDirectory(prefix="observability-bench-") as made:
        directory = Path(made)
        return (*_of_renders(_renders(runs, directory, say)), *_evaluate(runs, directory, say))
