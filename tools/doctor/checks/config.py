"""What Prometheus, Alertmanager and Loki run on is what is declared, as they tell themselves."""

import hashlib
from collections.abc import Iterable

import yaml

from specs import programs
from tools.doctor.compare import declared_flags, differences, same
from tools.doctor.findings import Finding, fail, ok
from tools.doctor.live import Instance, Live, SilentError
from tools.doctor.scraping import sample

_MOST = 5
"""Differences that are told of one program: more is another file altogether."""


async def check(live: Live) -> list[Finding]:
    """Every instance that tells its configuration."""
    of_prometheus = live.every(programs.PROMETHEUS.name)
    of_alertmanager = live.every(programs.ALERTMANAGER.name)
    of_loki = live.every(programs.LOKI.name)
    found = [
        *await live.of_each(of_prometheus, _prometheus),
        *await live.of_each(of_alertmanager, _alertmanager),
        *await live.of_each(of_loki, _loki),
    ]
    names = [instance.name for instance in (*of_prometheus, *of_alertmanager, *of_loki)]
    return found or [ok(f"what is declared is in effect at {', '.join(names)}")]


def _told(live: Live, instance: Instance, lines: Iterable[str]) -> list[Finding]:
    found = list(lines)
    rest = len(found) - _MOST
    todo = live.put_back(instance.workload)
    return [
        *(fail(f"{instance.name}: {line}", todo) for line in found[:_MOST]),
        *([fail(f"{instance.name}: {rest} more values are not the declared ones", todo)] if rest > 0 else []),
    ]


def _refused(live: Live, instance: Instance) -> Finding:
    return fail(
        f"{instance.name}: the last reload failed, it runs on what it had before",
        f"make logs {live.of}PART={instance.workload.name} says which line it refuses",
    )


async def _prometheus(live: Live, instance: Instance) -> list[Finding]:
    answer = await live.json(instance, "/api/v1/status/config")
    flags = (await live.json(instance, "/api/v1/status/flags"))["data"]
    info = (await live.json(instance, "/api/v1/status/runtimeinfo"))["data"]
    declared = yaml.load(instance.workload.files["prometheus.yml"], Loader=yaml.CSafeLoader)
    effective = yaml.load(answer["data"]["yaml"], Loader=yaml.CSafeLoader)
    wanted = declared_flags(instance.workload.args)
    other = [
        f"--{name} is {flags.get(name, 'not known')}, not {value}"
        for name, value in wanted.items()
        if "$(" not in value and not same(value, flags.get(name))
    ]
    refused = [] if info["reloadConfigSuccess"] else [_refused(live, instance)]
    return [*refused, *_told(live, instance, [*differences(declared, effective), *other])]


def alertmanager_hash(text: str) -> float:
    """What Alertmanager's `alertmanager_config_hash` is for a file: the first 48 bits of its MD5, as in its
    config/coordinator.go."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return float(int.from_bytes(digest[:6], "little"))


async def _alertmanager(live: Live, instance: Instance) -> list[Finding]:
    page = (await live.ask(instance, "/metrics")).text
    found = sample(page, "alertmanager_config_hash")
    if found is None:
        raise SilentError(instance.name, "tells no alertmanager_config_hash")
    refused = sample(page, "alertmanager_config_last_reload_successful") == 0
    other = found != alertmanager_hash(instance.workload.files["alertmanager.yml"])
    return [
        *([_refused(live, instance)] if refused else []),
        *_told(live, instance, ["runs on another alertmanager.yml than the declared one"] if other else []),
    ]


async def _loki(live: Live, instance: Instance) -> list[Finding]:
    declared = yaml.load(instance.workload.files["loki.yml"], Loader=yaml.CSafeLoader)
    answer = await live.ask(instance, "/config")
    effective = yaml.load(answer.text, Loader=yaml.CSafeLoader)
    return _told(live, instance, differences(declared, effective))
