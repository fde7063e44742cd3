"""A log line and a trace that go in come out again."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from specs import collector, jaeger, loki
from specs.elk import feed
from specs.model import seconds
from specs.part import APP
from tools.doctor.findings import Finding, fail, ok, warn
from tools.doctor.live import Live, SilentError

SERVICE = "doctor"
"""What the stack's telemetry calls the one who asks."""
SECONDS = 20
"""How long a line or a span is waited for."""
_EVERY = 0.3


async def _await(found: Callable[[], Awaitable[object]], limit: float) -> tuple[float, str]:
    """How long it took until `found` gave something, and why it did not; empty: it did."""
    began = time.monotonic()
    why = "not there"
    while time.monotonic() - began < limit:
        try:
            if await found():
                return time.monotonic() - began, ""
        except SilentError as problem:
            why = str(problem)
        await asyncio.sleep(_EVERY)
    return limit, why


def _resource() -> dict[str, Any]:
    """Who sends it, as the model calls it."""
    named = {"service.name": SERVICE, "service.namespace": APP}
    return {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in named.items()]}


async def logs(live: Live) -> list[Finding]:
    """A line by OTLP to the collector, and Loki asked for it until it is there."""
    context = live.stack.context
    if feed.instead(context):
        return [warn("log lines go to Elasticsearch instead of Loki: not read back", "ask Kibana for a line of yours")]
    word = secrets.token_hex(8)
    now = time.time_ns()
    record = {
        "timeUnixNano": str(now),
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"stringValue": f"make doctor asks whether this line can be read: {word}"},
    }
    scope = {"scope": {"name": SERVICE}, "logRecords": [record]}
    await live.ask(
        live.one(collector.NAME), "/v1/logs", post={"resourceLogs": [{"resource": _resource(), "scopeLogs": [scope]}]}
    )
    store = live.one(loki.query_address(context)[0])
    query = {
        "query": f'{{app="{APP}", service_name="{SERVICE}"}} |= "{word}"',
        "start": str(now - 60 * 10**9),
        "end": str(now + 60 * 10**9),
    }

    async def found() -> object:
        return (await live.json(store, "/loki/api/v1/query_range", query))["data"]["result"]

    took, why = await _await(found, SECONDS)
    if why:
        return [fail(f"a line that the collector took is not in Loki after {took:.0f} s: {why}", _way(live, "loki"))]
    return [ok(f"a line was in Loki after {took:.1f} s")]


async def traces(live: Live) -> list[Finding]:
    """A span by OTLP to the collector, and Jaeger asked for its trace until it is there."""
    sampling = live.stack.context.settings.traces.sampling
    trace = secrets.token_hex(16)
    now = time.time_ns()
    # What is sampled keeps a trace that is slow: this one says of itself that it was.
    length = round(seconds(sampling.slow) * 1e9) + 10**9 if sampling else 10**6
    span = {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": "make doctor",
        "kind": 1,
        "startTimeUnixNano": str(now - length),
        "endTimeUnixNano": str(now),
    }
    scope = {"scope": {"name": SERVICE}, "spans": [span]}
    await live.ask(
        live.one(collector.NAME),
        "/v1/traces",
        post={"resourceSpans": [{"resource": _resource(), "scopeSpans": [scope]}]},
    )
    store = live.one(jaeger.NAME)

    async def found() -> object:
        return (await live.json(store, f"/api/traces/{trace}")).get("data")

    took, why = await _await(found, SECONDS + (seconds(sampling.wait) if sampling else 0))
    if why:
        return [
            fail(f"a span that the collector took is not in Jaeger after {took:.0f} s: {why}", _way(live, "jaeger"))
        ]
    return [ok(f"a trace was in Jaeger after {took:.1f} s")]


def _way(live: Live, store: str) -> str:
    return f"make logs {live.of}PART=collector says what it could not hand on; then PART={store}"
