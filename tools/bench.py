"""`make bench`: how long things take and how much memory they need, on a stack of its own beside any that runs.

    python -m tools.bench --runs 3
    python -m tools.bench --only scale

These are benchmarks, not tests: a missed target is said in red, and the exit status stays 0.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.console import Console

from processes import keeper, place, supervision
from processes.errors import ProcessError
from specs.model import SettingsError
from specs.settings import load
from specs.stack import Stack, build
from tools import bench_changes, bench_cluster, bench_scale, paths
from tools.bench_report import BenchError, Measured, Memory, Report, machine, write_document
from tools.native import NativeError
from tools.scratch import CommandError, Scratch

NAME = "bench"
OFFSET = 15000
DOCUMENT = paths.ROOT / "docs" / "benchmarks.md"
_IDLE_SECONDS = 60
_COMMAND_SECONDS = 300.0
_HEALTH_SECONDS = 120.0
_FAULT_SECONDS = 180.0
_INTERVAL_SECONDS = 15.0
_STACKS = ("local", "dev", "prod")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(width=None if sys.stdout.isatty() else 120)


class Part(StrEnum):
    """What can be measured by itself."""

    STACK = "stack"
    SCALE = "scale"
    CLUSTER = "cluster"
    LOAD = "load"


@dataclass
class Receiver:
    """A webhook receiver that remembers when an alert for an app first arrived."""

    url: str
    arrived: dict[str, float] = field(default_factory=dict[str, float])
    lock: Lock = field(default_factory=Lock)
    news: Event = field(default_factory=Event)

    def take(self, body: Mapping[str, Any]) -> None:
        """Note what a notification brings."""
        now = time.monotonic()
        with self.lock:
            for alert in body["alerts"]:
                if alert["status"] == "firing" and alert["labels"].get("alertname") == "ServiceDown":
                    self.arrived.setdefault(alert["labels"].get("app", ""), now)
        self.news.set()


@contextmanager
def receiver() -> Generator[Receiver]:
    """Run a webhook receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Receiver(url=f"http://127.0.0.1:{server.server_port}/alerts")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()


@dataclass
class Bench:
    """The stack under measurement, and what was found so far."""

    scratch: Scratch
    hook: Receiver
    say: Callable[[str], None]
    """Prints a line of progress."""

    def write(self) -> Stack:
        """The stack file: the shipped local stack at its default intervals, with a receiver of ours."""
        self.scratch.write_settings(
            {
                "environment": NAME,
                "cluster": NAME,
                "runtime": "process",
                "port_offset": OFFSET,
                "exporters": {"node": {}, "blackbox": {}},
                "alerting": {
                    "default": "bench",
                    "receivers": {"bench": {"webhook": {"url": self.hook.url}}},
                    "overrides": {"ServiceDown": {"for": "0s"}},
                },
            }
        )
        # Pulumi's SDK comes with it, which takes a second that a wrong option need not wait for.
        from components.runtimes.process import absent

        return build(load(self.scratch.file), file=self.scratch.file.name, absent=absent())

    def command(self, words: str, *arguments: str) -> float:
        """Seconds that a command of the project takes."""
        with console.status(words):
            started = time.monotonic()
            self.scratch.cli(*arguments, seconds=_COMMAND_SECONDS)
            took = time.monotonic() - started
        self.say(f"{words}: {took:.2f} s")
        return took

    def render(self, stack: str) -> float:
        """Seconds that rendering a shipped stack takes, the whole process."""
        out = self.scratch.project / "rendered" / stack
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, "-m", "tools.cli", "render", "--stack", stack, "--out", str(out)]
        started = time.monotonic()
        done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=60)
        took = time.monotonic() - started
        if done.returncode:
            raise BenchError(f"render of {stack}: {(done.stdout + done.stderr).strip()}")
        self.say(f"render of {stack}: {took:.2f} s")
        return took

    def start(self, stack: Stack) -> float:
        """Seconds from supervisor's start, with every program placed and none running, until every probe answers."""
        home, outside = self.scratch.home, stack.context.addresses.outside
        probes = [
            f"http://{outside(workload.name, workload.port(workload.probe.port).number)}{workload.probe.path}"
            for workload in stack.workloads
        ]
        with console.status("from supervisor's start to all healthy"), ThreadPoolExecutor(len(probes)) as pool:
            supervision.stop(home)
            started = time.monotonic()
            supervision.start(home)
            while not all(pool.map(place.is_healthy, probes)):
                if time.monotonic() - started > _HEALTH_SECONDS:
                    raise BenchError(f"not every part is healthy after {_HEALTH_SECONDS:.0f} s")
                time.sleep(0.05)
            took = time.monotonic() - started
        self.say(f"from supervisor's start to all healthy: {took:.2f} s")
        return took

    def memory(self, stack: Stack) -> tuple[Memory, ...]:
        """What each part takes after a minute in which nobody wants anything, its children included."""
        with console.status(f"idling for {_IDLE_SECONDS} s, then memory"):
            time.sleep(_IDLE_SECONDS)
        home = self.scratch.home
        states = {workload.name: supervision.state(home, workload.name) for workload in stack.workloads}
        pids = {name: state.pid for name, state in states.items() if state}
        running = keeper.supervisor(home)
        own = {"supervisor": running.pid if running else None, "keeper": keeper.pid_of(home)}
        found: list[Memory] = []
        for part, pid in {**pids, **own}.items():
            if not pid:
                raise BenchError(f"{part} does not run: its memory cannot be measured")
            family = [psutil.Process(pid)]
            family += family[0].children(recursive=True) if part in pids else []
            rss = sum(process.memory_info().rss for process in family) / 2**20
            shares = [_pss(process.pid) for process in family]
            pss = None if None in shares else sum(share for share in shares if share is not None)
            found.append(Memory(part, rss, pss))
        found.sort(key=lambda one: -one.rss)
        together = None if any(one.pss is None for one in found) else sum(one.pss or 0 for one in found)
        self.say(f"memory: {sum(one.rss for one in found):.0f} MB resident")
        return (*found, Memory("together", sum(one.rss for one in found), together))

    def fault(self, number: int, runs: int) -> float:
        """Seconds from registering a target that does not answer until its alert is at the webhook."""
        # The one before ended with the rules' interval: each begins in another part of that.
        time.sleep(_INTERVAL_SECONDS * number / runs)
        ghost = f"ghost-{number}"
        registered = self.scratch.home.registry / "scrape" / f"{ghost}.json"
        beside = registered.with_suffix(".new")
        labels = {"app": ghost, "service": ghost}
        beside.write_text(json.dumps([{"targets": ["127.0.0.1:9"], "labels": labels}]), encoding="utf-8")
        with console.status("from a fault to its alert at the webhook"):
            started = time.monotonic()
            beside.rename(registered)
            try:
                while ghost not in self.hook.arrived:
                    if time.monotonic() - started > _FAULT_SECONDS:
                        raise BenchError(f"no alert at the webhook after {_FAULT_SECONDS:.0f} s")
                    self.hook.news.wait(1)
                    self.hook.news.clear()
            finally:
                registered.unlink()
        took = self.hook.arrived[ghost] - started
        self.say(f"from a fault to its alert at the webhook: {took:.1f} s")
        return took

    def run(self, runs: int) -> tuple[tuple[Measured, ...], tuple[Memory, ...]]:
        """Measure everything."""
        stack = self.write()
        renders = {name: tuple(self.render(name) for _ in range(runs)) for name in _STACKS}
        changes = bench_changes.run(runs, self.say)
        self.command("setup (programs that are missing are built now)", "setup")
        cold: list[float] = []
        same: list[float] = []
        started: list[float] = []
        warm: list[float] = []
        for number in range(runs):
            if number:
                self.command("down with PURGE", "down", "--purge")
            cold.append(self.command("up from nothing", "up"))
            same.append(self.command("up without a change", "up"))
            started.append(self.start(stack))
            self.command("down", "down")
            warm.append(self.command("up after down, data kept", "up"))
        memory = self.memory(stack)
        faults = tuple(self.fault(number, runs) for number in range(runs))
        measured = (
            Measured(what="up from nothing: empty state, programs already built", values=tuple(cold)),
            Measured(what="up after down: data kept", values=tuple(warm)),
            Measured(what="up without a change", values=tuple(same), target=8),
            Measured(
                what="programs started: supervisor's start to every probe answering", values=tuple(started), target=30
            ),
            *(
                Measured(what=f"render of {name}, the whole process", values=values, target=1.5)
                for name, values in renders.items()
            ),
            *changes,
            Measured(what="idle memory of everything (RSS)", values=(memory[-1].rss,), target=700, unit="MB"),
            Measured(what="fault to webhook: `for: 0s`, default intervals", values=faults, target=75),
        )
        return measured, memory


def _pss(pid: int) -> float | None:
    """Memory of a process in MB, where what it shares counts by its share."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None


@contextmanager
def _ending_well() -> Generator[None]:
    """A wish to end, however it comes, is a KeyboardInterrupt."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _clean_up(scratch: Scratch, directory: Path) -> None:
    """Leave nothing, whatever happened; a second Ctrl-C does not stop this."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before: Sequence[Any] = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        with console.status("taking everything down"):
            try:
                scratch.cli("down", "--purge", check=False, seconds=120)
            except CommandError as problem:
                console.print(str(problem), style="yellow", markup=False)
            supervision.stop(scratch.home)
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _on_a_stack(runs: int, say: Callable[[str], None]) -> tuple[tuple[Measured, ...], tuple[Memory, ...]]:
    """Times and memory of a stack that is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="observability-bench-"))
    scratch = Scratch(project=directory / "project", name=NAME, offset=OFFSET)
    try:
        Scratch.make(directory / "project", NAME, OFFSET)
        with receiver() as hook:
            return Bench(scratch, hook, say).run(runs)
    finally:
        _clean_up(scratch, directory)


def measure(runs: int, parts: Collection[Part]) -> dict[str, Report]:
    """What is asked for, by part; nothing that ran for it is left."""
    began, found = time.monotonic(), dict[str, Report]()

    def say(words: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {words}", highlight=False)

    for part in parts:
        about, date, memory = machine(), time.strftime("%Y-%m-%d"), tuple[Memory, ...]()
        match part:
            case Part.STACK:
                measured, memory = _on_a_stack(runs, say)
            case Part.SCALE:
                measured = bench_scale.run(runs, say)
            case Part.CLUSTER:
                measured = bench_cluster.run(runs, say)
            case Part.LOAD:
                # It makes telemetry by packages that who measures something else can do without.
                from tools import bench_load

                measured = bench_load.run(say)
        found[part.value] = Report(machine=about, date=date, measured=measured, memory=memory)
    return found


@app.command()
def main(
    runs: Annotated[int, typer.Option(min=1, max=20, help="How often each time is measured.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the same to, as JSON.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the tables of docs/benchmarks.md.")] = False,
    only: Annotated[Part | None, typer.Option(help="A part by itself; none: everything.")] = None,
) -> None:
    """Measure the stack: times of up, of starting, of rendering and of an alert, memory, what many systems cost, what a
    stack on Kubernetes does, and what the parts take under load. Takes some minutes."""
    try:
        with _ending_well():
            reports = measure(runs, tuple(Part) if only is None else (only,))
        console.print()
        for report in reports.values():
            for table in report.tables():
                console.print(table)
                console.print()
            console.print(f"{report.date}; {report.machine}", highlight=False)
        if json_file is not None:
            found = {part: report.values() for part, report in reports.items()}
            json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if write:
            write_document(reports, DOCUMENT)
    except KeyboardInterrupt:
        console.print("interrupted; everything is cleaned up", style="yellow")
        raise typer.Exit(130) from None
    except (
        BenchError,
        CommandError,
        NativeError,
        OSError,
        ProcessError,
        SettingsError,
        httpx.HTTPError,
        subprocess.TimeoutExpired,
    ) as problem:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
