"""A flood of log lines, on a real collector, Loki and Prometheus with the stack's own files."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import psutil
import pytest

from processes.home import Home
from specs import collector, loki, prometheus
from specs.model import parse, size_bytes
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tests.local.stacks import eventually
from tools.bench_programs import free_offset, running
from tools.gameday.flood import flood

APP = "noisy-shop"
RATE = 20_000
SECONDS = 60
PARTS = (prometheus.NAME, loki.NAME, collector.NAME)
LOKI_MEMORY = 768 * 2**20
"""A third of what lines of this rate take at most in production (docs/sizing.md)."""
_AT_ONCE = ("CollectorLogFlood", "CollectorRefusesData", "CollectorQueueFilling")
_OVERRIDES = {
    **{name: {"for": "0s"} for name in _AT_ONCE},
    # Each reads every line of the last minutes, again and again: most of the work, and not what this is about.
    **{alert.name: {"disabled": True} for group in loki.log_groups() for alert in group.alerts},
}


def _stack(offset: int) -> Stack:
    settings = {
        "environment": "test",
        "cluster": "ci",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "2s",
        "evaluation_interval": "2s",
        "alerting": {"overrides": _OVERRIDES},
    }
    return build(parse(Settings, settings, file="test", key=KEY), file="test")


@dataclass
class Flooded:
    """A collector that hands on to Loki, and a Prometheus that watches both."""

    stack: Stack
    home: Home
    kept: ExitStack
    peaks: dict[str, int] = field(default_factory=dict[str, int])
    """The most resident memory of each, in bytes."""
    ended: Event = field(default_factory=Event)

    def start(self, name: str) -> None:
        """Run a part, and note its memory until the end."""
        process = self.kept.enter_context(running(self.stack, name, self.home))
        watch = Thread(target=self._watch, args=(name, process), daemon=True)
        watch.start()
        self.kept.callback(watch.join)
        self.kept.callback(self.ended.set)

    def _watch(self, name: str, process: psutil.Process) -> None:
        while not self.ended.wait(0.2):
            self.peaks[name] = max(self.peaks.get(name, 0), process.memory_info().rss)

    def url(self, name: str, port: int) -> str:
        """Where a part listens."""
        return f"http://{self.stack.context.addresses.outside(name, port)}"

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Result of an instant query to Prometheus."""
        url = f"{self.url(prometheus.NAME, prometheus.PORT)}/api/v1/query"
        found: list[dict[str, Any]] = httpx.get(url, params={"query": promql}, timeout=20).json()["data"]["result"]
        return found

    def fired(self) -> set[str]:
        """Names of the alerts of the collector that fired since it runs."""
        found = self.query('last_over_time(ALERTS{alertstate="firing", service="collector"}[10m])')
        return {each["metric"]["alertname"] for each in found}

    def counted(self, prefix: str) -> float:
        """Sum of a counter or gauge of the collector about log lines, as it says itself."""
        text = httpx.get(f"{self.url(collector.NAME, collector.METRICS)}/metrics", timeout=20).text
        logs = [line for line in text.splitlines() if line.startswith(prefix) and "file_log" not in line]
        return sum(float(line.rpartition(" ")[2]) for line in logs)

    def drained(self) -> bool:
        """Whether nothing waits for Loki any more."""
        waiting: Mapping[str, float] = {"queue": self.counted('otelcol_exporter_queue_size{data_type="logs"')}
        return waiting["queue"] == 0

    def stored(self) -> int:
        """How many of the lines Loki has."""
        url = f"{self.url(loki.NAME, loki.PORT)}/loki/api/v1/query"
        query = f'sum(count_over_time({{app="{APP}"}}[15m]))'
        found = httpx.get(url, params={"query": query}, timeout=120).raise_for_status().json()["data"]["result"]
        return int(found[0]["value"][1]) if found else 0


@contextmanager
def _flooded(directory: Path) -> Generator[Flooded]:
    ports = {port.number for name in PARTS for port in _stack(0).workload(name).ports if port.protocol == "tcp"}
    with ExitStack() as kept:
        yield Flooded(stack=_stack(free_offset(ports)), home=Home(directory), kept=kept)


@pytest.mark.timeout(700)
def test_a_flood_is_taken_in_whole_and_in_bounded_memory(tmp_path: Path) -> None:
    """Proves that of 20,000 lines a second for a minute each that was accepted is in Loki, and none of them twice; that
    an alert tells of the flood; and that collector and Loki stay within their memory."""
    with _flooded(tmp_path) as made:
        for name in PARTS:
            made.start(name)
        tally = flood(made.url(collector.NAME, collector.OTLP_HTTP), APP, RATE, SECONDS)
        fired = made.fired()
        # This machine may be busy with other tests.
        eventually(made.drained, 400, "an empty queue")
        eventually(lambda: made.stored() == tally.accepted, 60, f"{tally.accepted} lines")
        print(tally, {name: f"{peak / 2**20:.0f} MiB" for name, peak in made.peaks.items()})

    # A busy machine is sent less; the printed line tells.
    assert RATE * SECONDS / 4 <= tally.offered <= RATE * SECONDS
    assert tally.accepted == tally.offered
    assert "CollectorLogFlood" in fired
    assert "CollectorDropsData" not in fired
    assert made.peaks[collector.NAME] < size_bytes(collector.MEMORY)
    assert made.peaks[loki.NAME] < LOKI_MEMORY


@pytest.mark.timeout(240)
def test_what_there_is_no_room_for_is_refused_counted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a collector whose queue is full while Loki is away refuses, counts what it refuses, and that alerts
    tell of both; and that Loki, once it is back, gets every line that was accepted."""
    monkeypatch.setattr(collector, "WAITING", 4 * 2**20)
    with _flooded(tmp_path) as made:
        for name in (prometheus.NAME, collector.NAME):
            made.start(name)
        tally = flood(made.url(collector.NAME, collector.OTLP_HTTP), APP, 5_000, 15, patience=2)
        assert 0 < tally.accepted < tally.offered
        assert tally.unanswered + tally.refused.total() > 0
        refused = tally.offered - tally.accepted
        eventually(lambda: made.counted("otelcol_receiver_refused_log_records") == refused, 20, f"{refused} refused")
        assert made.counted("otelcol_receiver_accepted_log_records") == tally.accepted
        eventually(lambda: {"CollectorRefusesData", "CollectorQueueFilling"} <= made.fired(), 30, "both alerts")
        made.start(loki.NAME)
        eventually(made.drained, 90, "an empty queue")
        eventually(lambda: made.stored() == tally.accepted, 30, f"{tally.accepted} lines")
        print(tally)
    assert made.peaks[collector.NAME] < size_bytes(collector.MEMORY)
