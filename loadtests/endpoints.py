"""Every endpoint by itself: a number of requests, one after the other."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import httpx

from loadtests.measurements import Measurements, Summary
from loadtests.plan import LONGEST
from specs.model import SettingsError

MOST_REQUESTS = 10_000
SHAPE = "endpoints"
_TIMEOUT_SECONDS = 10


def client(target: str) -> httpx.Client:
    """What asks `target`, and nobody else: it follows no redirect and uses no proxy."""
    return httpx.Client(base_url=target, timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)


def chosen(asking: httpx.Client, endpoints: str) -> list[str]:
    """The paths that `endpoints` has, with spaces between; none: what the target's own description lists.

    Raises SettingsError when one is no path, or there is neither.
    """
    named = list(dict.fromkeys(endpoints.split()))
    for path in named:
        if not re.fullmatch(r"/([^/]\S*)?", path):
            raise SettingsError(f'ENDPOINTS={endpoints}: "{path}" is not a path (accepted: like "/health /products")')
    return named or _described(asking)


def _described(asking: httpx.Client) -> list[str]:
    try:
        answer = asking.get("/openapi.json")
        answer.raise_for_status()
        paths = cast("dict[str, dict[str, Any]]", answer.json()["paths"])
        found = sorted(path for path, operations in paths.items() if _is_plain(path, operations))
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        found = []
    if not found:
        raise SettingsError(
            f"TARGET={asking.base_url}: no /openapi.json that lists endpoints to GET without parameters"
            ' (accepted: ENDPOINTS="/health /products")'
        )
    return found


def _is_plain(path: str, operations: dict[str, Any]) -> bool:
    """Whether it can be asked for without knowing anything."""
    if "get" not in operations or "{" in path:
        return False
    parameters = [*operations.get("parameters", []), *operations["get"].get("parameters", [])]
    return not any(parameter.get("required") for parameter in parameters)


def measure(
    asking: httpx.Client, paths: Sequence[str], requests: int, seen: Callable[[str, float, bool], None]
) -> list[Summary]:
    """Ask for each of `paths` `requests` times, and tell `seen` path, milliseconds and whether it went well.

    No more is asked after the longest time that a load test may take: counts are smaller then, or missing.
    """
    end = time.monotonic() + LONGEST
    found: list[Summary] = []
    for path in paths:
        measurements = Measurements()
        start = time.perf_counter()
        for _ in range(requests):
            if time.monotonic() > end:
                break
            before = time.perf_counter()
            try:
                status = asking.get(path).status_code
            except httpx.HTTPError:
                status = 0
            milliseconds = (time.perf_counter() - before) * 1000
            seen(path, milliseconds, measurements.add("GET", path, milliseconds, status))
        found += measurements.endpoints(time.perf_counter() - start)
    return found
