"""Samples of a program's page of metrics."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


def samples(page: str, name: str) -> list[tuple[Mapping[str, str], float]]:
    """Labels and value of each sample called `name`."""
    # Pages are long and names are few: only lines that may be it are parsed.
    lines = "\n".join(line for line in page.splitlines() if line.startswith(name))
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(f"{lines}\n")
        for sample in family.samples
        if sample.name == name
    ]


def sample(page: str, name: str) -> float | None:
    """Value of the only sample called `name`; None: there is none."""
    found = samples(page, name)
    return found[0][1] if found else None


def total(page: str, name: str, label: str) -> dict[str, float]:
    """Sum of the samples called `name` for each value of `label`."""
    found: dict[str, float] = {}
    for labels, value in samples(page, name):
        found[labels.get(label, "")] = found.get(labels.get(label, ""), 0.0) + value
    return found
