"""What a stack on Kubernetes costs without a cluster: manifests of many systems, and a preview against mocks."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools import bench_scale
from tools.bench_report import Measured
from tools.scratch import Scratch

SYSTEMS = 100
SIZES = ("small", "large")

_PREVIEW = """
import sys
import pulumi
from pathlib import Path
from components import runtimes
from components.recording import record
from components.stack import ObservabilityStack
from specs.settings import load
from specs.stack import build
file = Path(sys.argv[1])
stack = build(load(file), file=file.name)
def program():
    secrets = {ref.key: pulumi.Output.secret("none") for ref in stack.secrets()}
    ObservabilityStack("observability", stack, runtimes.of(stack, secrets), secrets)
assert record(program, stack="bench", preview=True).resources
"""


def settings(size: str = "small", systems: int = 0) -> dict[str, Any]:
    """A Kubernetes stack of `size`, with what the size needs, that watches so many systems."""
    many = bench_scale.settings(systems)
    beyond: Mapping[str, Any] = {
        "object_storage": {"endpoint": "s3.example.com", "metrics_bucket": "metrics", "logs_bucket": "logs"},
        "thanos": True,
        "traces": {"store": "opensearch", "servers": ["https://opensearch.example.com:9200"]},
        "grafana": {"database": {"address": "db.example.com:5432", "user": "grafana", "password": {"secret": "db"}}},
    }
    return {
        "environment": "bench",
        "cluster": "bench",
        "runtime": "kubernetes",
        "size": size,
        "exporters": many["exporters"],
        "systems": many["systems"],
        "alerting": {
            "receivers": {"bench": {"webhook": {"url": "http://hooks.example.com/bench"}}},
            "default": "bench",
            "stand_in": "bench",
        },
        **({} if size == "small" else beyond),
    }


def run(runs: int, say: Callable[[str], None]) -> tuple[Measured, ...]:
    """Measure both; nothing is left."""
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="observability-bench-") as made:
        directory = Path(made)
        scratch = Scratch.make(directory / "project", "cluster", 0)
        out = str(directory / "rendered")
        render = [sys.executable, "-m", "tools.cli", "render", "--stack", scratch.name, "--out", out]
        preview = [sys.executable, "-c", _PREVIEW, str(scratch.file)]
        for what, wanted, command, target in (
            (f"manifests of {SYSTEMS} systems", settings(systems=SYSTEMS), render, 5.0),
            *((f"preview of prod against mocks, {size}", settings(size), preview, None) for size in SIZES),
        ):
            scratch.write_settings(wanted)
            # The first compiles the copy's modules.
            bench_scale.metered(command, scratch)
            took = [bench_scale.metered(command, scratch) for _ in range(runs)]
            found += [
                Measured(what=f"{what}, the whole process", values=tuple(one.seconds for one in took), target=target),
                Measured(what=f"{what}: processor time", values=tuple(one.cpu for one in took)),
                Measured(what=f"{what}: peak memory", values=tuple(one.peak for one in took), unit="MB"),
            ]
            say(f"{what}: {found[-3].median:.2f} s ({found[-2].median:.2f} s CPU), {found[-1].median:.0f} MB")
    return tuple(found)
