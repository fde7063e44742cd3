"""What stands in `loki.yml`: as one process, as several that share a ring, and divided into read, write and backend."""

import math
from typing import Any, Literal

from specs import alertmanager, history, load
from specs.part import Context
from specs.settings import ObjectStorage
from specs.workload import CONFIG

NAME = "loki"
PORT = 3100
GRPC = 9095
GOSSIP = 7946
TENANT = "fake"
"""What Loki calls the tenant of a store without tenants."""
COPIES = 3
"""How many replicas hold a line, where there are so many."""
RULES = f"{CONFIG}/rules"

Target = Literal["all", "read", "write", "backend"]


def divided(context: Context) -> bool:
    """Whether reading, writing and the rest are programs of their own."""
    return context.scale.split and context.scale.loki > 1


def targets(context: Context) -> dict[Target, str]:
    """The name of the workload that does it, by what it does."""
    if divided(context):
        return {"read": f"{NAME}-read", "write": f"{NAME}-write", "backend": f"{NAME}-backend"}
    return {"all": NAME}


def bucket(context: Context) -> ObjectStorage | None:
    """Where chunks and index are; None: on the volume."""
    storage = context.settings.object_storage
    return storage if storage and storage.logs_bucket else None


def _common(context: Context) -> dict[str, Any]:
    on_volume = {"storage": {"filesystem": {"chunks_directory": "chunks", "rules_directory": RULES}}}
    if context.scale.loki == 1:
        return {
            "instance_addr": "127.0.0.1",
            "path_prefix": ".",
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            **({} if bucket(context) else on_volume),
        }
    return {
        "instance_addr": "${POD_IP}",
        "path_prefix": ".",
        "replication_factor": min(context.scale.loki, COPIES),
        "ring": {"instance_id": "${POD_NAME}", "kvstore": {"store": "memberlist"}},
    }


def _gossip(context: Context) -> dict[str, Any]:
    """How replicas find each other."""
    if context.scale.loki == 1:
        return {}
    return {
        "memberlist": {
            "node_name": "${POD_NAME}",
            "bind_addr": [context.addresses.host()],
            "bind_port": GOSSIP,
            "join_members": [f"dns+{context.addresses.peers(name, GOSSIP)}" for name in targets(context).values()],
            # Addresses of pods are used again: a ring of something else must not be joined by accident.
            "cluster_label": f"{NAME}.{context.settings.kubernetes.namespace}",
            # Halves that a network has parted find each other again.
            "rejoin_interval": "1m",
        }
    }


def _store(context: Context) -> tuple[str, dict[str, Any]]:
    """What the schema calls the store, and where that is. Keys come from a file or from the pod's own identity."""
    storage = bucket(context)
    if storage is None:
        return "filesystem", {}
    where = {
        "bucket_name": storage.logs_bucket,
        "endpoint": storage.endpoint,
        **({"region": storage.region} if storage.region else {}),
        **({"insecure": True} if storage.insecure else {}),
        "bucket_lookup_type": "path" if storage.path_style else "auto",
    }
    # The older client is what Loki 4 drops.
    return "s3", {"storage_config": {"use_thanos_objstore": True, "object_store": {"s3": where}}}


def _ruler(context: Context, *, dashboards: str) -> dict[str, Any]:
    settings, several = context.settings, context.scale.loki > 1
    local = {"local": {"directory": RULES}}
    told = context.scale.alertmanager
    dial = context.addresses.dial(alertmanager.NAME, alertmanager.PORT)
    addresses = context.addresses.each(alertmanager.NAME, alertmanager.PORT, told) if told > 1 else (dial,)
    ring = {} if several else {"ring": {"kvstore": {"store": "inmemory"}}}
    return {
        "ruler": {
            **({} if bucket(context) else {"storage": {"type": "local", **local}}),
            "rule_path": "ruler",
            **ring,
            # Each group of rules is one replica's, so that an alert is told once.
            **({"enable_sharding": True} if several else {}),
            "enable_api": True,
            "alertmanager_url": ",".join(f"http://{address}" for address in addresses),
            "evaluation_interval": settings.evaluation_interval,
            "external_labels": {"cluster": settings.cluster, "environment": settings.environment},
            # An alert's source is its query, in Grafana.
            "external_url": dashboards,
            "datasource_uid": NAME,
        },
        **({"ruler_storage": {"backend": "local", **local}} if bucket(context) else {}),
    }


def _rates(context: Context) -> dict[str, Any]:
    """How fast lines may come: on one machine faster than its collector hands them on, on a cluster three times what it
    is sized for, where that is more than Loki's own."""
    # A request that is refused for its rate is stored in part, and sent again: some of its lines would be there twice.
    rate = math.ceil(3 * load.demand(context).log_bytes / 1e6) if context.on_cluster else _RATE_HERE
    if rate <= _RATE:
        return {}
    # One service may be all the load there is; rates of streams are each replica's own.
    return {
        "ingestion_rate_mb": rate,
        "ingestion_burst_size_mb": 2 * rate,
        "per_stream_rate_limit": f"{rate}MB",
        "per_stream_rate_limit_burst": f"{2 * rate}MB",
    }


_RATE = 4
"""Megabytes a second that Loki takes by default."""
_RATE_HERE = 64
"""Ten times what 20,000 lines a second are."""


def configuration(context: Context, *, dashboards: str) -> dict[str, Any]:
    """`loki.yml` as a value, the same for every target. One `retention` drives compactor, delete store and limits."""
    addresses = context.addresses
    retention = context.settings.retention
    store, where = _store(context)
    # One process is its whole ring: there is nobody whose tokens it should wait for.
    waiting = {"lifecycler": {"min_ready_duration": "1s"}} if context.scale.loki == 1 else {}
    # Nor is there another to take lines: one that is given up on takes them nevertheless, and then they come again.
    patience = {"ingester_client": {"remote_timeout": "30s"}} if context.scale.loki == 1 else {}
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_address": addresses.host(),
            "http_listen_port": addresses.port(PORT),
            "grpc_listen_address": addresses.host(),
            "grpc_listen_port": addresses.port(GRPC),
            "log_level": "warn",
        },
        "common": _common(context),
        **_gossip(context),
        **patience,
        "ingester": {**waiting, "wal": {"dir": "wal", "flush_on_shutdown": True}},
        # The query frontend looks for its schedulers this often, ten seconds by default, and is not ready before.
        "frontend": {"scheduler_dns_lookup_period": "1s"},
        "frontend_worker": {"dns_lookup_duration": "1s"},
        **where,
        "schema_config": {
            "configs": [
                {
                    "from": "2024-01-01",
                    "store": "tsdb",
                    "object_store": store,
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "compactor": {
            "working_directory": "compactor",
            "retention_enabled": True,
            "delete_request_store": store,
            "compaction_interval": "10m",
        },
        "limits_config": {
            "retention_period": retention.log_archive,
            "retention_stream": [{"selector": history.SELECTOR, "priority": 1, "period": retention.alert_history}],
            "reject_old_samples_max_age": retention.logs,
            # Both limits are a tenant's, so they would hide the alert history too: what is kept can be searched.
            "max_query_lookback": "0s",
            "max_query_length": "0s",
            **_rates(context),
            # Parts of a stream would all go to the same place; only in one are lines known that come again.
            **({"shard_streams": {"enabled": False}} if context.scale.loki == 1 else {}),
            # What is longer than Loki takes is cut: refused, it would be lost, though the collector took it in.
            "max_line_size_truncate": True,
            "allow_structured_metadata": True,
            "volume_enabled": True,
            "otlp_config": {
                "severity_text_as_label": True,
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [
                        {"action": "index_label", "attributes": ["app", "environment", "service.name"]},
                    ],
                },
            },
        },
        **_ruler(context, dashboards=dashboards),
    }
