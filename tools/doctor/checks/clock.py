"""Clocks of the programs and of this machine agree."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from specs import programs
from tools.doctor.findings import Finding, fail, ok, warn
from tools.doctor.live import Clock, Instance, Live, SilentError

_WARN, _FAIL = 2.0, 30.0
"""Seconds. Half a minute moves alerts, and logs away from the traces that they belong to."""
_PATHS = {
    programs.PROMETHEUS.name: "/-/ready",
    programs.ALERTMANAGER.name: "/-/ready",
    programs.LOKI.name: "/ready",
    programs.GRAFANA.name: "/api/health",
}


async def check(live: Live) -> list[Finding]:
    """Every program that can be asked, by the `Date` of its answer; Prometheus by its own time."""
    every = [instance for instances in live.instances.values() for instance in instances]
    await asyncio.gather(*(_asked(live, instance) for instance in every))
    found = [finding for clock in live.clocks.values() for finding in _of(clock)]
    if not live.clocks:
        return [fail("nothing answers that tells the time", f"make status {live.of}".strip())]
    most = max(max(0.0, abs(clock.ahead) - clock.doubt) for clock in live.clocks.values())
    return found or [ok(f"{len(live.clocks)} clocks agree within {max(most, 0.1):.1f} s")]


async def _asked(live: Live, instance: Instance) -> None:
    # Whoever does not answer is told of by other checks; a refusal has a date, too.
    with contextlib.suppress(SilentError):
        await live.ask(instance, _PATHS.get(instance.workload.program.name, "/"))
        if instance.workload.program.name == programs.PROMETHEUS.name:
            before = time.time()
            answer = await live.json(instance, "/api/v1/query", {"query": "time()"})
            after = time.time()
            told = float(answer["data"]["result"][1])
            live.clocks[instance.name] = Clock(
                name=instance.name, ahead=told - (before + after) / 2, doubt=(after - before) / 2
            )


def _of(clock: Clock) -> Sequence[Finding]:
    least = abs(clock.ahead) - clock.doubt
    way = "ahead of" if clock.ahead > 0 else "behind"
    words = f"{clock.name}: its clock is {abs(clock.ahead):.1f} s {way} this machine's"
    todo = "see that chrony or systemd-timesyncd runs, there and here"
    if least > _FAIL:
        return [fail(words, todo)]
    return [warn(words, todo)] if least > _WARN else []
