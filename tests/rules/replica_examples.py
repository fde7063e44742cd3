"""Examples of the alerts about parts of which there are several, and about the storage that they share."""

from tests.rules.examples import (
    CRITICAL,
    NO_LIMIT,
    WARNING,
    Example,
    Firing,
    counter,
    gauge,
    labels,
    series,
    tried,
    without,
)

FIRST, SECOND, THIRD = (labels("alertmanager", instance=f"10.0.0.{number}:9093") for number in (1, 2, 3))
MEMBERS = "alertmanager_cluster_members"
HASH = "alertmanager_config_hash"
LOKI = labels("loki")
LOKI_TOO = labels("loki", instance="here:2")
OPERATIONS = "loki_objstore_bucket_operations_total"
FAILURES = "loki_objstore_bucket_operation_failures_total"
UPLOAD = {"operation": "upload", "bucket": ""}


def _apart(alone: str, others: str) -> dict[str, str]:
    return {series(MEMBERS, FIRST): alone, series(MEMBERS, SECOND): others, series(MEMBERS, THIRD): others}


OF_ALERTMANAGERS = (
    Example(
        alert="AlertmanagerMembersInconsistent",
        says="one knows nobody, though all run, until they find each other",
        series=_apart("1x80 3x60", "2x80 3x60"),
        at="15m",
        quiet_at="14m45s",
        resolved_at="26m",
        fires=tuple(
            Firing(
                labels=member | CRITICAL,
                summary="Alertmanagers do not know each other",
                description=(
                    f"{member['instance']} knows {known} members of the cluster, itself among them, and more of them"
                    " run: people are told twice, and a silence does not hold everywhere."
                ),
            )
            for member, known in ((FIRST, 1), (SECOND, 2), (THIRD, 2))
        ),
    ),
    Example(
        alert="AlertmanagerMembersInconsistent",
        says="one is down, and the others know it",
        series=_apart("3x10 _x90", "3x10 2x90"),
        at="20m",
    ),
    *tried(
        "AlertmanagerClusterDegraded",
        {series("alertmanager_cluster_failed_peers", FIRST): gauge(1, 0)},
        Firing(
            labels=without(FIRST, "job", "instance") | WARNING,
            summary="Replicas of Alertmanager are away",
            description=(
                "1 replicas have been away for 15 minutes (limit 0): the others tell people, with fewer in reserve."
            ),
        ),
        wait="15m",
        window="5m",
    ),
    Example(
        alert="AlertmanagerConfigInconsistent",
        says="one is left behind by a rollout, and then follows",
        series={series(HASH, FIRST): "7x100", series(HASH, SECOND): "5x84 7x20"},
        at="20m",
        quiet_at="19m45s",
        resolved_at="22m",
        fires=(
            Firing(
                labels=without(FIRST, "job", "instance") | CRITICAL,
                summary="Replicas of Alertmanager have different configurations",
                description=(
                    "2 configurations are in effect, and have been for 20 minutes: who is told depends on which"
                    " replica does it."
                ),
            ),
        ),
    ),
    Example(
        alert="AlertmanagerConfigInconsistent",
        says="all have the same (the boundary)",
        series={series(HASH, FIRST): "7x100", series(HASH, SECOND): "7x100"},
        at="25m",
    ),
)

RING = {"name": "ingester", "state": "Unhealthy"}
RUNNING = "loki_boltdb_shipper_compactor_running"
OF_LOKIS = (
    *tried(
        "LokiRingUnhealthy",
        {
            series("loki_ring_members", LOKI, **RING): gauge(1, 0),
            series("loki_ring_members", LOKI_TOO, **RING): gauge(1, 0),
        },
        Firing(
            labels=without(LOKI, "job", "instance") | WARNING | {"name": "ingester"},
            summary="Replicas of Loki have left the ring of ingester without a word",
            description=(
                "1 members of the ring of ingester have not been heard of for a minute, and that for 10 minutes"
                " (limit 0): one more, and lines are refused."
            ),
        ),
        wait="10m",
    ),
    Example(
        alert="LokiCompactorCount",
        says="two run at once, then one",
        series={series(RUNNING, LOKI): "1x100", series(RUNNING, LOKI_TOO): "1x64 0x30"},
        at="15m",
        quiet_at="14m45s",
        resolved_at="17m",
        fires=(
            Firing(
                labels=without(LOKI, "job", "instance") | WARNING,
                summary="Not exactly one compactor of Loki runs",
                description=(
                    "2 compactors run: with none retention is not applied, and two get into each other's way."
                ),
            ),
        ),
    ),
    Example(
        alert="LokiCompactorCount",
        says="none runs",
        series={series(RUNNING, LOKI): "0x100", series(RUNNING, LOKI_TOO): "0x100"},
        at="15m",
        fires=(
            Firing(
                labels=without(LOKI, "job", "instance") | WARNING,
                summary="Not exactly one compactor of Loki runs",
                description=(
                    "0 compactors run: with none retention is not applied, and two get into each other's way."
                ),
            ),
        ),
    ),
    Example(
        alert="LokiCompactorCount",
        says="it moves from one to the other",
        series={series(RUNNING, LOKI): "1x40 0x60", series(RUNNING, LOKI_TOO): "0x40 1x60"},
        at="20m",
    ),
)

OF_STORAGE = (
    *tried(
        "LokiStorageFailing",
        {
            series(FAILURES, LOKI, **UPLOAD): counter(5, 1, 0),
            series(OPERATIONS, LOKI, **UPLOAD): counter(10, 10, 10),
        },
        Firing(
            labels=without(LOKI, "job") | CRITICAL | {"operation": "upload"},
            summary="Loki's object storage fails: upload",
            description=(
                "50% of the operations upload of here:1 failed in 10 minutes (limit 0.1). What cannot be stored fills"
                " the volume."
            ),
        ),
        wait="10m",
        window="10m",
    ),
    Example(
        alert="LokiStorageFailing",
        says="objects are looked for that are not there, as they should not be",
        series={
            series(FAILURES, LOKI, operation="exists", bucket=""): "0+1x200",
            series(OPERATIONS, LOKI, operation="exists", bucket=""): "0+1x200",
        },
        at="40m",
    ),
    Example(
        alert="LokiStorageFailing", says=NO_LIMIT, series={series(OPERATIONS, LOKI, **UPLOAD): "0+1x200"}, at="40m"
    ),
)

EXAMPLES = (*OF_ALERTMANAGERS, *OF_LOKIS, *OF_STORAGE)
