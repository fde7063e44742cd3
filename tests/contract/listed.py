"""The committed lists of what programs expose."""

from pathlib import Path

DIRECTORY = Path(__file__).with_name("metrics")
HEADING = "# after an event, elsewhere, or in another version"
"""What follows it was not recorded, and says where it is from."""

JOBS = {
    "prometheus": ("prometheus",),
    "alertmanager": ("alertmanager",),
    "loki": ("loki",),
    "jaeger": ("jaeger",),
    "otelcol": ("collector",),
    "inbox": ("inbox",),
    "node_exporter": ("node",),
    "blackbox_exporter": ("blackbox-exporter", "probe.*"),
    "postgres_exporter": ("postgres",),
    "redis_exporter": ("redis",),
    "nginx_exporter": ("nginx",),
    "flower": ("celery",),
}
"""Scrape jobs of the programs that are recorded."""


def read(program: str) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Labels by the name of the metric: what was recorded, and what was not."""
    recorded, _, further = (DIRECTORY / f"{program}.txt").read_text(encoding="utf-8").partition(HEADING)
    return _metrics(recorded), _metrics(further)


def _metrics(text: str) -> dict[str, frozenset[str]]:
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {name: frozenset(labels) for name, *labels in lines}


def programs() -> tuple[str, ...]:
    """Every program with a list."""
    return tuple(sorted(file.stem for file in DIRECTORY.glob("*.txt")))
