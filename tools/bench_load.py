"""What the parts take under a known load, each from the configuration that a stack has: series, log lines, spans.

docs/sizing.md compares what is found here with the constants of `specs/sizing.py`.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from processes.home import Home
from processes.place import executable
from specs import collector, jaeger, loki, prometheus
from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tools.bench_programs import free_offset, running
from tools.bench_report import BenchError, Measured
from tools.bench_telemetry import PER_TARGET, lines_request, page, spans_request, values


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A load on the whole stack."""

    series: int
    lines: int
    """A second."""
    spans: int
    """A second."""

    def __str__(self) -> str:
        return f"{self.series:,} series, {self.lines:,} lines/s, {self.spans:,} spans/s" if self.series else "idle"


RATES = (
    Rate(series=0, lines=0, spans=0),
    Rate(series=20_000, lines=500, spans=250),
    Rate(series=100_000, lines=2_000, spans=1_000),
)
PARTS = (prometheus.NAME, loki.NAME, jaeger.NAME, collector.NAME)
_SETTLE_SECONDS = 45.0
_MEASURE_SECONDS = 45.0
_FLUSH_SECONDS = 20.0
_BLOCK_SERIES = 1_000
_BLOCK_SECONDS = 120.0
_BATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """What a part takes under a load."""

    memory: float
    """Its own memory in MB, without pages of files, which the kernel takes back when it wants them."""
    cores: float


def settings(offset: int) -> dict[str, Any]:
    """A process stack at its default intervals and nothing but its own parts."""
    return {"environment": "bench", "cluster": "bench", "runtime": "process", "port_offset": offset}


@contextmanager
def _targets(count: int, registry: Path) -> Generator[None]:
    """Targets with `count` series together, registered with Prometheus."""
    pages = {
        (target, turn): page(target, turn) for target in range(count // PER_TARGET) for turn in range(3)
    }  # made beforehand, so that the load is the parts' own

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = int(self.path.strip("/").partition("/")[0])
            body = pages[target, int(time.time() / 15) % 3]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        groups = [
            {
                "targets": [f"127.0.0.1:{server.server_port}"],
                "labels": {"__metrics_path__": f"/{target}/metrics", "app": "bench", "service": f"target-{target}"},
            }
            for target in range(count // PER_TARGET)
        ]
        beside = registry / "scrape" / "bench.new"
        beside.write_text(json.dumps(groups), encoding="utf-8")
        beside.rename(registry / "scrape" / "bench.json")
        try:
            yield
        finally:
            server.shutdown()


@dataclass
class Sent:
    """What was sent so far."""

    lines: int = 0
    line_bytes: int = 0
    spans: int = 0
    failed: str = ""
    """What the collector said when it refused something."""


def _sending(url: str, rate: Rate, sent: Sent, end: Event) -> None:
    """Send lines and spans at an even pace until `end`."""
    headers = {"Content-Type": "application/x-protobuf"}
    with httpx.Client(timeout=30, trust_env=False, headers=headers) as client:
        due = time.monotonic()
        while not end.wait(max(0.0, due - time.monotonic())):
            due += _BATCH_SECONDS
            now = time.time_ns()
            lines, spans = int(rate.lines * _BATCH_SECONDS), int(rate.spans * _BATCH_SECONDS)
            try:
                if lines:
                    body, size = lines_request(lines, sent.lines, now)
                    client.post(f"{url}/v1/logs", content=body).raise_for_status()
                    sent.lines, sent.line_bytes = sent.lines + lines, sent.line_bytes + size
                if spans:
                    client.post(f"{url}/v1/traces", content=spans_request(spans, now)).raise_for_status()
                    sent.spans += spans
            except httpx.HTTPError as problem:
                sent.failed = str(problem)


@contextmanager
def _load(url: str, rate: Rate, sent: Sent, registry: Path) -> Generator[None]:
    """Put the load on, and take it off."""
    end = Event()
    with _targets(rate.series, registry):
        sender = Thread(target=_sending, args=(url, rate, sent, end), daemon=True)
        sender.start()
        try:
            yield
        finally:
            end.set()
            sender.join(timeout=60)


def own_memory(pid: int) -> float:
    """Memory of a process in MB, without what it maps of files."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return (
        sum(int(kilobytes) for kilobytes in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", text, re.MULTILINE)) / 1024
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _taken(processes: Mapping[str, psutil.Process]) -> dict[str, Taken]:
    """The most memory, and the cores, that each part takes over some time."""
    before, began = {name: _cpu(process) for name, process in processes.items()}, time.monotonic()
    most = dict.fromkeys(processes, 0.0)
    while time.monotonic() - began < _MEASURE_SECONDS:
        for name, process in processes.items():
            most[name] = max(most[name], own_memory(process.pid))
        time.sleep(1)
    took = time.monotonic() - began
    return {name: Taken(most[name], (_cpu(process) - before[name]) / took) for name, process in processes.items()}


def disk(directory: Path) -> int:
    """Bytes that the files below `directory` really take: some programs make theirs longer than they are."""
    return sum(file.stat().st_blocks * 512 for file in _files(directory))


def _files(directory: Path) -> Iterator[Path]:
    return (Path(root) / name for root, _, names in os.walk(directory) for name in names)


def _own(url: str) -> dict[str, float]:
    """What Prometheus tells of itself, summed over labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What a load on the stack amounts to."""

    taken: Mapping[str, Taken]
    """By the part's name."""
    stored: Mapping[str, float]
    """Numbers of samples, lines and spans, and bytes of what they became."""


def _wal(stack: Stack, home: Home) -> tuple[float, float]:
    """Samples that Prometheus has taken in, and bytes of its write-ahead log."""
    url = f"http://{stack.context.addresses.outside(prometheus.NAME, prometheus.PORT)}"
    return _own(url)["prometheus_tsdb_head_samples_appended_total"], disk(home.data(prometheus.NAME) / "wal")


def _under(rate: Rate, stack: Stack, home: Home, say: Callable[[str], None]) -> Found:
    """What each part takes under `rate`."""
    outside, sent = stack.context.addresses.outside, Sent()
    own = f"http://{outside(prometheus.NAME, prometheus.PORT)}"
    with ExitStack() as programs:
        processes = {name: programs.enter_context(running(stack, name, home)) for name in PARTS}
        with _load(f"http://{outside(collector.NAME, collector.OTLP_HTTP)}", rate, sent, home.registry):
            time.sleep(_SETTLE_SECONDS)
            # The first scrape of a series costs more: it is behind us.
            samples, log = _wal(stack, home)
            taken = _taken(processes)
            samples_then, log_then = _wal(stack, home)
        if sent.failed:
            raise BenchError(f"the collector refuses: {sent.failed}")
        series = _own(own)["prometheus_tsdb_head_series"]
        if series < rate.series:
            raise BenchError(f"Prometheus has {series:.0f} of {rate.series} series")
        httpx.post(f"http://{outside(loki.NAME, loki.PORT)}/flush", timeout=60).raise_for_status()
        time.sleep(_FLUSH_SECONDS)
    for name, one in taken.items():
        say(f"{rate}: {name} takes {one.memory:.0f} MB and {one.cores:.2f} cores")
    stored = {
        "samples": samples_then - samples,
        "log": log_then - log,
        "lines": sent.lines,
        "line bytes": sent.line_bytes,
        "chunks": disk(home.data(loki.NAME) / "chunks"),
        "spans": sent.spans,
        "badger": disk(home.data(jaeger.NAME)),
    }
    return Found(taken, stored)


def block(directory: Path) -> float:
    """Bytes of a sample in a block of two hours, its part of the index included: counters that grow unevenly, and
    gauges."""
    start = int(time.time()) // 7200 * 7200 - 6 * 3600
    text = directory / "samples.txt"
    with text.open("w", encoding="utf-8") as file:
        for kind in ("counter", "gauge"):
            name = f"bench_{kind}" + ("_total" if kind == "counter" else "")
            file.write(f"# TYPE bench_{kind} {kind}\n")
            for number in range(_BLOCK_SERIES // 2):
                labels = f'{{handler="/api/v1/things/{number}",method="GET",instance="10.0.0.{number % 50}:8000"}}'
                file.writelines(
                    f"{name}{labels} {value} {start + turn * 15}\n" for turn, value in enumerate(values(kind, number))
                )
        file.write("# EOF\n")
    argv = [str(executable("promtool")), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text)]
    done = subprocess.run(
        [*argv, str(directory / "blocks")], capture_output=True, text=True, check=False, timeout=_BLOCK_SECONDS
    )
    if done.returncode:
        raise BenchError(f"promtool cannot make a block: {done.stderr.strip()}")
    metas = [json.loads(meta.read_text(encoding="utf-8")) for meta in (directory / "blocks").glob("*/meta.json")]
    return disk(directory / "blocks") / sum(int(meta["stats"]["numSamples"]) for meta in metas)


def _of_stored(found: Mapping[str, float], sample: float) -> Iterator[Measured]:
    for what, number in (
        ("a sample in a block of Prometheus", sample),
        ("a sample in Prometheus' write-ahead log", found["log"] / found["samples"]),
        ("a span in Jaeger's badger", found["badger"] / found["spans"]),
        ("a log line that was sent", found["line bytes"] / found["lines"]),
        ("a log line in a chunk of Loki", found["chunks"] / found["lines"]),
    ):
        yield Measured(what=what, values=(number,), unit="bytes")


def run(say: Callable[[str], None]) -> tuple[Measured, ...]:
    """Measure each load; nothing that ran for it is left."""
    found: dict[Rate, Found] = {}
    with tempfile.TemporaryDirectory(prefix="observability-bench-") as made:
        sample = block(Path(made))
    ports = {port.number for name in PARTS for port in _stack(0).workload(name).ports}
    for rate in RATES:
        with tempfile.TemporaryDirectory(prefix="observability-bench-") as made:
            found[rate] = _under(rate, _stack(free_offset(ports)), Home(Path(made) / "home"), say)
    return (
        *(
            Measured(what=f"{name}, {rate}: {what}", values=(number,), unit=unit)
            for name in PARTS
            for rate in RATES
            for what, number, unit in (
                ("memory", found[rate].taken[name].memory, "MB"),
                ("processors", found[rate].taken[name].cores, "cores"),
            )
        ),
        *_of_stored(found[RATES[-1]].stored, sample),
    )


def _stack(offset: int) -> Stack:
    return build(parse(Settings, settings(offset), file="bench", key=KEY), file="bench")
