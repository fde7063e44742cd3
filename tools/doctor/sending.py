"""A test alert, for real: posted to Alertmanager, watched until everybody was told, and ended."""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from specs import alertmanager, history, loki, programs, routing
from specs.model import seconds
from tools.doctor.findings import Finding, fail, listed, ok, warn
from tools.doctor.live import Instance, Live
from tools.doctor.samples import Sample, few, tree
from tools.doctor.scraping import total

FAILED = "alertmanager_notifications_failed_total"
_WAIT = "30s"
"""How long Alertmanager groups unless a route says otherwise."""


def _channels(live: Live) -> dict[str, tuple[str, ...]]:
    """Integrations of each receiver that has any, as Alertmanager's metrics call them."""
    file: dict[str, Any] = yaml.load(
        live.stack.workload(alertmanager.NAME).files["alertmanager.yml"], Loader=yaml.CSafeLoader
    )
    return {
        receiver["name"]: found
        for receiver in file["receivers"]
        if (found := tuple(key.removesuffix("_configs") for key in receiver if key.endswith("_configs")))
    }


def _alerts(every: Sequence[Sample], run: str, *, ends: datetime) -> list[dict[str, Any]]:
    return [
        {
            "labels": {**sample.labels, "doctor": run, "instance": f"doctor-{sample.receiver}"},
            "annotations": {
                "summary": "A test by make doctor: nothing is wrong",
                "description": f"Sent to see whether {sample.receiver} is told. It ends by itself.",
            },
            "endsAt": ends.isoformat(),
        }
        for sample in every
    ]


async def sent(live: Live, instance: Instance, every: Sequence[Sample]) -> list[Finding]:
    """Post alerts until each receiver with a channel has one, wait until they are told, and end the alerts."""
    channels = _channels(live)
    chosen = few([sample for sample in every if sample.receiver in channels])
    if not chosen:
        return [warn("no receiver has a channel: nobody can be told", "declare alerting.receivers")]
    test = Sent(
        run=secrets.token_hex(4),
        since=time.time_ns(),
        wanted=frozenset(
            (name, integration) for sample in chosen for name in sample.told for integration in channels.get(name, ())
        ),
        channels=channels,
        failed=await _failed(live, instance),
    )

    async def post(ends: datetime) -> None:
        await live.ask(instance, "/api/v2/alerts", post=_alerts(chosen, test.run, ends=ends))

    await post(datetime.now(UTC) + timedelta(minutes=10))
    try:
        return await _told(live, instance, test)
    finally:
        # Also when somebody interrupts: it would fire for minutes otherwise.
        await asyncio.shield(post(datetime.now(UTC)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """Alerts that were posted, and who has to be told of them."""

    run: str
    """Value of their label `doctor`."""
    since: int
    """When, in nanoseconds since 1970."""
    wanted: frozenset[tuple[str, str]]
    """Receiver and integration of each message."""
    channels: Mapping[str, tuple[str, ...]]
    """Integrations of every receiver."""
    failed: Mapping[str, float]
    """Notifications that had failed before, by integration."""


def send_seconds(live: Live) -> float:
    """How long a test alert may take: as long as routes group, and as replicas wait for each other."""
    waits = [seconds(route.wait) for route in routing.walk(tree(live.stack).root) if route.wait]
    replicas = len(live.every(programs.ALERTMANAGER.name))
    return max([seconds(_WAIT), *waits]) + 15 * max(0, replicas - 1) + 15


def _only(test: Sent, integration: str) -> set[str]:
    """Receivers with an integration."""
    return {who for who, integrations in test.channels.items() if integration in integrations}


async def _failed(live: Live, instance: Instance) -> dict[str, float]:
    return total((await live.ask(instance, "/metrics")).text, FAILED, "integration")


async def _delivered(live: Live, test: Sent) -> set[tuple[str, str]]:
    """Receiver and integration of each message that was taken, by the alert history: Alertmanager's own counters do not
    tell this alert from others, such as the Watchdog."""
    query = {
        "query": f'{history.SELECTOR} |= "{test.run}" | outcome="delivered"',
        "start": str(test.since - 10**10),
        "end": str(time.time_ns() + 10**10),
    }
    store = live.one(loki.query_address(live.stack.context)[0])
    streams = (await live.json(store, "/loki/api/v1/query_range", query))["data"]["result"]
    return {(each["stream"].get("receiver", ""), each["stream"].get("integration", "")) for each in streams}


async def _told(live: Live, instance: Instance, test: Sent) -> list[Finding]:
    deadline = time.monotonic() + send_seconds(live)
    todo = f"make logs {live.of}PART={alertmanager.NAME} says why"
    missing = test.wanted
    while missing and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        now = await _failed(live, instance)
        broken = {name for _, name in missing if now.get(name, 0) > test.failed.get(name, 0)}
        # The counter is of all receivers with an integration: it blames those of the test where there are no others.
        certain = [name for name in broken if _only(test, name) <= {who for who, how in missing if how == name}]
        if certain:
            return [fail(f"the test alert was not taken by {listed(sorted(certain))}", todo)]
        missing = test.wanted - await _delivered(live, test)
    if not missing:
        return [ok(f"a test alert was taken by {listed(sorted(f'{who} ({how})' for who, how in test.wanted), 20)}")]
    held = await live.json(instance, "/api/v2/alerts", {"filter": f'doctor="{test.run}"'})
    kept = {kind for alert in held for kind in ("silencedBy", "inhibitedBy", "mutedBy") if alert["status"].get(kind)}
    why = f" (some are {', '.join(sorted(kept))})" if kept else ""
    nobody = listed(sorted(f"{who} ({how})" for who, how in missing))
    return [
        fail(
            f"by the alert history, the test alert did not reach {nobody}{why}",
            f"{todo}, and PART={programs.COLLECTOR.name} whether the history is recorded",
        )
    ]
