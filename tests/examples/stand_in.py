"""The sample app as a process in the place of a monitored system."""

import re
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families,  # pyright: ignore[reportUnknownVariableType]
)
from sample_app_support import OPENMETRICS, clean_environment, eventually


@dataclass(frozen=True)
class Running:
    """A stand-in that runs."""

    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    logs: Path
    stdout: Path
    stderr: Path

    def families(self, path: str = "/metrics") -> dict[str, Metric]:
        """Scrape a page as Prometheus does."""
        answer = self.client.get(path, headers={"Accept": OPENMETRICS}).raise_for_status()
        found: Iterable[Metric] = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        return {family.name: family for family in found}

    def total(self, name: str) -> float:
        """A counter's value now, all series together."""
        return sum(sample.value for sample in self.families()[name].samples)


@contextmanager
def running(directory: Path, *options: str, endpoint: str = "") -> Generator[Running]:
    """Start ``python -m sample_app --system …`` on a port of the machine's choice; end it afterwards."""
    stdout, stderr, logs = directory / "stdout", directory / "stderr", directory / "logs"
    command = [sys.executable, "-m", "sample_app", *options, "--port", "0", "--logs", str(logs)]
    environment = {"OTEL_BSP_SCHEDULE_DELAY": "100"} | ({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {})
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            command, cwd=directory, env=clean_environment(environment), stdout=out, stderr=err, stdin=subprocess.DEVNULL
        )
    try:

        def url() -> "re.Match[str] | None":
            assert process.poll() is None, stderr.read_text()
            return re.search(r"http://\S+", stdout.read_text())

        base = eventually(url, "the start line", 20).group()
        with httpx.Client(base_url=base, timeout=10, trust_env=False) as client:
            yield Running(process, client, logs, stdout, stderr)
    finally:
        process.kill()
        process.wait(5)
