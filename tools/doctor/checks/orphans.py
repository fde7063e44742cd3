"""What runs and nobody declared: rules, scrape jobs, receivers, files."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import yaml

from specs import alertmanager, programs
from tools.doctor.checks import rules, targets
from tools.doctor.checks.grafana import undeclared_dashboards
from tools.doctor.findings import Finding, listed, ok, warn
from tools.doctor.live import Instance, Live, SilentError

_TODO = "declare it, or remove it: nobody looks after it"


async def check(live: Live) -> list[Finding]:
    """Everything that the stack has beside what is declared."""
    found = await asyncio.gather(
        *(_guarded(live, kind) for kind in (_rules, _jobs, _receivers, _files, undeclared_dashboards))
    )
    return [finding for findings in found for finding in findings] or [ok("nothing runs that nobody declared")]


async def _guarded(live: Live, kind: Callable[[Live], Awaitable[Sequence[Finding]]]) -> Sequence[Finding]:
    try:
        return await kind(live)
    except SilentError as problem:
        return [live.silent(problem)]


async def _rules(live: Live) -> Sequence[Finding]:
    every = {ruler.instance.name: ruler for ruler in rules.rulers(live)}

    async def look(live: Live, instance: Instance) -> Sequence[Finding]:
        ruler = every[instance.name]
        _, left = rules.paired(ruler.declared, await rules.loaded(live, ruler))
        names = [f"{rule['name']} of the group {rule['group']}" for rule in left]
        return [warn(f"{instance.name}: rules that nobody declared: {listed(names)}", _TODO)] if names else []

    return await live.of_each([ruler.instance for ruler in every.values()], look)


async def _jobs(live: Live) -> Sequence[Finding]:
    extra = sorted((await targets.scraped(live)).jobs - targets.declared(live.stack).keys())
    return [warn(f"prometheus: scrape jobs that nobody declared: {listed(extra)}", _TODO)] if extra else []


async def _receivers(live: Live) -> Sequence[Finding]:
    file = yaml.load(live.stack.workload(alertmanager.NAME).files["alertmanager.yml"], Loader=yaml.CSafeLoader)
    known = {receiver["name"] for receiver in file["receivers"]}

    async def look(live: Live, instance: Instance) -> Sequence[Finding]:
        told = await live.json(instance, "/api/v2/receivers")
        extra = sorted({receiver["name"] for receiver in told} - known)
        return [warn(f"{instance.name}: receivers that nobody declared: {listed(extra)}", _TODO)] if extra else []

    return await live.of_each(live.every(programs.ALERTMANAGER.name), look)


async def _files(live: Live) -> Sequence[Finding]:
    placed = await live.files()
    found: list[Finding] = []
    for workload in live.stack.workloads:
        if workload.name not in placed:
            continue
        extra = sorted(placed[workload.name].texts.keys() - workload.files.keys() - workload.secrets.keys())
        if extra:
            found.append(warn(f"{workload.name}: files that nobody declared: {listed(extra)}", _TODO))
    return found
