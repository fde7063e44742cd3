"""Alerts about volumes and claims."""

from dataclasses import replace

from specs.cluster.names import APP, VOLUMES, by, most
from specs.monitoring import Alert
from specs.settings import Severity

DASHBOARD = VOLUMES
_WHICH = "{{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }}"
_EACH = ("namespace", "persistentvolumeclaim")


def _least(metric: str) -> str:
    # A volume that several nodes mount is told of by each.
    return f"min {by(*_EACH)} (kubelet_volume_stats_{metric})"


FREE = f"{_least('available_bytes')} / ({_least('capacity_bytes')} > 0)"
"""The share of a volume that is free."""


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    low = Alert(
        name="VolumeNearlyFull",
        expr=f"{FREE} < $threshold",
        threshold=0.1,
        for_="5m",
        severity=Severity.WARNING,
        summary=f"Volume {_WHICH} is nearly full",
        description="{{ $value | humanizePercentage }} of it is free (limit $threshold).",
        action="Find what grows in it (kubectl exec, du) and free it, or enlarge the claim where its storage class allows that.",
    )
    return (
        low,
        replace(low, threshold=0.03, for_="1m", severity=Severity.CRITICAL),
        Alert(
            name="VolumeWillFill",
            expr=f"""
min {by(*_EACH)} (predict_linear(kubelet_volume_stats_available_bytes[6h], 4 * 86400)) < 0
and {FREE} < $threshold""",
            threshold=0.3,
            for_="1h",
            severity=Severity.WARNING,
            summary=f"Volume {_WHICH} fills within four days",
            description="At the pace of the last six hours there would be {{ $value | humanize1024 }}B left in four days.",
            action="Find what grows in it, or enlarge the claim, while there is time.",
        ),
        Alert(
            name="VolumeInodesLow",
            # Filesystems that make inodes as they need them say that they have none.
            expr=f"{_least('inodes_free')} / ({_least('inodes')} > 0) < $threshold",
            threshold=0.05,
            for_="5m",
            severity=Severity.WARNING,
            summary=f"Volume {_WHICH} runs out of inodes",
            description="{{ $value | humanizePercentage }} of its inodes are free (limit $threshold), however much space is left.",
            action="Find the directory with very many small files (du --inodes) and empty it: sessions, caches and mail queues are the usual ones.",
        ),
        Alert(
            name="VolumeClaimUnbound",
            # A claim that nobody uses may wait for the first pod that does, for ever.
            expr=most("kube_persistentvolumeclaim_status_phase", *_EACH, where='phase="Pending"') + " == 1",
            for_="30m",
            severity=Severity.WARNING,
            summary=f"Claim {_WHICH} gets no volume",
            description="It has waited for half an hour (pending is {{ $value }}): pods that want it do not start.",
            action="kubectl describe pvc: no such storage class, no default one, a quota of the cloud, or no pod that uses it.",
        ),
        Alert(
            name="VolumeClaimLost",
            expr=most("kube_persistentvolumeclaim_status_phase", *_EACH, where='phase="Lost"') + " == 1",
            for_="5m",
            severity=Severity.CRITICAL,
            summary=f"Claim {_WHICH} has lost its volume",
            description="The volume that it was bound to is not there any more (lost is {{ $value }}).",
            action="Look for the volume where it was made (the cloud's disks), before anything makes an empty one in its place. Then restore a backup.",
        ),
        Alert(
            name="PersistentVolumeFailed",
            expr='max by (app, environment, persistentvolume) (kube_persistentvolume_status_phase{phase="Failed"}) == 1',
            for_="5m",
            severity=Severity.WARNING,
            app=APP,
            service="volume",
            summary="Volume {{ $labels.persistentvolume }} could not be given back",
            description="Its claim is gone, and it could neither be kept nor deleted (failed is {{ $value }}).",
            action="kubectl describe pv names the reason; delete its disk by hand where nobody needs it.",
        ),
    )
