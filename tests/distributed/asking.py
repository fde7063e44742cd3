"""What tests ask of programs that speak as Prometheus does."""

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

Found = TypeVar("Found")


def eventually(what: str, seconds: float, found: Callable[[], Found]) -> Found:
    """The first answer that is anything."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.2)
    return answer


def ask(url: str, query: str, *, at: float | None = None, **more: str) -> list[dict[str, Any]]:
    """The series of an instant query. The answer must be whole."""
    given = {"query": query, **({"time": f"{at:.3f}"} if at else {}), **more}
    answer = httpx.get(f"{url}/api/v1/query", params=given, timeout=60)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def ready(*urls: str) -> bool:
    """Whether programs say that they are ready."""
    return all(httpx.get(f"{url}/-/ready", timeout=10).is_success for url in urls)


def exposed(url: str) -> dict[str, frozenset[str]]:
    """Names of labels by the name of the metric, of a program's page of metrics."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=10).text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: frozenset(labels) for name, labels in found.items()}


def metric(url: str, name: str) -> float:
    """The sum of a program's own samples of that name."""
    text = httpx.get(f"{url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)$", text, re.MULTILINE))
