"""redis_exporter: Redis servers."""

import json
from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting
from specs.model import Address, Model, Name, Secret
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import REDIS_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Port, Probe, Resources, SecretRef, Workload

NAME = "redis-exporter"


class RedisTarget(Model):
    """One Redis server."""

    address: Address
    """Where the server listens."""
    password: Secret | None = None
    app: Name | None = None
    """System that owns the server; none: the stack's own label."""


class RedisSettings(ExporterSettings):
    """Settings of `exporters.redis`."""

    targets: Mapping[Name, RedisTarget] = Field(min_length=1)


def _alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="RedisDown",
            expr="redis_up == 0",
            for_="1m",
            severity=Severity.CRITICAL,
            summary="Redis {{ $labels.instance }} does not answer",
            description="The exporter gets no answer to INFO from {{ $labels.instance }} (redis_up is {{ $value }}).",
            action="See whether the server runs, accepts connections and still has the same password.",
        ),
        Alert(
            name="RedisMemoryNearlyFull",
            expr="redis_memory_used_bytes / (redis_memory_max_bytes > 0) > $threshold",
            threshold=0.9,
            for_="5m",
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} nearly fills its memory",
            description="{{ $value | humanizePercentage }} of maxmemory is used (limit $threshold).",
            action="Look at evictions and at keys without an expiry, then decide between more memory and less data.",
        ),
        Alert(
            name="RedisRejectsConnections",
            expr="increase(redis_rejected_connections_total[5m]) > $threshold",
            threshold=0,
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} turns clients away",
            description="{{ $value | humanize }} connections were refused in 5 minutes: maxclients is reached.",
            action="Look for a client that opens connections and keeps them (CLIENT LIST).",
        ),
    )


def build(context: Context, settings: RedisSettings) -> Exporting:
    """One workload and one target for each server."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        port = (settings.port or EXPORTER.port) + index
        url = f"redis://{target.address}"
        secrets: dict[str, SecretRef] = {}
        if target.password:
            # The exporter's password file is a JSON map from address to password.
            secrets["secrets/passwords.json"] = replace(target.password.ref, template=f"{{{json.dumps(url)}: $secret}}")
        workload = Workload(
            name=f"{NAME}-{name}",
            program=context.program(REDIS_EXPORTER),
            summary=f"metrics of Redis {target.address}",
            ports=(Port(name="http", number=port),),
            args=(
                f"--web.listen-address={context.addresses.listen(port)}",
                f"--redis.addr={url}",
                *((f"--redis.password-file={CONFIG}/secrets/passwords.json",) if target.password else ()),
            ),
            secrets=secrets,
            probe=Probe(port="http", path="/health"),
            resources=Resources(memory="64Mi", cpu="50m"),
            page="/metrics",
        )
        workloads.append(workload)
        labels = context.labels(app=target.app, service="redis", instance=target.address)
        targets.append(Target(address=context.addresses.dial(workload.name, port), labels=labels))
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            jobs=(ScrapeJob(name=NAME, targets=tuple(targets)),), groups=(RuleGroup(name="redis", alerts=_alerts()),)
        ),
    )


EXPORTER = Exporter(name="redis", summary="Redis servers", port=9121, settings=RedisSettings, build=build)
