"""The stack's own programs and exporters, running together, and the series that Prometheus gets from them."""

import os
import re
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from specs.model import parse
from specs.settings import KEY, Settings
from specs.stack import Stack, build
from tests.local.servers import free_offset
from tests.log_stack import started
from tests.specs.support import ROOT

TARGET_LABELS = frozenset({"__name__", "app", "environment", "service", "job", "instance", "probe"})
"""Labels that every sample has from its target."""
_PROMETHEUS = re.compile("up|scrape_.*|ALERTS.*|.*:.*")
"""Names of what Prometheus makes itself."""

Series = dict[str, set[str]]
"""Names of labels by the name of the metric."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parts:
    """Running programs."""

    stack: Stack

    def url(self, port: int) -> str:
        """Base URL of a part by its usual port."""
        return f"http://127.0.0.1:{self.stack.context.addresses.port(port)}"

    def api(self, path: str, **parameters: str) -> Any:
        """What Prometheus' API answers."""
        answer = httpx.get(f"{self.url(9090)}/api/v1/{path}", params=parameters, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    def series(self, *jobs: str) -> Series:
        """What targets of these jobs expose."""
        found: Series = {}
        for each in self.api("series", **{"match[]": f'{{job=~"{"|".join(jobs)}"}}'}):
            if not _PROMETHEUS.fullmatch(each["__name__"]):
                found.setdefault(each["__name__"], set()).update(set(each) - TARGET_LABELS)
        return found

    def await_scrapes(self, seconds: float, *jobs: str) -> None:
        """Until every target answered; `jobs`: those of these."""
        deadline = time.monotonic() + seconds
        while True:
            active = [each for each in self.api("targets")["activeTargets"] if not jobs or each["scrapePool"] in jobs]
            wrong = [f"{each['scrapePool']}: {each['lastError']}" for each in active if each["health"] != "up"]
            if active and not wrong:
                return
            assert time.monotonic() < deadline, wrong
            time.sleep(0.5)


@contextmanager
def running(home: Path, names: Iterable[str], exporters: Mapping[str, Any]) -> Generator[Parts]:
    """The workloads that these names begin, of a process stack with these exporters; nothing else is scraped."""
    names = tuple(names)
    value = {
        "environment": "test",
        "cluster": "here",
        "runtime": "process",
        "port_offset": free_offset(),
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "exporters": dict(exporters),
    }
    whole = build(parse(Settings, value, file="test", key=KEY), file="test", absent=["grafana", "json_exporter"])
    chosen = [workload for workload in whole.workloads if workload.name.startswith(names)]
    (home / "registry" / "scrape").mkdir(parents=True)
    with ExitStack() as stack:
        for workload in chosen:
            # Modules of the project, and what a supervisor would set.
            environment = {"PYTHONPATH": str(ROOT), **workload.environment}
            with patch.dict(os.environ, environment):
                stack.enter_context(started(workload, home, whole.context))
        yield Parts(stack=whole)
