"""The guard against targets with too many series, on a real Prometheus with the stack's own files."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import httpx
import psutil
import pytest

from processes.home import Home
from specs import prometheus, scrape_limits
from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tools.bench_programs import free_offset, running
from tools.gameday.pages import exploded, registered, served

SERIES = 1_000_000
LIMIT = 50_000
WELL = "quiet-shop"
"""The target beside them."""
_SECONDS = 90


def _stack(offset: int) -> Stack:
    settings = {
        "environment": "test",
        "cluster": "ci",
        "runtime": "process",
        "port_offset": offset,
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "alerting": {"overrides": {scrape_limits.OVER: {"for": "2s"}, "ServiceDown": {"for": "2s"}}},
    }
    return build(parse(Settings, settings, file="test", key=KEY), file="test")


def _always(page: bytes) -> Callable[[], bytes]:
    return lambda: page


@dataclass
class Guarded:
    """A Prometheus that was shown too much for a while."""

    url: str
    began: float
    peak: int = 0
    """The most resident memory, in bytes."""
    ended: Event = field(default_factory=Event)

    def watch(self, process: psutil.Process) -> None:
        """Note the memory until the end."""
        while not self.ended.wait(0.2):
            self.peak = max(self.peak, process.memory_info().rss)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Result of an instant query."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": promql}, timeout=20).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, promql: str) -> float:
        """The only value of an instant query."""
        (found,) = self.query(promql)
        return float(found["value"][1])

    def firing(self, alert: str) -> dict[str, Mapping[str, str]]:
        """Labels of the alerts of that name that fired for applications, by app: other parts do not run."""
        found = self.query(
            f'last_over_time(ALERTS{{alertname="{alert}", alertstate="firing", app!="observability"}}[5m])'
        )
        return {each["metric"]["app"]: each["metric"] for each in found}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A Prometheus that scrapes a target with a million series, one whose page is too long to be read, and one as they
    should be."""
    home = Home(tmp_path_factory.mktemp("cardinality"))
    ports = [port.number for port in _stack(0).workload(prometheus.NAME).ports]
    stack = _stack(free_offset(ports))
    pages = {"many": exploded(SERIES), "long": exploded(SERIES, width=50), WELL: b"orders_total 5\n"}
    # A million samples take their time; they need not come every second.
    pace = {"many": {"__scrape_interval__": "10s", "__scrape_timeout__": "10s"}}
    with ExitStack() as kept:
        process = kept.enter_context(running(stack, prometheus.NAME, home))
        url = f"http://{stack.context.addresses.outside(prometheus.NAME, prometheus.PORT)}"
        made = Guarded(url=url, began=time.time())
        watch = Thread(target=made.watch, args=(process,), daemon=True)
        watch.start()
        for name, page in pages.items():
            address = kept.enter_context(served(_always(page)))
            kept.enter_context(registered(home.registry, name, address, labels=pace.get(name)))
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and set(made.firing(scrape_limits.OVER)) != {"many", "long"}:
            time.sleep(0.5)
        # A few more scrapes of the great page.
        time.sleep(10)
        yield made
        made.ended.set()
        watch.join()


def test_the_alert_names_the_targets_and_no_other(guarded: Guarded) -> None:
    """Proves that TargetOverLimit fires for both targets that are beyond a limit, and says which they are."""
    found = guarded.firing(scrape_limits.OVER)
    assert set(found) == {"many", "long"}
    assert {labels["job"] for labels in found.values()} == {"applications"}
    assert all(labels["instance"].startswith("127.0.0.1:") for labels in found.values())


def test_nothing_of_what_is_beyond_the_limit_is_kept(guarded: Guarded) -> None:
    """Proves that a scrape beyond the limit is refused whole, that Prometheus says how much it was, and that it counts
    as down."""
    assert guarded.query("exploded") == []
    assert guarded.query("count(last_over_time(exploded[5m]))") == []
    assert guarded.value('max_over_time(scrape_samples_scraped{app="many"}[5m])') == SERIES
    assert guarded.value('scrape_sample_limit{app="many"}') == LIMIT
    assert guarded.value('min_over_time(scrape_body_size_bytes{app="long"}[5m])') == -1
    assert set(guarded.firing("ServiceDown")) == {"many", "long"}


def test_other_targets_keep_their_data(guarded: Guarded) -> None:
    """Proves that no scrape of the target beside them failed or came late, and that Prometheus watches itself on."""
    assert guarded.value(f'orders_total{{app="{WELL}"}}') == 5
    for job in (f'app="{WELL}"', 'job="prometheus"'):
        assert guarded.value(f"min_over_time(up{{{job}}}[15s])") == 1
        # One a second; one more or less at the ends.
        assert guarded.value(f"count_over_time(up{{{job}}}[15s])") >= 13


def test_prometheus_stays_small(guarded: Guarded) -> None:
    """Proves that a million series do not become memory: neither series of the head, nor a gigabyte of anything."""
    head = guarded.value("max_over_time(prometheus_tsdb_head_series[1m])")
    print(f"{head:.0f} series in the head, {guarded.peak / 2**20:.0f} MiB at most")
    assert head < 2 * LIMIT
    assert guarded.peak < 2**30
