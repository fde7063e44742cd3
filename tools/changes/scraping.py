"""Scrape jobs and targets, by Prometheus' rendered file, and how long what is stored stays."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.changes.files import Rendered
from tools.changes.items import Item, flat, listed, mapping, text
from tools.changes.parts import parts

PROMETHEUS = "prometheus/prometheus.yml"
_TARGETS = "static_configs"
_TIME_TO_LIVE = re.compile(r"(^|\.)(ttl|ttl\.spans|max_span_age|trace_ttl)$")
_LOOKED_FOR = "max_span_age"
"""How old traces are looked for at most, which deletes none."""
_RETENTION_FLAG = re.compile(r"--(?:storage\.tsdb\.)?retention\.(.+)")


def _jobs(rendered: Rendered) -> Sequence[Mapping[str, Any]]:
    return listed(rendered.value(PROMETHEUS), "scrape_configs")


def jobs(rendered: Rendered) -> list[Item]:
    """Every scrape job: how it asks, and how it finds what it asks."""
    return [
        Item(name=job["job_name"], fields=_fields({key: value for key, value in job.items() if key != _TARGETS}))
        for job in _jobs(rendered)
    ]


def _fields(job: Mapping[str, Any]) -> dict[str, str]:
    """Rules on labels are one text each: by their place in the list they would all differ after one more."""
    found: dict[str, str] = {}
    for key, value in job.items():
        if key != "job_name":
            said: object = value
            found |= {key: text(said)} if isinstance(value, list) else flat(said, key)
    return found


def targets(rendered: Rendered) -> list[Item]:
    """Every target that a file names; those that are discovered on a cluster only its cluster knows."""
    found: list[Item] = []
    for job in _jobs(rendered):
        for group in listed(job, _TARGETS):
            labels = {key: text(value) for key, value in mapping(group, "labels").items()}
            for address in group.get("targets") or ():
                name = f"{job['job_name']} {address}"
                rungs = ((name, tuple(labels.items())), (name, labels.get("__param_module")), (name,))
                found.append(Item(name=name, fields=labels, identities=rungs))
    return found


def retention(rendered: Rendered) -> list[Item]:
    """How long, and how much, of everything is kept."""
    return [Item(name=name, fields={"kept": kept}) for name, kept in dict(_kept(rendered)).items()]


def _kept(rendered: Rendered) -> Iterator[tuple[str, str]]:
    for name, kept in mapping(rendered.value(PROMETHEUS), "storage", "tsdb", "retention").items():
        yield f"metrics, {name}", text(kept)
    for part in parts(rendered):
        for argument in part.arguments:
            flag, _, kept = argument.partition("=")
            if found := _RETENTION_FLAG.fullmatch(flag):
                yield f"metrics in {part.name}, {found[1]}", kept
    limits = mapping(rendered.value("loki/loki.yml"), "limits_config")
    if "retention_period" in limits:
        yield "log lines", text(limits["retention_period"])
    if "reject_old_samples_max_age" in limits:
        yield "log lines, oldest that is taken", text(limits["reject_old_samples_max_age"])
    for stream in listed(limits, "retention_stream"):
        yield f"log lines of {stream['selector']}", text(stream["period"])
    backends = mapping(rendered.value("jaeger/jaeger.yml"), "extensions", "jaeger_storage", "backends")
    for path, kept in flat(backends).items():
        if found := _TIME_TO_LIVE.search(path):
            yield f"traces, {'oldest that are looked for, ' if found[2] == _LOOKED_FOR else ''}{path}", kept
