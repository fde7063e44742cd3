"""Every declared target is scraped, and up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from specs import programs
from specs.part import APP
from specs.stack import Stack
from tools.doctor.findings import Finding, fail, ok, warn
from tools.doctor.live import Live

Entry = Mapping[str, Any]
"""A target as Prometheus' API has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scraped:
    """What all Prometheis of a stack scrape."""

    jobs: frozenset[str]
    """Jobs that they have, also of no target."""
    targets: tuple[Entry, ...]


def declared(stack: Stack) -> dict[str, list[str] | None]:
    """The addresses of each declared job; None: they are discovered, or register themselves."""
    found: dict[str, list[str] | None] = {}
    for workload in stack.workloads:
        if workload.program.name == programs.PROMETHEUS.name:
            spec = yaml.load(workload.files["prometheus.yml"], Loader=yaml.CSafeLoader)
            for job in spec["scrape_configs"]:
                given = job.get("static_configs")
                found[job["job_name"]] = None if given is None else [t for each in given for t in each["targets"]]
    return found


async def scraped(live: Live) -> Scraped:
    """What is scraped now. Raises SilentError when one of the Prometheis does not answer."""
    jobs: set[str] = set()
    targets: list[Entry] = []
    for instance in live.every(programs.PROMETHEUS.name) or (live.one(programs.PROMETHEUS.name),):
        # Jobs of no target are in no list of targets, which also lags a reload by seconds.
        config = await live.json(instance, "/api/v1/status/config")
        spec = yaml.load(config["data"]["yaml"], Loader=yaml.CSafeLoader)
        jobs |= {job["job_name"] for job in spec.get("scrape_configs") or ()}
        targets += (await live.json(instance, "/api/v1/targets"))["data"]["activeTargets"]
    return Scraped(jobs=frozenset(jobs), targets=tuple(targets))


async def check(live: Live) -> list[Finding]:
    """Every job, and every target of it."""
    now = await scraped(live)
    by_job: dict[str, list[Entry]] = {}
    for target in now.targets:
        by_job.setdefault(target["scrapePool"], []).append(target)
    wanted = declared(live.stack)
    found = [
        finding
        for job, addresses in wanted.items()
        for finding in (
            _missing(live, job)
            if job not in now.jobs
            else _given(live, job, addresses, by_job.get(job, []))
            if addresses is not None
            else _discovered(live, job, by_job.get(job, []))
        )
    ]
    up = sum(target["health"] == "up" for target in now.targets)
    return found or [ok(f"{up} targets of {len(wanted)} jobs are up")]


def _missing(live: Live, job: str) -> Iterator[Finding]:
    yield fail(f"{job}: the job is not scraped at all", f"make up {live.of}".strip())


def _given(live: Live, job: str, addresses: list[str], entries: list[Entry]) -> Iterator[Finding]:
    by_address: dict[str, list[Entry]] = {}
    for entry in entries:
        by_address.setdefault(entry["discoveredLabels"]["__address__"], []).append(entry)
    for address in addresses:
        if address not in by_address:
            yield fail(f"{job}: {address} is not scraped", f"make up {live.of}".strip())
        for entry in by_address.get(address, ()):
            yield from _health(live, job, address, entry)


def _discovered(live: Live, job: str, entries: list[Entry]) -> Iterator[Finding]:
    if not entries and job in live.stack.names:
        yield fail(f"{job}: nothing of this part is found to be scraped", f"make logs {live.of}PART=prometheus")
    for entry in entries:
        yield from _health(live, job, str(entry["labels"].get("instance", "")), entry)


def _health(live: Live, job: str, address: str, entry: Entry) -> Iterator[Finding]:
    if entry["health"] == "up":
        return
    if entry["health"] == "unknown":
        yield warn(f"{job}: {address} was not scraped yet", "look again in a minute")
        return
    words = f"{job}: {address} is down: {entry['lastError']}"
    own = entry["labels"].get("app") == APP
    if own:
        yield fail(words, f"make logs {live.of}PART={entry['labels'].get('service', job)}")
    else:
        yield warn(words, f"it is {entry['labels'].get('app', 'an application')}'s own: start it, or take it out")
