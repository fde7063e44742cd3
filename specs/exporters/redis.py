"""redis_exporter: Redis servers."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from specs.exporter import Exporter, ExporterSettings, Exporting, ServerTarget
from specs.model import Address, Name, Secret
from specs.monitoring import Alert, RuleGroup, ScrapeJob, Target
from specs.part import Context, Monitoring
from specs.programs import REDIS_EXPORTER
from specs.settings import Severity
from specs.workload import CONFIG, Outward, Port, Probe, Resources, SecretRef, Workload

NAME = "redis-exporter"
DASHBOARD = "exporter-redis"


class RedisTarget(ServerTarget):
    """One Redis server."""

    SERVER: ClassVar[str] = "address"

    address: Address | None = None
    """Where the server listens; or see `exporter`."""
    password: Secret | None = None
    """None: the server wants no login."""


class RedisSettings(ExporterSettings):
    """Settings of `exporters.redis`."""

    targets: Mapping[Name, RedisTarget] = Field(min_length=1)


BY = "by (app, environment, service, instance)"


def _alerts() -> tuple[Alert, ...]:
    hits, misses = (f"sum {BY} (rate(redis_keyspace_{what}_total[10m]))" for what in ("hits", "misses"))
    alerts = (
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
        Alert(
            name="RedisClientsNearlyFull",
            expr="redis_connected_clients / (redis_config_maxclients > 0) > $threshold",
            threshold=0.8,
            for_="5m",
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} has nearly as many clients as it takes",
            description="{{ $value | humanizePercentage }} of maxclients are connected (limit $threshold).",
            action="Look for a client that opens connections and keeps them (CLIENT LIST), or one without a pool.",
        ),
        Alert(
            name="RedisEvictsKeys",
            expr="rate(redis_evicted_keys_total[5m]) > $threshold",
            threshold=1,
            for_="10m",
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} throws keys away",
            description="{{ $value | humanize }} keys a second are evicted before they expire (limit $threshold).",
            action="A cache may do so a little; a queue or a session store must not. Give keys an expiry, or the server more memory.",
        ),
        Alert(
            name="RedisHitRatioLow",
            # Below one question a second the share says nothing.
            expr=f"{hits} / ({hits} + {misses} > 1) < $threshold",
            threshold=0.5,
            for_="15m",
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} seldom has what it is asked for",
            description="{{ $value | humanizePercentage }} of the keys that were asked for were there (limit $threshold).",
            action="See whether keys were evicted or expire too soon (RedisEvictsKeys), or whether a release asks for other keys than it writes.",
        ),
        Alert(
            name="RedisReplicationBroken",
            expr="redis_master_link_up == 0",
            for_="2m",
            severity=Severity.CRITICAL,
            summary="The replica Redis {{ $labels.instance }} lost its master",
            description="It gets no changes from {{ $labels.master_host }}:{{ $labels.master_port }} (link up is {{ $value }}), and answers with what was.",
            action="See whether the master runs and takes the replica's password; its log says why it refused.",
        ),
        Alert(
            name="RedisReplicaLagging",
            expr="redis_connected_slave_lag_seconds > $threshold",
            threshold=30,
            for_="5m",
            severity=Severity.WARNING,
            summary="A replica of Redis {{ $labels.instance }} is behind",
            description="{{ $labels.slave_ip }} was last heard of {{ $value | humanizeDuration }} ago (limit $threshold s).",
            action="Look at the network between the two and at the replica's load.",
        ),
        Alert(
            name="RedisSnapshotFailed",
            expr="redis_rdb_last_bgsave_status == 0",
            for_="5m",
            severity=Severity.CRITICAL,
            summary="Redis {{ $labels.instance }} cannot save its snapshot",
            description="The last one failed (status is {{ $value }}): by its defaults the server refuses writes until one succeeds.",
            action="Its log says why: no space, no right to the directory, or no memory for the fork (vm.overcommit_memory).",
        ),
        Alert(
            name="RedisAppendFailed",
            expr="redis_aof_last_write_status == 0",
            for_="1m",
            severity=Severity.CRITICAL,
            summary="Redis {{ $labels.instance }} cannot write its append-only file",
            description="The last write failed (status is {{ $value }}): what changes now would be lost by a restart.",
            action="Look at the space and the health of the disk below the file.",
        ),
        Alert(
            name="RedisAppendRewriteFailed",
            expr="redis_aof_last_bgrewrite_status == 0",
            for_="5m",
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} cannot shorten its append-only file",
            description="The last rewrite failed (status is {{ $value }}): the file grows until the disk is full.",
            action="Its log says why: no space for a second file, or no memory for the fork.",
        ),
        Alert(
            name="RedisSlowCommands",
            # An id that counts up, and starts again with the server.
            expr="increase(redis_slowlog_last_id[10m]) > $threshold",
            threshold=10,
            for_="5m",
            severity=Severity.WARNING,
            summary="Redis {{ $labels.instance }} has slow commands",
            description="{{ $value | humanize }} commands came into its slow log in 10 minutes (limit $threshold).",
            action="SLOWLOG GET names them: KEYS, big ranges and long scripts stop everybody else meanwhile.",
        ),
        Alert(
            name="RedisClientsBlocked",
            # Workers that wait for a queue are blocked by design: only very many are a fault.
            expr="redis_blocked_clients > $threshold",
            threshold=200,
            for_="15m",
            severity=Severity.WARNING,
            summary="Very many clients wait for Redis {{ $labels.instance }}",
            description="{{ $value }} clients are blocked in a command (limit $threshold).",
            action="CLIENT LIST shows what they wait for: consumers without producers, or a WAIT for a replica that is gone.",
        ),
        Alert(
            name="RedisMemoryFragmented",
            # A small server is always fragmented.
            expr="redis_mem_fragmentation_ratio > $threshold and redis_memory_used_bytes > 256 * 1024 * 1024",
            threshold=1.5,
            for_="30m",
            severity=Severity.INFO,
            summary="Redis {{ $labels.instance }} takes much more memory than it uses",
            description="The process has {{ $value | humanize }} times the memory of its keys (limit $threshold).",
            action="Turn on activedefrag, or restart it at a quiet time.",
        ),
        Alert(
            name="RedisRestarted",
            expr="resets(redis_uptime_in_seconds[15m]) > $threshold",
            threshold=0,
            severity=Severity.INFO,
            summary="Redis {{ $labels.instance }} was started again",
            description="It started {{ $value }} times in 15 minutes.",
            action="When nobody did it on purpose: its log and the kernel's (out of memory) say why.",
        ),
    )
    return tuple(replace(alert, dashboard=DASHBOARD) for alert in alerts)


def build(context: Context, settings: RedisSettings) -> Exporting:
    """One workload and one target for each server."""
    workloads: list[Workload] = []
    targets: list[Target] = []
    for index, (name, target) in enumerate(settings.targets.items()):
        if target.exporter:
            targets.append(Target(address=target.exporter, labels=context.labels(app=target.app, service="redis")))
            continue
        # A target keeps its place, whatever becomes of the others.
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
            extras=(Outward(),),
            page="/metrics",
        )
        workloads.append(workload)
        labels = context.labels(app=target.app, service="redis", instance=target.address or "")
        targets.append(Target(address=context.addresses.dial(workload.name, port), labels=labels))
    return Exporting(
        workloads=tuple(workloads),
        monitoring=Monitoring(
            # The exporter asks the server when it is asked itself: this is how often, and how long, the server is checked.
            jobs=(ScrapeJob(name="redis", targets=tuple(targets), interval="10s", timeout="3s"),),
            groups=(RuleGroup(name="redis", alerts=_alerts()),),
        ),
    )


EXPORTER = Exporter(name="redis", summary="Redis servers", port=9121, settings=RedisSettings, build=build)
