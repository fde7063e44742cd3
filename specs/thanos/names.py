"""What the parts of Thanos are called, where they listen, and which labels it works with."""

from typing import Any

from specs.part import Context

SIDECAR = "thanos-sidecar"
QUERY = "thanos-query"
FRONTEND = "thanos-query-frontend"
STORE = "thanos-store"
COMPACTOR = "thanos-compactor"
RULER = "thanos-ruler"
HTTP_PORT = 10902
GRPC_PORT = 10901
"""Port of the Store API, by which series are asked for."""
QUERIES = 2
"""Replicas of query and of query-frontend."""
RULERS = 2
"""Replicas of the ruler."""
GROUP = "thanos"
"""Group of the rules about Thanos itself, which Prometheus evaluates, whoever evaluates the others."""

SOURCE = "prometheus"
"""Label of the stack that a block is from: several may share a bucket."""
REPLICA = "prometheus_replica"
"""Label that tells replicas apart."""
SHARD = "prometheus_shard"
"""Label that tells parts of the targets apart."""
HIDDEN = (SOURCE, REPLICA, SHARD)
"""Labels that nobody sees who asks Thanos, or is told of an alert: answers are those of one Prometheus that scrapes
everything. Their names are such that no exporter has labels like them, since those would be lost."""


def source(context: Context) -> str:
    """Value of SOURCE."""
    return f"{context.settings.environment}/{context.settings.kubernetes.namespace}"


def external_labels(context: Context, replica: str, shard: str = "") -> dict[str, str]:
    """What tells blocks of this stack apart from others, by the replica they are from.

    The environment is not among them: each sample has its own, and that of an application may be another.
    """
    return {
        "cluster": context.settings.cluster,
        SOURCE: source(context),
        REPLICA: replica,
        **({SHARD: shard} if shard else {}),
    }


def alert_relabelling(context: Context) -> list[dict[str, Any]]:
    """What makes the same alert of every replica one, with an environment even where its series have none."""
    with_thanos = context.settings.thanos is not None
    if not with_thanos and context.scale.prometheus == 1:
        return []
    drop = {"regex": "|".join(HIDDEN), "action": "labeldrop"}
    environment = {
        "source_labels": ["environment"],
        "regex": "",
        "target_label": "environment",
        "replacement": context.settings.environment,
    }
    return [drop, *([environment] if with_thanos else [])]


def has_ruler(context: Context) -> bool:
    """Whether rules are evaluated by Thanos, over all of the history and every shard, and not by each Prometheus.

    With several shards it must be so: a Prometheus that sees a part of the targets finds the others missing, and
    counts wrong.
    """
    thanos = context.settings.thanos
    return thanos is not None and (thanos.ruler or context.scale.shards > 1)


def each(context: Context, workload: str, port: int, replicas: int) -> tuple[str, ...]:
    """`host:port` of every replica of a workload that has peers when it has several."""
    if replicas == 1:
        return (context.addresses.dial(workload, port),)
    return context.addresses.each(workload, port, replicas)
