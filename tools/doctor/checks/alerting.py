"""An alert would reach whom it should: routes, the way to Alertmanager, and with SEND=1 the receivers themselves."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from specs import alertmanager, programs, prometheus
from specs.routing import WATCHDOG
from tools import native
from tools.doctor.findings import Finding, fail, listed, ok, warn
from tools.doctor.live import Instance, Live, SilentError
from tools.doctor.samples import Sample, samples
from tools.doctor.sending import FAILED, sent

_RESENT = 120.0
"""Seconds in which an alert that was lost is told again: Prometheus' resend delay is a minute."""
_SECONDS = 10
"""How long amtool may take."""


async def check(live: Live) -> list[Finding]:
    """Every receiver, by the routes that run; the Watchdog; what failed lately; with SEND=1 a test alert to each."""
    every = samples(live.stack)
    instances = live.every(programs.ALERTMANAGER.name)
    first = live.one(alertmanager.NAME)
    steps = [_routes(live, first, every), _watchdog(live, instances), _failures(live)]
    if live.send:
        steps.append(sent(live, first, every))
    found = [
        finding for findings in await asyncio.gather(*(_guarded(live, step) for step in steps)) for finding in findings
    ]
    bad = [finding for finding in found if finding.todo]
    if bad:
        return bad
    receivers = listed([sample.receiver for sample in every], 8)
    return [ok(f"routes lead to {receivers}; the Watchdog arrives"), *found]


async def _guarded(live: Live, step: Awaitable[list[Finding]]) -> list[Finding]:
    """What a step finds: a part that is silent hides nothing of the others."""
    try:
        return await step
    except SilentError as problem:
        return [live.silent(problem)]


async def _routes(live: Live, instance: Instance, every: Sequence[Sample]) -> list[Finding]:
    """Whom Alertmanager tells of each sample, by amtool and the configuration that it has."""
    amtool = await asyncio.to_thread(native.locate, "amtool")
    if amtool is None:
        return [warn("there is no amtool: routes are those of the model", "make setup brings it")]

    status = await live.json(instance, "/api/v2/status")
    config: dict[str, Any] = yaml.load(status["config"]["original"], Loader=yaml.CSafeLoader)
    # Alertmanager shows no address of a webhook, and amtool takes `<secret>` for one of receivers only.
    config.pop("event_recorder", None)

    async def told(sample: Sample, file: Path) -> str:
        labels = [f"{name}={value}" for name, value in sample.labels.items()]
        command = [str(amtool.path), "config", "routes", "test", f"--config.file={file}", *labels]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_SECONDS):
                said, trouble = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"amtool: not done after {_SECONDS} s"
        if process.returncode:
            lines = trouble.decode(errors="replace").strip().splitlines() or ["it says nothing"]
            return f"amtool: {lines[-1]}"
        now = said.decode().strip().split(",")
        return "" if sorted(now) == sorted(sample.told) else f"tells {', '.join(now)}, not {', '.join(sample.told)}"

    # A few at a time: each is a program that starts.
    few = asyncio.Semaphore(4)

    async def one(sample: Sample, file: Path) -> str:
        async with few:
            return await told(sample, file)

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "alertmanager.yml"
        file.write_text(yaml.dump(config, Dumper=yaml.CSafeDumper), encoding="utf-8")
        wrong = await asyncio.gather(*(one(sample, file) for sample in every))
    return [
        fail(
            f"{instance.name}: of {_words(sample.labels)} it {words}",
            live.put_back(instance.workload),
        )
        for sample, words in zip(every, wrong, strict=True)
        if words
    ]


def _words(labels: Mapping[str, str]) -> str:
    whose = "/".join(labels[name] for name in ("app", "service") if labels.get(name))
    return f"a {labels['severity']} alert of {whose}"


async def _watchdog(live: Live, instances: Sequence[Instance]) -> list[Finding]:
    """Whether each Alertmanager holds the alert that always fires."""

    async def look(live: Live, instance: Instance) -> Sequence[Finding]:
        found = await live.json(instance, "/api/v2/alerts", {"filter": f'alertname="{WATCHDOG}"'})
        own = live.stack.context.settings.environment
        if any(alert["labels"].get("environment") == own for alert in found):
            return []
        if await _young(live, instance):
            words = f"{instance.name}: the Watchdog has not arrived since the last start"
            return [warn(words, "look again in two minutes: Prometheus tells of each alert once a minute")]
        return [
            fail(
                f"{instance.name}: the Watchdog does not arrive: no alert does",
                f"make logs {live.of}PART=prometheus; it fires all the time, see its rule and alerting.alertmanagers",
            )
        ]

    return await live.of_each(instances, look)


async def _young(live: Live, instance: Instance) -> bool:
    """Whether Alertmanager, which keeps no alerts over a start, or Prometheus started a moment ago."""
    status = await live.json(instance, "/api/v2/status")
    info = await live.json(live.one(prometheus.NAME), "/api/v1/status/runtimeinfo")
    started = max(datetime.fromisoformat(moment) for moment in (status["uptime"], info["data"]["startTime"]))
    return time.time() - started.timestamp() < _RESENT


async def _failures(live: Live) -> list[Finding]:
    found = await live.query(f"sum by (integration) (increase({FAILED}[1h])) > 0")
    names = [f"{value:.0f} by {labels.get('integration', '?')}" for labels, value in found]
    if not names:
        return []
    return [
        warn(
            f"notifications failed in the last hour: {listed(names)}",
            f"make logs {live.of}PART={alertmanager.NAME} says why",
        )
    ]
