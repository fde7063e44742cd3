"""Thanos' programs: one query over every Prometheus, and over blocks in object storage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from specs import alertmanager, object_storage
from specs.monitoring import RuleGroup, rule_files, to_yaml
from specs.part import Context
from specs.programs import THANOS
from specs.settings import Thanos
from specs.thanos import names
from specs.workload import (
    CONFIG,
    DATA,
    Check,
    Identity,
    Port,
    Probe,
    Reload,
    Resources,
    Volume,
    Workload,
)

UPLOADED = "thanos.shipper.json"
"""File in Prometheus' data directory in which the sidecar says what is uploaded."""
_BUCKET = f"--objstore.config-file={CONFIG}/{object_storage.FILE}"
_OWN_BLOCKS = f"--selector.relabel-config-file={CONFIG}/blocks.yml"
_READY = Probe(port="http", path="/-/ready", start_seconds=120)
_HTTP = Port(name="http", number=names.HTTP_PORT)
_GRPC = Port(name="grpc", number=names.GRPC_PORT)
_COMPACTOR_VOLUMES = {"small": "20Gi", "medium": "50Gi", "large": "100Gi"}


def _http(context: Context) -> str:
    return f"--http-address={context.addresses.listen(names.HTTP_PORT)}"


def _grpc(context: Context) -> str:
    return f"--grpc-address={context.addresses.listen(names.GRPC_PORT)}"


def _own_blocks(context: Context) -> Mapping[str, str]:
    """Blocks of other stacks in the same bucket are left to those."""
    keep = {
        "source_labels": ["cluster", names.SOURCE],
        "regex": f"{context.settings.cluster};{names.source(context)}",
        "action": "keep",
    }
    return {"blocks.yml": to_yaml([keep])}


def sidecar(context: Context, port: int) -> Workload:
    """What runs beside a Prometheus that listens on `port`: hands its series to queries, and its blocks to object
    storage."""
    return Workload(
        name=names.SIDECAR,
        program=context.program(THANOS),
        summary="hands Prometheus' series to queries, and its blocks to object storage",
        # Their names are also the pod's.
        ports=(Port(name="sidecar-grpc", number=names.GRPC_PORT), Port(name="sidecar-http", number=names.HTTP_PORT)),
        args=(
            "sidecar",
            _http(context),
            _grpc(context),
            f"--prometheus.url=http://127.0.0.1:{port}",
            f"--tsdb.path={DATA}",
            f"--shipper.meta-file-name={UPLOADED}",
            _BUCKET,
        ),
        environment=object_storage.environment(context),
        files=object_storage.bucket(context),
        secrets=object_storage.credentials(context),
        # Not whether it is ready: that says whether its Prometheus is, which it can wait for without being started anew.
        probe=Probe(port="sidecar-http", path="/-/healthy"),
        resources=Resources(memory="512Mi", cpu="50m"),
    )


def parts(
    context: Context,
    prometheus: Sequence[str],
    groups: Sequence[RuleGroup],
    *,
    runbooks: str,
    dashboards: str,
) -> tuple[Workload, ...]:
    """What the stack runs beside its Prometheus, whose workloads are called `prometheus`; nothing without Thanos.

    `groups` are the rules that Thanos evaluates.
    """
    thanos = context.settings.thanos
    if thanos is None:
        return ()
    ruler = (_ruler(context, groups, runbooks=runbooks, dashboards=dashboards),) if names.has_ruler(context) else ()
    return (_query(context, prometheus), _frontend(context), _store(context), _compactor(context, thanos), *ruler)


def _query(context: Context, prometheus: Sequence[str]) -> Workload:
    ruler = (names.RULER,) if names.has_ruler(context) else ()
    endpoints = [f"dns+{context.addresses.peers(name, names.GRPC_PORT)}" for name in (*prometheus, *ruler)]
    endpoints.append(f"dns+{context.addresses.dial(names.STORE, names.GRPC_PORT)}")
    return Workload(
        name=names.QUERY,
        program=context.program(THANOS),
        summary="answers queries over every Prometheus and object storage, each series once",
        ports=(_HTTP, _GRPC),
        args=(
            "query",
            _http(context),
            _grpc(context),
            f"--endpoint.sd-config-file={CONFIG}/endpoints.yml",
            # A target that another shard takes over goes on as the same series.
            *(f"--query.replica-label={label}" for label in names.HIDDEN),
            "--query.auto-downsampling",
            # One that hangs must not make everybody wait: the others answer for it.
            "--store.response-timeout=30s",
            "--store.sd-dns-interval=10s",
            f"--alert.query-url=http://{context.addresses.outside(names.FRONTEND, names.HTTP_PORT)}",
        ),
        files={"endpoints.yml": to_yaml({"endpoints": [{"address": address} for address in endpoints]})},
        probe=_READY,
        resources=Resources(memory="1Gi", cpu="250m"),
        replicas=names.QUERIES,
        page="/graph",
    )


def _frontend(context: Context) -> Workload:
    cache = {"type": "IN-MEMORY", "config": {"max_size": "256MB", "validity": "6h"}}
    return Workload(
        name=names.FRONTEND,
        program=context.program(THANOS),
        summary="splits long queries into days, and remembers the answers",
        ports=(replace(_HTTP, published=True),),
        args=(
            "query-frontend",
            _http(context),
            f"--query-frontend.downstream-url=http://{context.addresses.dial(names.QUERY, names.HTTP_PORT)}",
            "--query-range.split-interval=24h",
            f"--query-range.response-cache-config-file={CONFIG}/cache.yml",
            "--labels.split-interval=24h",
            f"--labels.response-cache-config-file={CONFIG}/cache.yml",
            "--cache-compression-type=snappy",
            "--query-frontend.compress-responses",
            "--query-frontend.log-queries-longer-than=10s",
        ),
        files={"cache.yml": to_yaml(cache)},
        probe=_READY,
        resources=Resources(memory="1Gi", cpu="100m"),
        replicas=names.QUERIES,
        page="/graph",
    )


def _store(context: Context) -> Workload:
    return Workload(
        name=names.STORE,
        program=context.program(THANOS),
        summary="answers from blocks in object storage",
        ports=(_HTTP, _GRPC),
        args=(
            "store",
            _http(context),
            _grpc(context),
            f"--data-dir={DATA}",
            "--index-cache-size=256MB",
            "--chunk-pool-size=512MB",
            # Blocks older than a Prometheus keeps them must be here before it drops them; new ones are soon.
            "--sync-block-duration=3m",
            _OWN_BLOCKS,
            _BUCKET,
        ),
        environment=object_storage.environment(context),
        files={**object_storage.bucket(context), **_own_blocks(context)},
        secrets=object_storage.credentials(context),
        probe=Probe(port="http", path="/-/ready", start_seconds=600),
        resources=Resources(memory="2Gi", cpu="250m"),
        # Headers of indexes; what is lost is read again.
        volume=Volume("10Gi"),
    )


def _compactor(context: Context, thanos: Thanos) -> Workload:
    return Workload(
        name=names.COMPACTOR,
        program=context.program(THANOS),
        summary="joins blocks in object storage, thins them out and deletes them in time; never more than one",
        ports=(_HTTP,),
        args=(
            "compact",
            "--wait",
            _http(context),
            f"--data-dir={DATA}",
            f"--retention.resolution-raw={thanos.raw}",
            f"--retention.resolution-5m={thanos.five_minutes}",
            f"--retention.resolution-1h={thanos.one_hour}",
            # Points that come late are in blocks that overlap others of the same Prometheus: without this it halts.
            "--compact.enable-vertical-compaction",
            "--disable-admin-operations",
            _OWN_BLOCKS,
            _BUCKET,
        ),
        environment=object_storage.environment(context),
        files={**object_storage.bucket(context), **_own_blocks(context)},
        secrets=object_storage.credentials(context),
        probe=_READY,
        resources=Resources(memory="2Gi", cpu="250m"),
        volume=Volume(_COMPACTOR_VOLUMES[context.settings.size]),
        page="/loaded",
    )


def _ruler(context: Context, groups: Sequence[RuleGroup], *, runbooks: str, dashboards: str) -> Workload:
    settings = context.settings
    rules = rule_files(groups, runbooks=runbooks, dashboards=dashboards)
    managers = names.each(context, alertmanager.NAME, alertmanager.PORT, context.scale.alertmanager)
    said = names.external_labels(context, "$(POD_NAME)")
    return Workload(
        name=names.RULER,
        program=context.program(THANOS),
        summary="evaluates rules over every Prometheus and object storage",
        ports=(_HTTP, _GRPC),
        args=(
            "rule",
            _http(context),
            _grpc(context),
            f"--data-dir={DATA}",
            f"--rule-file={CONFIG}/rules/*.yml",
            f"--eval-interval={settings.evaluation_interval}",
            f"--query=http://{context.addresses.dial(names.QUERY, names.HTTP_PORT)}",
            *(f"--alertmanagers.url=http://{manager}" for manager in managers),
            *(f'--label={name}="{value}"' for name, value in said.items()),
            f"--alert.relabel-config-file={CONFIG}/alerts.yml",
            f"--alert.query-url=http://{context.addresses.outside(names.FRONTEND, names.HTTP_PORT)}",
            _BUCKET,
        ),
        environment=object_storage.environment(context),
        files={
            **object_storage.bucket(context),
            "alerts.yml": to_yaml(names.alert_relabelling(context)),
            **{f"rules/{path}": text for path, text in rules.items()},
        },
        secrets=object_storage.credentials(context),
        probe=_READY,
        checks=(Check(("thanos", "tools", "rules-check", "--rules=rules/*.yml")),),
        reload=Reload(
            port="http",
            metric="thanos_rule_config_last_reload_successful",
            timestamp_metric="thanos_rule_config_last_reload_success_timestamp_seconds",
        ),
        resources=Resources(memory="1Gi", cpu="250m"),
        volume=Volume("10Gi"),
        extras=(Identity(),),
        replicas=names.RULERS,
        peers=("grpc",),
    )
